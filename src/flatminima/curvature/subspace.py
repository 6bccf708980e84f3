"""Subspaces in which eigenpairs are searched: orthonormal bases, their images, and projections of stacked operators."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from flatminima.curvature.differences import refuse_asymmetric

Ends = Literal["top", "bottom", "both"]
Sought = Literal["pairs", "values"]

GUARD = 1
"""Pairs beyond the wanted ones that a rough solve hands on, lest the order of the eigenvalues be another."""
BASIS = 32
NEAREST = 0.05
"""Smallest gap to a rough eigenvalue that a correction trusts, relative to the largest of them."""
VANISHED = 1e3
"""Length, in units in the last place, below which the remainder of a unit vector is rounding."""
KEPT = 0.5
"""Share of its length above which a vector needs the basis removed only once."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues with their vectors; for stacked operators all tensors have a first dimension of replicas.

    Attributes:
        eigenvalues: Ritz values, shape (pairs,): of the top from the largest down, then of the bottom from the
            smallest up.
        eigenvectors: unit vectors, shape (pairs, size).
        residuals: ||H v - value v||, shape (pairs,): some eigenvalue lies within this distance of the value.
        products: number of products with the operator; those with a rough one are not counted.
        errors: bounds on the errors of the values, shape (pairs,), by `value_errors`: at most the residuals. They hold
            if the pairs and the next one are the outermost of the spectrum, each with an eigenvalue of its own.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    residuals: Tensor
    products: int
    errors: Tensor


class Blocks(Protocol):
    """Stacked operators that take blocks of vectors."""

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device
    rounding: float

    def images(self, block: Tensor) -> Tensor:
        """Products with a block of vectors, shape (replicas, columns, size)."""


@dataclass(frozen=True)
class Goal:
    """Number, ends and tolerance of the wanted pairs, and what the tolerance is for."""

    k: int
    ends: Ends
    tolerance: float
    max_products: int
    sought: Sought = "pairs"

    @property
    def wanted(self) -> int:
        """Number of pairs."""
        return 2 * self.k if self.ends == "both" else self.k

    @property
    def neighbours(self) -> int:
        """Number of wanted pairs, and those next to them that bound their gaps: one for each end."""
        return self.wanted + (2 if self.ends == "both" else 1)

    def converged(self, values: Tensor, residuals: Tensor, least: Tensor) -> Tensor:
        """Whether each pair is known to the tolerance, or its residual to rounding, `least`."""
        errors = residuals if self.sought == "pairs" else value_errors(values, residuals)
        return (errors <= self.tolerance * values.abs()) | (residuals <= least)

    def order(self, dimension: int) -> Tensor:
        """Indices of eigenvalues in ascending order, the wanted ones first; of both ends, they alternate."""
        down = torch.arange(dimension - 1, -1, -1)
        if self.ends == "both":
            return torch.stack([down, down.flip(0)], 1).flatten()[:dimension]
        return down if self.ends == "top" else down.flip(0)

    def chosen(self, pairs: Eigenpairs) -> Eigenpairs:
        """The wanted ones of pairs in that order, as many as there are, those of the top first."""
        index = torch.arange(min(self.wanted, pairs.eigenvalues.shape[1]))
        if self.ends == "both":
            index = torch.cat([index[::2], index[1::2]])
        return Eigenpairs(
            pairs.eigenvalues[:, index],
            pairs.eigenvectors[:, index],
            pairs.residuals[:, index],
            pairs.products,
            pairs.errors[:, index],
        )


def value_errors(values: Tensor, residuals: Tensor) -> Tensor:
    """Bound the errors of Ritz values by min(r, r^2 / gap) (Temple 1928, Kato 1949).

    The gap of a pair is the distance from its value to the nearest end of another pair's interval [value - r, value +
    r], in which an eigenvalue lies. The bound holds if no eigenvalue in the gap is missing among the pairs.

    Args:
        values: Ritz values, shape (..., pairs), of two pairs or more.
        residuals: r of each, in that shape.
    """
    gaps = spacings(values) - residuals.unsqueeze(-2)
    nearest = gaps.amin(-1).clamp_min(0)
    return torch.minimum(residuals, residuals.square() / nearest.clamp_min(torch.finfo(values.dtype).tiny))


def crowded(values: Tensor, residuals: Tensor) -> Tensor:
    """Whether the residual of each pair is more than half of the distance to the nearest other value."""
    return residuals > spacings(values).amin(-1) / 2


def spacings(values: Tensor) -> Tensor:
    """Distances between values, shape (..., pairs, pairs); infinite from each to itself."""
    between = (values.unsqueeze(-1) - values.unsqueeze(-2)).abs()
    return between + torch.diag(values.new_full(values.shape[-1:], torch.inf))


class Correction:
    """Davidson's correction (value - H)^-1 r of residuals, with H known roughly on a space and zero elsewhere."""

    def __init__(self, values: Tensor, vectors: Tensor) -> None:
        """Know the rough pairs, shapes (replicas, pairs) and (replicas, pairs, size)."""
        self._values, self._vectors = values, vectors

    def __call__(self, remainders: Tensor, values: Tensor) -> Tensor:
        """Corrected residuals, shape (replicas, columns, size), up to factors."""
        gaps = values.unsqueeze(2).to(self._values) - self._values.unsqueeze(1)
        least = NEAREST * self._values.abs().amax(1).reshape(-1, 1, 1)
        gaps = torch.where(gaps.abs() < least, torch.copysign(least, gaps), gaps)
        weights = values.unsqueeze(2).to(gaps) / gaps - 1
        parts = remainders.to(self._vectors) @ self._vectors.mT
        return remainders + ((weights * parts) @ self._vectors).to(remainders)


class Subspace:
    """An orthonormal basis, its images under the operators, and the eigenpairs of the projections onto it.

    Attributes:
        values: Ritz values, shape (replicas, dimension), in the order of the goal.
    """

    def __init__(self, operator: Blocks, goal: Goal, dtype: torch.dtype, generator: torch.Generator) -> None:
        """Start with nothing.

        Args:
            operator: the stack.
            goal: which pairs are wanted.
            dtype: of basis and projection.
            generator: of random vectors, where others vanish.
        """
        replicas, size = operator.shape
        capacity = min(max(BASIS, 3 * (goal.wanted + GUARD)), size)
        self.products = self.dimension = 0
        self._operator, self._goal, self._generator = operator, goal, generator
        self._basis = torch.empty(replicas, capacity, size, dtype=dtype, device=operator.device)
        self._images = torch.empty_like(self._basis, dtype=operator.dtype)
        self._projection = self._basis.new_zeros(replicas, capacity, capacity)

    @property
    def left(self) -> int:
        """Dimensions of the whole space that the subspace lacks."""
        return self._basis.shape[2] - self.dimension

    @property
    def room(self) -> int:
        """Number of vectors that still fit before a restart."""
        return self._basis.shape[1] - self.dimension

    def expand(self, block: Tensor) -> None:
        """Add vectors, shape (replicas, columns, size)."""
        new = slice(self.dimension, self.dimension + block.shape[1])
        self._basis[:, new] = self._orthonormal(block.to(self._basis))
        images = self._operator.images(self._basis[:, new])
        self._images[:, new] = images
        self.dimension, self.products = new.stop, self.products + block.shape[1]
        cross = self._basis[:, : new.stop] @ images.mT
        if not new.start:
            refuse_asymmetric(cross, self._operator.rounding)
        self._projection[:, : new.stop, new] = cross
        self._projection[:, new, : new.stop] = cross.mT
        self._projection[:, new, new] = (cross[:, new] + cross[:, new].mT) / 2
        values, rotation = torch.linalg.eigh(self._projection[:, : new.stop, : new.stop])
        order = self._goal.order(self.dimension)
        self.values, self._rotation = values[:, order], rotation[:, :, order].mT

    def leading(self, count: int) -> tuple[Tensor, Tensor]:
        """The first Ritz values and their remainders H v - value v, shape (replicas, count, size)."""
        values = self.values[:, :count]
        return values, self._rotated(self._images, count) - values.unsqueeze(2) * self._rotated(self._basis, count)

    def pairs(self, count: int) -> Eigenpairs:
        """The first Ritz pairs."""
        values, remainders = self.leading(count)
        errors = residuals = remainders.norm(dim=2)
        if self.dimension >= self._goal.neighbours:
            around, others = self.leading(self._goal.neighbours)
            errors = value_errors(around, others.norm(dim=2))[:, :count]
        return Eigenpairs(values, self._rotated(self._basis, count), residuals, self.products, errors)

    def handed_on(self) -> tuple[Tensor, Correction]:
        """The leading Ritz vectors as a start for a more exact operator, and a correction by all pairs."""
        vectors = self._rotated(self._basis, self.dimension)
        return vectors[:, : self._goal.wanted + GUARD].double(), Correction(self.values, vectors)

    def restart(self) -> None:
        """Shrink to the span of the first half of the Ritz vectors."""
        kept = self.dimension // 2
        for stored in (self._basis, self._images):
            stored[:, :kept] = self._rotated(stored, kept)
        self._projection[:, :kept, :kept] = torch.diag_embed(self.values[:, :kept])
        self.dimension = kept

    def _rotated(self, stored: Tensor, count: int) -> Tensor:
        return torch.bmm(self._rotation[:, :count].to(stored), stored[:, : self.dimension]).to(self._basis)

    def _orthonormal(self, block: Tensor) -> Tensor:
        """Remove the basis from a block of vectors and make it orthonormal, until nothing is left to remove.

        A vector that lies in the space is replaced by a random one, as after the breakdown of a Lanczos process.
        """
        basis = self._basis[:, : self.dimension]
        block = _unit(block)
        while True:
            block, lengths = _gram_schmidt(block - (block @ basis.mT) @ basis)
            lost = lengths < VANISHED * torch.finfo(block.dtype).eps
            if lost.any():
                random = torch.randn(block.shape, generator=self._generator, dtype=block.dtype).to(block.device)
                block = torch.where(lost.unsqueeze(2), _unit(random), block)
            elif (lengths > KEPT).all():
                return block


def _gram_schmidt(block: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal vectors, shape (replicas, columns, size), and the lengths of what was left to normalise."""
    done: list[Tensor] = []
    lengths = []
    for vector in block.unbind(1):
        for other in done:
            vector = vector - (vector * other).sum(1, keepdim=True) * other
        lengths.append(torch.linalg.vector_norm(vector, dim=1))
        done.append(_unit(vector))
    return torch.stack(done, 1), torch.stack(lengths, 1)


def _unit(vector: Tensor) -> Tensor:
    """Vectors of length one; zero stays zero."""
    length: Tensor = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    return vector / length.clamp_min(torch.finfo(vector.dtype).tiny)
