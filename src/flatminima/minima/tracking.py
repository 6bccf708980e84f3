"""Sharpness of linear networks at every step of gradient descent on second moments, certified, for a share of a step.

The top eigenvectors of such networks have layers of low rank. A product of the Hessian with vectors V_k = P_k' Q_k of
rank r takes products of the layers with a few rows, in place of matrices with matrices, and reuses all that the
gradient of the step has computed. Such a vector follows the eigenvector by a step of power iteration for each step of
training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from flatminima.minima.hessian import MomentHessian
from flatminima.training.moment_problem import DiagonalProblem, Sweep

RANK = 2
MOST = 4
"""Most products at a step."""
START = 1e-3
"""Largest residual of a start, relative to the eigenvalue."""


@dataclass(frozen=True)
class LowRank:
    """A direction V_k = P_k' Q_k in the weights of stacked networks; rows, for products with few rows are the faster.

    Attributes:
        left: m tensors P_k, shape (replicas, rows, d_k).
        right: m tensors Q_k, shape (replicas, rows, d_{k-1}).
    """

    left: list[Tensor]
    right: list[Tensor]

    @classmethod
    def nearest(cls, vectors: Tensor, weights: Sequence[Tensor], rank: int) -> Self:
        """Truncate vectors in the order of the weights, shape (replicas, size), to a rank and length one."""
        left, right = [], []
        parts = torch.split(vectors, [weight[0].numel() for weight in weights], 1)
        for part, weight in zip(parts, weights, strict=True):
            u, values, v = torch.linalg.svd(part.reshape(weight.shape), full_matrices=False)
            left.append(u.mT[:, :rank].contiguous())
            right.append((values.unsqueeze(2) * v)[:, :rank].contiguous())
        return cls(left, right).unit()

    def select(self, index: Tensor) -> Self:
        """Directions of some replicas."""
        return type(self)([p[index] for p in self.left], [q[index] for q in self.right])

    def inner(self, other: Self) -> Tensor:
        """Inner products, shape (replicas,)."""
        pairs = zip(self.left, other.left, self.right, other.right, strict=True)
        return torch.stack([((p @ x.mT) * (q @ y.mT)).sum((1, 2)) for p, x, q, y in pairs]).sum(0)

    def unit(self) -> Self:
        """Directions of length one."""
        length = self.inner(self).sqrt().reshape(-1, 1, 1)
        return type(self)(self.left, [q / length for q in self.right])

    def truncated(self, near: Self) -> Self:
        """Truncate to the rank of a direction near it, by a step of subspace iteration, and to length one."""
        bases = [_orthonormal((q @ y.mT) @ x) for x, y, q in zip(self.left, self.right, near.right, strict=True)]
        return type(self)(bases, [(p @ x.mT) @ y for x, y, p in zip(self.left, self.right, bases, strict=True)]).unit()


def hessian_product(direction: LowRank, weights: Sequence[Tensor], problem: DiagonalProblem, sweep: Sweep) -> LowRank:
    """Product of the Hessian of E||W_m...W_1 x - y||^2 with a direction of low rank; it has 2 m times as many rows.

    With A_k = W_k...W_1, E_k = 2 (W_m...W_{k+1})' (P Sx - Syx) and the gradient E_k A_{k-1}' in W_k, it is
    dE_k A_{k-1}' + E_k dA_{k-1}' in W_k, where dA_k = W_k dA_{k-1} + V_k A_{k-1} and dE_{k-1} = W_k' dE_k + V_k' E_k.

    Args:
        direction: V_k = P_k' Q_k.
        weights: W_k, shape (replicas, d_k, d_{k-1}).
        problem: the moments.
        sweep: A_k and E_k of the weights.
    """
    tangents = [(direction.left[0], direction.right[0])]
    for weight, p, q, a in zip(weights[1:], direction.left[1:], direction.right[1:], sweep.before, strict=True):
        left, right = tangents[-1]
        tangents.append((torch.cat([left @ weight.mT, p], 1), torch.cat([right, q @ a], 1)))
    left, right = tangents.pop()
    right = right * (2 * problem.spectrum)
    product = LowRank([], [])
    for k in range(len(weights) - 1, 0, -1):
        slope, (tangent_left, tangent_right) = sweep.slopes[k], tangents[k - 1]
        product.left.insert(0, torch.cat([left, tangent_right @ slope.mT], 1))
        product.right.insert(0, torch.cat([right @ sweep.before[k - 1].mT, tangent_left], 1))
        left = torch.cat([left @ weights[k], direction.right[k]], 1)
        right = torch.cat([right, direction.left[k] @ slope], 1)
    return LowRank([left, *product.left], [right, *product.right])


class SharpnessTracker:
    """Follows the largest eigenvalue of the Hessian of every replica through the steps of `gradient_descent`.

    Certified at every step that is seen: the value is not above the largest eigenvalue, and some eigenvalue lies within
    the residual of it, up to the rounding of the products, and to 1e-7 of it. That it is the largest is very likely
    only: the start is searched from nothing, and where another eigenvalue becomes the largest, power iteration needs
    more steps to find it the closer the two are.

    Attributes:
        steps: those that were seen.
        values: Rayleigh quotients, one tensor of shape (replicas,) for each step; NaN for replicas that have stopped.
        residuals: ||H v - value v||, likewise.
        products: number of products, after the search for the start.
    """

    def __init__(self, every: int = 1, tolerance: float = 0.05, rank: int = RANK) -> None:
        """Prepare.

        Args:
            every: number of steps from one that is seen to the next.
            tolerance: residual, relative to the value, above which a step takes more than one product, at most MOST.
            rank: of the layers of the vector: what it leaves out of the eigenvector is in the residual.
        """
        self._every, self._tolerance, self._rank = every, tolerance, rank
        self.steps: list[int] = []
        self.values: list[Tensor] = []
        self.residuals: list[Tensor] = []
        self.products = 0

    def see(self, step: int, active: Tensor, weights: Sequence[Tensor], problem: DiagonalProblem, sweep: Sweep) -> None:
        """Take products at this step, from the vector of the step seen before; the first searches from nothing.

        Args:
            step: number of steps of training so far.
            active: indices of the replicas that are still trained.
            weights: theirs.
            problem: the moments, in coordinates in which Sx is diagonal.
            sweep: theirs.
        """
        if step % self._every:
            return
        if not self.steps:
            self._replicas, self._active = len(active), active
            moment = torch.diag_embed(problem.spectrum.squeeze(-2))
            top = MomentHessian(weights, moment, problem.cross_moment).top_eigenpair(START)
            self._vector = LowRank.nearest(top.eigenvectors[:, 0], weights, self._rank)
        elif len(active) < len(self._active):
            self._vector, self._active = self._vector.select(torch.isin(self._active, active)), active
        for _ in range(MOST):
            image = hessian_product(self._vector, weights, problem, sweep)
            value = image.inner(self._vector)
            residual = (image.inner(image) - value.square()).clamp_min(0).sqrt()
            self._vector, self.products = image.truncated(self._vector), self.products + 1
            if not (residual > self._tolerance * value.abs()).any():
                break
        self.steps.append(step)
        self.values.append(self._scattered(value))
        self.residuals.append(self._scattered(residual))

    def _scattered(self, numbers: Tensor) -> Tensor:
        return numbers.new_full((self._replicas,), torch.nan).index_copy(0, self._active, numbers)


def _orthonormal(rows: Tensor) -> Tensor:
    """Orthonormal rows with the span of others, shape (replicas, rows, size)."""
    done: list[Tensor] = []
    for row in rows.unbind(1):
        for other in done:
            row = row - (row * other).sum(1, keepdim=True) * other
        length: Tensor = torch.linalg.vector_norm(row, dim=1, keepdim=True)
        done.append(row / length.clamp_min(torch.finfo(row.dtype).tiny))
    return torch.stack(done, 1)
