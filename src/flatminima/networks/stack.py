"""Stacks of fully connected networks: all replicas of one shape in one set of tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Stack:
    """Replicas of one fully connected network x -> W_m s(... s(W_1 x + b_1)) + b_m.

    A residual-linear layer I + V_k is stored as W_k = I + V_k: both have the same gradients and Hessian.

    Attributes:
        weights: m tensors, W_k of shape (replicas, d_k, d_{k-1}).
        biases: m tensors of shape (replicas, d_k), or empty.
        rectified: whether s is the rectifier (a ReLU network) or the identity (a linear one).
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...] = ()
    rectified: bool = False

    @property
    def depth(self) -> int:
        """Number of layers m."""
        return len(self.weights)

    @property
    def replicas(self) -> int:
        """Number of stacked networks."""
        return len(self.weights[0])

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Weights, then biases: the coordinates of the Hessian."""
        return self.weights + self.biases

    @property
    def units(self) -> int:
        """Outputs of all layers together, for one sample."""
        return sum(weight.shape[1] for weight in self.weights)

    def with_parameters(self, parameters: Sequence[Tensor]) -> Self:
        """Copy of the stack with other parameters, in the order of `parameters`."""
        return replace(self, weights=tuple(parameters[: self.depth]), biases=tuple(parameters[self.depth :]))

    def select(self, index: Tensor) -> Self:
        """The replicas picked by an index or a boolean mask."""
        return self.with_parameters([parameter[index] for parameter in self.parameters])

    def to(self, device: torch.device) -> Self:
        """Copy of the networks on a device."""
        return self.with_parameters([parameter.to(device) for parameter in self.parameters])

    def double(self) -> Self:
        """Copy of the networks in float64."""
        return self.with_parameters([parameter.double() for parameter in self.parameters])

    def layers(self, inputs: Tensor) -> Iterator[Tensor]:
        """Outputs of each layer.

        Args:
            inputs: shape (replicas or 1, samples, d_0).

        Yields:
            Layer outputs after the activation, shape (replicas, samples, d_k), k = 1..m; the last has no activation.
        """
        hidden = inputs.expand(self.replicas, -1, -1)
        for k in range(self.depth):
            hidden = self._affine(k, hidden)
            if self.rectified and k < self.depth - 1:
                hidden = torch.relu(hidden)
            yield hidden

    def __call__(self, inputs: Tensor) -> Tensor:
        """Network outputs, shape (replicas, samples, d_m)."""
        *_, output = self.layers(inputs)
        return output

    def _affine(self, k: int, hidden: Tensor) -> Tensor:
        """Layer k + 1 without its activation."""
        if self.biases:
            return torch.baddbmm(self.biases[k].unsqueeze(1), hidden, self.weights[k].mT)
        return torch.bmm(hidden, self.weights[k].mT)


def end_to_end(weights: Sequence[Tensor]) -> Tensor:
    """Product W_m ... W_1, shape (replicas, d_m, d_0)."""
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    return product
