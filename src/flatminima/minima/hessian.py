"""Exact Hessians of deep linear networks, from second moments alone (theory.md I1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.curvature.subspace import Eigenpairs
from flatminima.minima.factors import Factors, flatten, unflatten
from flatminima.minima.groups import by_groups, certified
from flatminima.minima.range_hessian import RangeHessian, range_size

SINGLE = 1e-6
"""Tolerance down to which eigenvectors are searched in float32."""
ROUNDING = 4 * torch.finfo(torch.float32).eps
"""Bound on the residual, relative to the value, that the rounding of products in float32 adds to that of the search."""


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


class WholeHessian:
    """The Hessian of E||W_m...W_1 x - y||^2, as one operator on (replicas, size).

    A product is the derivative dB_k' G_k + B_k' dG_k of the gradients along a direction (see `Factors`): a few small
    matrix products, whatever the number of samples.
    """

    def __init__(self, factors: Factors) -> None:
        """Set up the operator; products are computed in the dtype of the factors."""
        self._factors = factors

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return len(self._factors.signal), sum(rows * columns for rows, columns in self._factors.shapes)

    @property
    def device(self) -> torch.device:
        """That of the weights."""
        return self._factors.signal.device

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        return flatten(self._factors.pulled(self._factors.slopes))

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size), in the vector's dtype; v in the order of the weights, row by row."""
        after, slopes = self._factors.after, self._factors.slopes[:-1]
        *hidden, last = unflatten(vector.to(self._factors.signal), self._factors.shapes)
        images = [b @ direction for b, direction in zip(after, hidden, strict=True)]
        turned = [g @ direction.mT for g, direction in zip(slopes, hidden, strict=True)]
        outer, inner = self._factors.changes([*images, last], turned)
        *products, end = self._factors.pulled(inner)
        terms = zip(products, outer, slopes, strict=True)
        return flatten([*(torch.baddbmm(product, b.mT, g) for product, b, g in terms), end]).to(vector)

    def leading_direction(self) -> Tensor:
        """The top eigenvector of the Gauss-Newton part 2 J'J, roughly, shape (replicas, size): a start for solvers."""
        return flatten(self._factors.pulled(self._factors.leading_map()))

    def directions(self, coordinates: Tensor) -> Tensor:
        """Directions of the weights, which are their own coordinates."""
        return coordinates


class MomentHessian(WholeHessian):
    """The Hessian of E||W_m...W_1 x - y||^2 anywhere, from second moments, and its sharpness."""

    def __init__(self, weights: Sequence[Tensor], input_moment: Tensor, cross_moment: Tensor) -> None:
        """Set up the operator; products are computed in the dtype of the weights.

        Args:
            weights: m layers, W_k of shape (replicas, d_k, d_{k-1}).
            input_moment: Sx, shape (d_x, d_x) or (replicas, d_x, d_x).
            cross_moment: Syx, shape (d_y, d_x) or (replicas, d_y, d_x).
        """
        super().__init__(Factors.at(weights, input_moment, cross_moment))

    def top_eigenpair(self, tolerance: float, max_products: int = 1000, seed: int = 0) -> Eigenpairs:
        """Sharpness with its residual and vector, searched from the leading direction and a random one.

        The search is on the Hessian's range where that is smaller, and in float32 where the tolerance allows it. Values
        and residuals are those of one more product with the whole Hessian, in the dtype of the weights.
        """
        replicas = self.shape[0]
        return by_groups(
            replicas, lambda group: _top_eigenpair(self._factors.select(group), tolerance, max_products, seed)
        )


def _top_eigenpair(factors: Factors, tolerance: float, max_products: int, seed: int) -> Eigenpairs:
    """Sharpness of replicas that are searched together."""
    whole, rough = WholeHessian(factors), factors
    if tolerance >= SINGLE:
        rough, tolerance = factors.float(), tolerance - ROUNDING
    hessian = RangeHessian(rough) if range_size(rough) < whole.shape[1] else WholeHessian(rough)
    near = hessian.leading_direction().double().unsqueeze(1)
    pairs = stacked_eigenpairs(hessian, tolerance=tolerance, max_products=max_products, near=near, seed=seed)
    return certified(whole, pairs, hessian.directions(pairs.eigenvectors[:, 0]))


def _after(weights: Sequence[Tensor]) -> list[Tensor]:
    """B_1 = W_m...W_2, ..., B_m = I."""
    last = weights[-1]
    products = [torch.eye(last.shape[-2], dtype=last.dtype, device=last.device).expand(len(last), -1, -1)]
    for weight in reversed(weights[1:]):
        products.insert(0, products[0] @ weight)
    return products
