"""Hessians of many replicas at once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flatminima.curvature.differentiation import Product, grad, hessian_product
from flatminima.curvature.network import Parameters
from flatminima.curvature.products import Retained, flatten, unflatten

Loss = Callable[[Parameters], Tensor]


class StackedHessian:
    """Hessians of the losses of many replicas, as one operator on (replicas, size).

    Replicas do not interact, so the gradient of the summed losses holds each replica's own gradient. The graph of a
    chunk that is alone is kept between products; of several, each is built again for every product, in bounded memory.
    """

    def __init__(self, chunks: Sequence[Loss], parameters: Sequence[Tensor]) -> None:
        """Set up the operator.

        Args:
            chunks: functions of the parameters whose values, shape (replicas,), add up to the loss.
            parameters: tensors of shape (replicas, ...).
        """
        self._chunks = chunks
        self._parameters = tuple(p.detach().clone().requires_grad_() for p in parameters)
        self._retained: Retained[Loss] = Retained(room=int(len(chunks) == 1))

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return len(self._parameters[0]), sum(p[0].numel() for p in self._parameters)

    @property
    def device(self) -> torch.device:
        """That of the parameters."""
        return self._parameters[0].device

    def loss(self) -> Tensor:
        """Losses, shape (replicas,)."""
        with torch.no_grad():
            return torch.stack([chunk(self._parameters) for chunk in self._chunks]).sum(0)

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        gradients = [grad(chunk(self._parameters).sum(), self._parameters) for chunk in self._chunks]
        return torch.stack([flatten(gradient, 1) for gradient in gradients]).sum(0)

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size), computed in the parameters' dtype and returned in the vector's."""
        direction = unflatten(vector.to(self._parameters[0]), self._parameters, 1)
        (product,) = self._retained.products(self._build, self._chunks, [direction])
        return flatten(product, 1).to(vector)

    def _build(self, chunk: Loss) -> Product:
        return hessian_product(chunk(self._parameters).sum(), self._parameters)
