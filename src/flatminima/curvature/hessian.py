"""Hessian-vector products of stacked networks."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Parameters = tuple[Tensor, ...]
Loss = Callable[[Parameters], Tensor]


class StackedHessian:
    """Hessians of the losses of many replicas, as one operator on (replicas, size).

    Replicas do not interact, so the gradient of the summed losses holds each replica's own gradient. With one chunk
    the graph of the gradient is built once and kept; with more it is rebuilt for every product, in bounded memory.
    """

    def __init__(self, chunks: Sequence[Loss], parameters: Sequence[Tensor]) -> None:
        """Set up the operator.

        Args:
            chunks: functions of the parameters whose values, shape (replicas,), add up to the loss.
            parameters: tensors of shape (replicas, ...).
        """
        self._chunks = chunks
        self._parameters = tuple(p.detach().clone().requires_grad_() for p in parameters)
        self._gradient: list[Tensor] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return len(self._parameters[0]), sum(p[0].numel() for p in self._parameters)

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        return sum((self._flatten(g) for g in self._gradients(keep=False)), start=torch.tensor(0.0))

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size)."""
        direction = self._unflatten(vector)
        total = torch.zeros_like(vector)
        for gradient in self._gradients(keep=True):
            slope = torch.stack([(g * d).sum() for g, d in zip(gradient, direction, strict=True)]).sum()
            product = torch.autograd.grad(
                slope, self._parameters, retain_graph=self._gradient is not None, materialize_grads=True
            )
            total = total + self._flatten(product)
        return total

    def _gradients(self, *, keep: bool) -> Iterable[list[Tensor]]:
        if len(self._chunks) > 1 or not keep:
            return (self._differentiate(chunk, keep=keep) for chunk in self._chunks)
        if self._gradient is None:
            self._gradient = self._differentiate(self._chunks[0], keep=True)
        return [self._gradient]

    def _differentiate(self, chunk: Loss, *, keep: bool) -> list[Tensor]:
        loss = chunk(self._parameters).sum()
        return list(torch.autograd.grad(loss, self._parameters, create_graph=keep, materialize_grads=True))

    def _flatten(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([t.reshape(len(t), -1) for t in tensors], 1)

    def _unflatten(self, vector: Tensor) -> list[Tensor]:
        parts = torch.split(vector, [p[0].numel() for p in self._parameters], 1)
        return [part.reshape(p.shape) for part, p in zip(parts, self._parameters, strict=True)]
