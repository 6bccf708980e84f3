"""Exact Hessians of deep linear networks, from second moments alone (theory.md I1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.curvature.subspace import Eigenpairs

POWER_STEPS = 12


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
        before = [root.expand(len(weights[0]), *root.shape[-2:])]
        for weight in weights[:-1]:
            before.append(weight @ before[-1])
        return cls(tuple(b @ b.mT for b in _after(weights)), tuple(a.mT @ a for a in before))

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, d_y d_x)."""
        return len(self.inputs[0]), self.outputs[0].shape[-1] * self.inputs[0].shape[-1]

    @property
    def device(self) -> torch.device:
        """That of the layers."""
        return self.inputs[0].device

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

    With A_k = W_{k-1}...W_1, B_k = W_m...W_{k+1}, P = W_m...W_1 and R = 2 (P Sx - Syx) the gradient in W_k is
    B_k' R A_k'. A product is its derivative along V, a few small matrix products, whatever the number of samples. They
    are ordered so that all of them have d_y rows where that is less than the hidden widths, or else hidden ones.
    """

    def __init__(self, weights: Sequence[Tensor], input_moment: Tensor, cross_moment: Tensor) -> None:
        """Set up the operator.

        Args:
            weights: m layers, W_k of shape (replicas, d_k, d_{k-1}).
            input_moment: Sx, shape (d_x, d_x) or (replicas, d_x, d_x).
            cross_moment: Syx, shape (d_y, d_x) or (replicas, d_y, d_x).
        """
        self._weights = tuple(weights)
        self._before, self._moment = _partial_products(weights), input_moment
        self._signal = self._before.pop() @ input_moment
        slope = 2 * (self._signal - cross_moment)
        hidden = min((weight.shape[-2] for weight in weights[:-1]), default=0)
        kind = _ThroughOutputs if slope.shape[-2] < hidden else _ThroughHidden
        self._factors = kind(self._weights, self._before, slope, input_moment)

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return len(self._weights[0]), sum(weight[0].numel() for weight in self._weights)

    @property
    def device(self) -> torch.device:
        """That of the weights."""
        return self._weights[0].device

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        return _flatten(self._factors.gradient())

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size); v in the order of the weights, each row by row.

        They are computed in the weights' dtype and returned in the vector's.
        """
        parts = torch.split(vector.to(self._weights[0]), [weight[0].numel() for weight in self._weights], 1)
        directions = [part.reshape(weight.shape) for part, weight in zip(parts, self._weights, strict=True)]
        return _flatten(self._factors.product(directions)).to(vector)

    def leading_direction(self) -> Tensor:
        """The top eigenvector of the Gauss-Newton part 2 J'J, roughly, shape (replicas, size): a start for solvers.

        By power iteration on maps N of shape (d_y, d_x), N <- sum_k B_k B_k' N A_k' A_k Sx, from the network's map.
        """
        after, signal = _after(self._weights), self._signal
        for _ in range(POWER_STEPS):
            pulled = _pulled(signal, self._before, after)
            signal = _pushed(_images(pulled, after), self._before) @ self._moment
            signal = signal / torch.linalg.matrix_norm(signal, keepdim=True)
        return _flatten(_pulled(signal, self._before, after))

    def top_eigenpair(self, tolerance: float, max_products: int = 1000, seed: int = 0) -> Eigenpairs:
        """Sharpness with its residual and vector, searched from the leading direction and a random one."""
        near = self.leading_direction().unsqueeze(1)
        return stacked_eigenpairs(self, tolerance=tolerance, max_products=max_products, near=near, seed=seed)


class _ThroughHidden:
    """Recursion E_{k-1} = W_k' E_k for E_k = B_k' R, and its derivatives with those of A_k."""

    def __init__(self, weights: Sequence[Tensor], before: Sequence[Tensor], slope: Tensor, moment: Tensor) -> None:
        self._weights, self._before, self._moment = weights, before, moment
        self._after = [slope]
        for weight in reversed(weights[1:]):
            self._after.insert(0, weight.mT @ self._after[0])

    def gradient(self) -> list[Tensor]:
        return [self._after[0], *(e @ a.mT for e, a in zip(self._after[1:], self._before, strict=True))]

    def product(self, directions: Sequence[Tensor]) -> list[Tensor]:
        tangents = [directions[0]]
        for weight, direction, before in zip(self._weights[1:], directions[1:], self._before, strict=True):
            tangents.append(weight @ tangents[-1] + direction @ before)
        back = 2 * tangents.pop() @ self._moment
        products: list[Tensor] = []
        for k in range(len(self._weights) - 1, 0, -1):
            products.insert(0, back @ self._before[k - 1].mT + self._after[k] @ tangents[k - 1].mT)
            back = self._weights[k].mT @ back + directions[k].mT @ self._after[k]
        return [back, *products]


class _ThroughOutputs:
    """dB_k' G_k + B_k' (dR A_k' + R dA_k') with G_k = R A_k': R dA_k' and dB_k follow recursions with d_y rows."""

    def __init__(self, weights: Sequence[Tensor], before: Sequence[Tensor], slope: Tensor, moment: Tensor) -> None:
        self._weights, self._before, self._moment = weights, before, moment
        self._slopes = [slope, *(slope @ a.mT for a in before)]
        self._after = _after(weights)

    def gradient(self) -> list[Tensor]:
        return [b.mT @ g for b, g in zip(self._after, self._slopes, strict=True)]

    def product(self, directions: Sequence[Tensor]) -> list[Tensor]:
        moved = _images(directions, self._after)
        change = 2 * _pushed(moved, self._before) @ self._moment
        inner, lagging = [change], self._slopes[0] @ directions[0].mT
        for k, a in enumerate(self._before, 1):
            inner.append(change @ a.mT + lagging)
            lagging = lagging @ self._weights[k].mT + self._slopes[k] @ directions[k].mT
        outer = [torch.zeros_like(self._after[-1])]
        for weight, step in zip(reversed(self._weights[1:]), reversed(moved[1:]), strict=True):
            outer.insert(0, outer[0] @ weight + step)
        terms = zip(outer, self._slopes, self._after, inner, strict=True)
        return [db.mT @ g + b.mT @ part for db, g, b, part in terms]


def _pulled(signal: Tensor, before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
    """B_k' N A_k' for all layers."""
    parts = [signal, *(signal @ a.mT for a in before)]
    return [b.mT @ part for b, part in zip(after, parts, strict=True)]


def _images(directions: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
    """B_k V_k for all layers."""
    return [b @ direction for b, direction in zip(after, directions, strict=True)]


def _pushed(images: Sequence[Tensor], before: Sequence[Tensor]) -> Tensor:
    """The change of the product, sum_k B_k V_k A_k."""
    change: Tensor = images[0] + sum(image @ a for image, a in zip(images[1:], before, strict=True))
    return change


def _after(weights: Sequence[Tensor]) -> list[Tensor]:
    """B_1 = W_m...W_2, ..., B_m = I."""
    last = weights[-1]
    products = [torch.eye(last.shape[-2], dtype=last.dtype, device=last.device).expand(len(last), -1, -1)]
    for weight in reversed(weights[1:]):
        products.insert(0, products[0] @ weight)
    return products


def _partial_products(weights: Sequence[Tensor]) -> list[Tensor]:
    """W_1, W_2 W_1, ..., W_m...W_1."""
    products = [weights[0]]
    for weight in weights[1:]:
        products.append(weight @ products[-1])
    return products


def _flatten(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten(1) for tensor in tensors], 1)
