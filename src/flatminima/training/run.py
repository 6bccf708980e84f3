"""Bookkeeping of all training loops: results, snapshots, and the criterion of divergence."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

DIVERGED = 1e3
CHECK_EVERY = 20


@dataclass(frozen=True)
class Stages:
    """Numbers of steps that a run spends on warm-up and on coming to rest.

    Attributes:
        warmup: first steps, over which the step size rises linearly from zero.
        finish: last steps, at smaller step sizes: an optimiser says which.
    """

    warmup: int = 0
    finish: int = 0

    def warmth(self, step: int) -> float:
        """Fraction of the step size that step number `step`, from 0, takes: 1 after the warm-up."""
        return min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0


@dataclass(frozen=True)
class Snapshot:
    """The parameters of all replicas at one step."""

    step: int
    parameters: tuple[Tensor, ...]


@dataclass(frozen=True)
class Trained:
    """Outcome of a training run.

    Attributes:
        parameters: last parameters of every replica; meaningless for a diverged one.
        steps: step at which each replica stopped, shape (replicas,).
        diverged: whether its loss left the finite range or grew a thousandfold, shape (replicas,).
        gradient_scale: gradient norm at the start, shape (replicas,).
        snapshots: parameters along training.
        history: (step, losses of shape (replicas,)) at every check.
    """

    parameters: tuple[Tensor, ...]
    steps: Tensor
    diverged: Tensor
    gradient_scale: Tensor
    snapshots: list[Snapshot] = field(default_factory=list)
    history: list[tuple[int, Tensor]] = field(default_factory=list)


def has_diverged(loss: Tensor, high: Tensor) -> Tensor:
    """Loss not finite, or a thousand times one that is high already."""
    return ~torch.isfinite(loss) | (loss > DIVERGED * high)


def snapshot_steps(count: int, steps: int) -> list[int]:
    """`count` distinct steps from 0 to `steps`, spaced evenly in log(1 + step)."""
    if count == 0:
        return []
    spaced = np.expm1(np.linspace(0, np.log1p(steps), count))
    return sorted({round(step) for step in spaced})
