"""Exact Hessians of deep linear networks, from second moments alone (theory.md I1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MinimumHessian:
    """The operator M -> 2 sum_k B_k B_k' M C' A_k' A_k C on maps M of shape (d_y, d_x), for stacked networks.

    With A_k = W_{k-1}...W_1 and B_k = W_m...W_{k+1} the Hessian at a global minimum is 2 J'J, and this is 2 J J': the
    two have the same eigenvalues, but for zeros. The residual term of the Hessian vanishes where the product of the
    layers is T = Syx Sx^{-1}, so every hidden width must be at least the rank of T; the labels may be noisy.

    Attributes:
        outputs: m tensors B_k B_k', shape (replicas, d_y, d_y).
        inputs: m tensors C' A_k' A_k C, shape (replicas, d_x, d_x).
    """

    outputs: tuple[Tensor, ...]
    inputs: tuple[Tensor, ...]

    @classmethod
    def at(cls, weights: Sequence[Tensor], root: Tensor) -> "MinimumHessian":
        """The operator at global minima.

        Args:
            weights: m layers, W_k of shape (replicas, d_k, d_{k-1}).
            root: C with C C' = Sx, shape (d_0, d_0) or (replicas, d_0, d_0).
        """
        replicas, last = weights[-1].shape[0], weights[-1].shape[1]
        before = [root.expand(replicas, *root.shape[-2:])]
        after = [torch.eye(last, dtype=root.dtype).expand(replicas, last, last)]
        for weight in weights[:-1]:
            before.append(weight @ before[-1])
        for weight in reversed(weights[1:]):
            after.append(after[-1] @ weight)
        return cls(tuple(b @ b.mT for b in reversed(after)), tuple(a.mT @ a for a in before))

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, d_y d_x)."""
        return len(self.inputs[0]), self.outputs[0].shape[-1] * self.inputs[0].shape[-1]

    def matvec(self, vector: Tensor) -> Tensor:
        """The operator's products with maps flattened row by row, shape (replicas, d_y d_x)."""
        maps = vector.reshape(len(vector), self.outputs[0].shape[-1], self.inputs[0].shape[-1])
        images = [b @ maps @ a for b, a in zip(self.outputs, self.inputs, strict=True)]
        return 2 * torch.stack(images).sum(0).flatten(1)

    def dense(self) -> Tensor:
        """The operator as matrices, shape (replicas, d_y d_x, d_y d_x)."""
        terms = [torch.einsum("rij,rkl->rikjl", b, a) for b, a in zip(self.outputs, self.inputs, strict=True)]
        replicas, size = self.shape
        return 2 * torch.stack(terms).sum(0).reshape(replicas, size, size)

    def inner_product(self, matrix: Tensor) -> Tensor:
        """Traces of the operator times constant symmetric matrices, shape (replicas,); cheap to differentiate.

        Args:
            matrix: shape (replicas, d_y d_x, d_y d_x).
        """
        outputs, inputs = self.outputs[0].shape[-1], self.inputs[0].shape[-1]
        parts = matrix.reshape(-1, outputs, inputs, outputs, inputs).transpose(2, 3)
        parts = parts.reshape(len(matrix), outputs**2, inputs**2)
        terms = [
            b.reshape(-1, 1, outputs**2) @ parts @ a.reshape(-1, inputs**2, 1)
            for b, a in zip(self.outputs, self.inputs, strict=True)
        ]
        return 2 * torch.stack(terms).sum(0).flatten()

    def spectrum(self) -> Tensor:
        """Eigenvalues in ascending order, shape (replicas, d_y d_x); all others of the Hessian are zero."""
        values: Tensor = torch.linalg.eigvalsh(self.dense())
        return values


class MomentHessian:
    """The Hessian of E||W_m...W_1 x - y||^2 anywhere, as one operator on (replicas, size).

    With A_k = W_{k-1}...W_1, P = W_m...W_1, E_m = 2 (P Sx - Syx) and E_{k-1} = W_k' E_k the gradient in W_k is
    E_k A_k'. A product is its derivative along V, by the same two recursions: about two gradients' worth of small
    matrix products, whatever the number of samples.
    """

    def __init__(self, weights: Sequence[Tensor], input_moment: Tensor, cross_moment: Tensor) -> None:
        """Set up the operator.

        Args:
            weights: m layers, W_k of shape (replicas, d_k, d_{k-1}).
            input_moment: Sx, shape (d_x, d_x) or (replicas, d_x, d_x).
            cross_moment: Syx, shape (d_y, d_x) or (replicas, d_y, d_x).
        """
        self._weights = tuple(weights)
        self._input_moment = input_moment
        self._before = [weights[0]]
        for weight in weights[1:]:
            self._before.append(weight @ self._before[-1])
        self._after = [2 * (self._before.pop() @ input_moment - cross_moment)]
        for weight in reversed(weights[1:]):
            self._after.insert(0, weight.mT @ self._after[0])

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return len(self._weights[0]), sum(weight[0].numel() for weight in self._weights)

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        later = [e @ a.mT for e, a in zip(self._after[1:], self._before, strict=True)]
        return _flatten([self._after[0], *later])

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size); v in the order of the weights, each row by row."""
        directions = self._unflatten(vector)
        tangents = [directions[0]]
        for weight, direction, before in zip(self._weights[1:], directions[1:], self._before, strict=True):
            tangents.append(weight @ tangents[-1] + direction @ before)
        back = 2 * tangents.pop() @ self._input_moment
        products = []
        for k in range(len(self._weights) - 1, 0, -1):
            products.append(back @ self._before[k - 1].mT + self._after[k] @ tangents[k - 1].mT)
            back = self._weights[k].mT @ back + directions[k].mT @ self._after[k]
        return _flatten([back, *reversed(products)])

    def _unflatten(self, vector: Tensor) -> list[Tensor]:
        parts = torch.split(vector, [weight[0].numel() for weight in self._weights], 1)
        return [part.reshape(weight.shape) for part, weight in zip(parts, self._weights, strict=True)]


def _flatten(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten(1) for tensor in tensors], 1)
