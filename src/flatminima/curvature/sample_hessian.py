"""Hessians of stacked fully connected networks on samples, by forward and backward sweeps written out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flatminima.networks.stack import Stack

CHUNK_BYTES = 16 * 2**20
"""Bytes of one sweep's tensors over a chunk of samples: larger ones leave the processor's cache."""


@dataclass(frozen=True)
class _State:
    """Tensors of some samples that every product reads.

    Attributes:
        before: inputs of each layer, m tensors of shape (replicas or 1, samples, d_{k-1}).
        slopes: derivatives of the loss in each layer's output before its rectifier, (replicas, samples, d_k).
        loss: of these samples, shape (replicas,).
    """

    before: list[Tensor]
    slopes: list[Tensor]
    loss: Tensor


class SampleHessian:
    """Hessian of scale * mean ||f(x) - y||^2 of many replicas, as one operator on (replicas, size).

    A product is the derivative of the gradient along a direction (Pearlmutter 1994): a sweep forward and one backward
    over samples whose layer inputs and slopes are kept where they fit in memory. Rectifiers have no second derivative.
    Loss and gradient come with the first product, at little cost.
    """

    def __init__(self, stack: Stack, inputs: Tensor, targets: Tensor, scale: float, memory: int) -> None:
        """Set up the operator.

        Args:
            stack: the networks; products are computed in the dtype of their parameters.
            inputs: shape (samples, d_x), of any floating dtype.
            targets: shape (samples, d_y).
            scale: 1 for errors summed over outputs, 1/d_y for their mean.
            memory: bytes that the kept layer inputs and slopes may take; beyond, they are computed at every product.
        """
        self._stack, self._factor = stack, scale / len(inputs)
        chunks = math.ceil(state_bytes(stack, len(inputs)) / CHUNK_BYTES)
        self._samples = list(zip(inputs.chunk(chunks), targets.chunk(chunks), strict=True))
        self._keep = state_bytes(stack, len(inputs)) <= memory
        self._kept: list[_State] = []
        self._summed: list[tuple[Tensor, Tensor]] = []

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return self._stack.replicas, sum(p[0].numel() for p in self._stack.parameters)

    @property
    def device(self) -> torch.device:
        """Device on which products are computed."""
        return self._stack.weights[0].device

    def loss(self) -> Tensor:
        """Losses, shape (replicas,)."""
        return self._loss_and_gradient()[0]

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        return self._loss_and_gradient()[1]

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size), computed in the parameters' dtype and returned in the vector's."""
        parameters = self._stack.parameters
        parts = torch.split(vector.to(parameters[0]), [p[0].numel() for p in parameters], 1)
        direction = self._stack.with_parameters([v.reshape(p.shape) for v, p in zip(parts, parameters, strict=True)])
        totals = _zeros(self._stack)
        for state in self._states():
            self._add_product(state, direction, totals)
        return _flatten(totals).to(vector)

    def _loss_and_gradient(self) -> tuple[Tensor, Tensor]:
        if not self._summed:
            for _ in self._states():
                pass
        return self._summed[0]

    def _states(self) -> Iterator[_State]:
        """All states; the first time round, loss and gradient are added up."""
        if self._kept:
            yield from self._kept
            return
        loss, gradient = self._stack.weights[0].new_zeros(self._stack.replicas), _zeros(self._stack)
        for inputs, targets in self._samples:
            state = self._state(inputs, targets)
            if not self._summed:
                loss += state.loss
                self._add_gradient(state, gradient)
            if self._keep:
                self._kept.append(state)
            yield state
        if not self._summed:
            self._summed.append((loss, _flatten(gradient)))

    def _state(self, inputs: Tensor, targets: Tensor) -> _State:
        weights = self._stack.weights
        start = inputs.to(weights[0]).unsqueeze(0)
        *hidden, output = self._stack.layers(start)
        before = [start, *hidden]
        error = output - targets.to(weights[0])
        slopes = [2 * self._factor * error]
        for k in range(len(weights) - 1, 0, -1):
            slopes.insert(0, self._through(before[k], torch.bmm(slopes[0], weights[k])))
        return _State(before, slopes, self._factor * error.square().sum((1, 2)))

    def _add_gradient(self, state: _State, totals: Sequence[Tensor]) -> None:
        for k, (slope, before) in enumerate(zip(state.slopes, state.before, strict=True)):
            totals[k].baddbmm_(slope.mT, before.expand(len(slope), -1, -1))
            if self._stack.biases:
                totals[self._stack.depth + k].add_(slope.sum(1))

    def _add_product(self, state: _State, direction: Stack, totals: Sequence[Tensor]) -> None:
        weights, steps, depth = self._stack.weights, direction.weights, self._stack.depth
        moved: list[Tensor] = []
        for k in range(depth):
            change = torch.bmm(state.before[k].expand(len(steps[k]), -1, -1), steps[k].mT)
            if k:
                change.baddbmm_(moved[-1], weights[k].mT)
            if direction.biases:
                change += direction.biases[k].unsqueeze(1)
            moved.append(self._through(state.before[k + 1], change) if k < depth - 1 else change)
        back = 2 * self._factor * moved.pop()
        for k in range(depth - 1, -1, -1):
            totals[k].baddbmm_(back.mT, state.before[k].expand(len(back), -1, -1))
            if direction.biases:
                totals[depth + k].add_(back.sum(1))
            if k:
                totals[k].baddbmm_(state.slopes[k].mT, moved[k - 1])
                back = torch.bmm(back, weights[k]).baddbmm_(state.slopes[k], steps[k])
                back = self._through(state.before[k], back)

    def _through(self, activation: Tensor, change: Tensor) -> Tensor:
        """A change of a hidden layer's output, or of the loss by it, through the layer's rectifiers."""
        return change.mul_(activation > 0) if self._stack.rectified else change


def state_bytes(stack: Stack, samples: int) -> int:
    """Bytes of all replicas' layer inputs and slopes."""
    numbers = sum(2 * weight.shape[1] for weight in stack.weights) - stack.weights[-1].shape[1]
    return stack.replicas * samples * numbers * stack.weights[0].element_size()


def _zeros(stack: Stack) -> list[Tensor]:
    return [torch.zeros_like(parameter) for parameter in stack.parameters]


def _flatten(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten(1) for tensor in tensors], 1)
