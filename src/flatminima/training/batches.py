"""Samples that networks are trained on, and their minibatches."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class SampleProblem:
    """Training samples of a task.

    Attributes:
        inputs: shape (samples, d_x); clean images where `fresh_noise` is given.
        targets: shape (samples, d_y).
        scale: 1 for errors summed over outputs, 1/d_y for their mean.
        fresh_noise: standard deviation of the noise drawn for each batch, or None.
    """

    inputs: Tensor
    targets: Tensor
    scale: float
    fresh_noise: float | None = None


class Batches:
    """Minibatches of each seed: every epoch visits all samples once, in an order of its own."""

    def __init__(self, problem: SampleProblem, batch_size: int, generators: Sequence[Generator]) -> None:
        """Set up one stream per generator; a last batch that is not full is left to the next epoch's shuffle."""
        self._problem, self._generators = problem, generators
        self._size = min(batch_size, len(problem.inputs))
        self._orders = [torch.empty(0, dtype=torch.int64) for _ in generators]

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return len(self._generators)

    @property
    def scale(self) -> float:
        """Factor of the loss: 1 for errors summed over outputs, 1/d_y for their mean."""
        return self._problem.scale

    def draw(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the next step, shapes (seeds, batch, d_x) and (seeds, batch, d_y)."""
        rows = torch.stack([self._next_rows(seed) for seed in range(len(self._generators))])
        rows = rows.to(self._problem.inputs.device)
        inputs, targets = self._problem.inputs[rows], self._problem.targets[rows]
        if self._problem.fresh_noise is not None:
            noise = [torch.randn(inputs.shape[1:], generator=g, dtype=inputs.dtype) for g in self._generators]
            inputs = inputs + self._problem.fresh_noise * torch.stack(noise).to(inputs.device)
        return inputs, targets

    def _next_rows(self, seed: int) -> Tensor:
        if len(self._orders[seed]) < self._size:
            self._orders[seed] = torch.randperm(len(self._problem.inputs), generator=self._generators[seed])
        rows = self._orders[seed][: self._size]
        self._orders[seed] = self._orders[seed][self._size :]
        return rows
