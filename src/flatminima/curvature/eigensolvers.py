"""Eigenvalues at the ends of a spectrum, each with a residual that certifies it.

Certified: for each value there is an eigenvalue of the operator within the residual ||H v - value v|| of it (up to the
rounding of the products), and no value at the top is above the largest eigenvalue. Very likely only: that the values
are the largest. From a random start, `failure_probability` bounds the chance that they are not.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from flatminima.curvature.operators import Operator
from flatminima.errors import UserError

Ends = Literal["top", "bottom", "both"]

BLOCK = 2
"""Columns of a random start: two eigenvalues that are nearly the same then do not hide each other."""
GUARD = 1
"""Pairs beyond the wanted ones that a rough solve hands on, lest the order of the eigenvalues be another."""
ROUGH = 1e-2
NEAREST = 0.05
"""Smallest gap to a rough eigenvalue that a correction trusts, relative to the largest of them."""
BASIS = 32
SMALL = 64
"""Operators no larger are diagonalised in the whole space."""
ROUNDING = 1e3
"""Residuals of so many units in the last place of the largest Ritz value cannot be improved."""
VANISHED = 1e3
KEPT = 0.5


class Stacked(Protocol):
    """Symmetric operators of many replicas, as `StackedHessian`."""

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""

    def matvec(self, vector: Tensor) -> Tensor:
        """Products, shape (replicas, size)."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues with their vectors; for stacked operators all tensors have a first dimension of replicas.

    Attributes:
        eigenvalues: Ritz values, shape (pairs,): of the top from the largest down, then of the bottom from the
            smallest up.
        eigenvectors: unit vectors, shape (pairs, size).
        residuals: ||H v - value v||, shape (pairs,): some eigenvalue lies within this distance of the value.
        products: number of products with the operator; those with a rough one are not counted.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    residuals: Tensor
    products: int


def failure_probability(steps: int, size: int, error: float, starts: int = 1) -> float:
    """Bound on the chance that Lanczos from random starts misses the top eigenvalue by a relative error.

    The chance that after `steps` steps the largest Ritz value is below lambda_max - error (lambda_max - lambda_min) is
    at most 1.648 sqrt(size) exp(-sqrt(error) (2 steps - 1)) for a start that is uniform on the sphere (Kuczynski and
    Wozniakowski 1992, theorem 4.2); independent starts of a block must all fail.

    Args:
        steps: products with each start vector, without restart.
        size: dimension of the operator.
        error: relative to the spread of the spectrum, which for positive semi-definite operators is at most lambda_max.
        starts: columns of the block.
    """
    return min(1.0, 1.648 * math.sqrt(size) * math.exp(-math.sqrt(error) * (2 * steps - 1))) ** starts


def eigenpairs(
    operator: Operator,
    k: int = 1,
    ends: Ends = "top",
    *,
    tolerance: float = 1e-4,
    max_products: int = 1000,
    rough: Operator | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The k largest eigenvalues, the k smallest (not in magnitude), or both.

    Args:
        operator: any symmetric operator.
        k: eigenvalues at each end.
        ends: which.
        tolerance: residual to reach, relative to each value.
        max_products: after so many products the pairs are returned as they are, with their residuals.
        rough: a cheap approximation of the operator, such as `hessian.thinned()`, whose eigenvectors are the start.
        seed: of the random start.

    Raises:
        UserError: if the operator has fewer eigenvalues.
    """
    goal = _Goal(k, ends, tolerance, max_products)
    pairs = _solve(_Single(operator), None if rough is None else _Single(rough), goal, seed)
    return Eigenpairs(pairs.eigenvalues[0], pairs.eigenvectors[0], pairs.residuals[0], pairs.products)


def stacked_eigenpairs(
    operator: Stacked,
    k: int = 1,
    ends: Ends = "top",
    *,
    tolerance: float = 1e-4,
    max_products: int = 1000,
    rough: Stacked | None = None,
    precise: Stacked | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The same for all replicas of a stack at once; they go on together until the last one has converged.

    Args:
        operator: the stack.
        k: this and the other arguments as for `eigenpairs`.
        ends: see there.
        tolerance: see there.
        max_products: see there.
        rough: see there.
        precise: the same operators in higher precision, from which values and residuals are computed at the end.
        seed: see there.
    """
    goal = _Goal(k, ends, tolerance, max_products)
    pairs = _solve(_Many(operator), None if rough is None else _Many(rough), goal, seed)
    return pairs if precise is None else _certified(_Many(precise), pairs)


class _Single:
    """An operator as a stack of one replica."""

    def __init__(self, operator: Operator) -> None:
        self.shape, self.dtype, self.device = (1, operator.shape[0]), operator.dtype, operator.device
        self._operator = operator

    def images(self, block: Tensor) -> Tensor:
        """Products with a block of vectors, shape (replicas, columns, size)."""
        return self._operator.matmat(block[0].mT).mT.unsqueeze(0)


class _Many:
    """A stack of operators that takes blocks of vectors."""

    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self, operator: Stacked) -> None:
        self.shape = operator.shape
        self._operator = operator

    def images(self, block: Tensor) -> Tensor:
        """Products with a block of vectors, shape (replicas, columns, size)."""
        return torch.stack([self._operator.matvec(vector) for vector in block.unbind(1)], 1)


@dataclass(frozen=True)
class _Goal:
    """Which pairs are wanted, and how well."""

    k: int
    ends: Ends
    tolerance: float
    max_products: int

    @property
    def wanted(self) -> int:
        """Number of pairs."""
        return 2 * self.k if self.ends == "both" else self.k

    def order(self, dimension: int) -> Tensor:
        """Indices of eigenvalues in ascending order, the wanted ones first; of both ends, they alternate."""
        down = torch.arange(dimension - 1, -1, -1)
        if self.ends == "both":
            return torch.stack([down, down.flip(0)], 1).flatten()[:dimension]
        return down if self.ends == "top" else down.flip(0)

    def chosen(self, pairs: Eigenpairs) -> Eigenpairs:
        """The wanted ones of pairs in that order, those of the top first."""
        index = torch.arange(self.wanted)
        if self.ends == "both":
            index = torch.cat([index[::2], index[1::2]])
        return Eigenpairs(
            pairs.eigenvalues[:, index], pairs.eigenvectors[:, index], pairs.residuals[:, index], pairs.products
        )


def _solve(operator: _Single | _Many, rough: _Single | _Many | None, goal: _Goal, seed: int) -> Eigenpairs:
    size = operator.shape[1]
    if not 1 <= goal.wanted <= size:
        raise UserError(f"k: {goal.wanted} eigenvalues of an operator of size {size}; expected 1 to {size} in all")
    if size <= SMALL:
        return goal.chosen(_diagonalised(operator, goal))
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(BLOCK, size, generator=generator, dtype=torch.float64).expand(operator.shape[0], -1, -1)
    if rough is None:
        return goal.chosen(_search(operator, start, BLOCK, goal, generator).pairs(goal.wanted))
    coarse = replace(goal, tolerance=max(ROUGH, goal.tolerance))
    start, correct = _search(
        rough, start.to(torch.promote_types(rough.dtype, torch.float32)), BLOCK, coarse, generator
    ).handed_on()
    return goal.chosen(_search(operator, start, 1, goal, generator, correct).pairs(goal.wanted))


def _diagonalised(operator: _Single | _Many, goal: _Goal) -> Eigenpairs:
    """All pairs, from products with the unit vectors."""
    replicas, size = operator.shape
    matrix = operator.images(torch.eye(size, dtype=torch.float64, device=operator.device).expand(replicas, -1, -1))
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    values, vectors = values[:, goal.order(size)], vectors[:, :, goal.order(size)].mT
    remainders = vectors @ matrix - values.unsqueeze(2) * vectors
    return Eigenpairs(values, vectors, remainders.norm(dim=2), size)


def _search(
    operator: _Single | _Many,
    start: Tensor,
    width: int,
    goal: _Goal,
    generator: torch.Generator,
    correct: "_Correction | None" = None,
) -> "_Subspace":
    """Rayleigh-Ritz on a space that grows by the residuals of pairs that have not converged, and is restarted.

    From a random block as wide as the growth this is block Lanczos with full reorthogonalisation and thick restart
    (Wu & Simon 2000); from approximate eigenvectors and with a correction of the residuals, Davidson's method.
    """
    space = _Subspace(operator, max(BASIS, 3 * (goal.wanted + GUARD)), goal, start.dtype, generator)
    space.expand(start)
    while True:
        values, remainders = space.leading(max(goal.wanted, width))
        residuals = remainders.norm(dim=2)
        rounding = ROUNDING * torch.finfo(start.dtype).eps * space.values.abs().amax(1, keepdim=True)
        converged = residuals <= torch.maximum(goal.tolerance * values.abs(), rounding)
        done = space.dimension >= goal.wanted and bool(converged[:, : goal.wanted].all())
        if done or space.left == 0 or space.products >= goal.max_products:
            return space
        columns = min(width, space.left)
        if space.room < columns:
            space.restart()
        worst = converged.int().argsort(dim=1, stable=True)[:, :columns]
        growth = remainders[torch.arange(len(worst)).unsqueeze(1), worst]
        space.expand(growth if correct is None else correct(growth, values.take_along_dim(worst, 1)))


class _Correction:
    """Davidson's correction (value - H)^-1 r of residuals, with H known roughly on a space and zero elsewhere."""

    def __init__(self, values: Tensor, vectors: Tensor) -> None:
        self._values, self._vectors = values, vectors

    def __call__(self, remainders: Tensor, values: Tensor) -> Tensor:
        """Corrected residuals, shape (replicas, columns, size), up to factors."""
        gaps = values.unsqueeze(2).to(self._values) - self._values.unsqueeze(1)
        least = NEAREST * self._values.abs().amax(1).reshape(-1, 1, 1)
        gaps = torch.where(gaps.abs() < least, least.expand_as(gaps), gaps)
        weights = values.unsqueeze(2).to(gaps) / gaps - 1
        parts = remainders.to(self._vectors) @ self._vectors.mT
        return remainders + ((weights * parts) @ self._vectors).to(remainders)


class _Subspace:
    """An orthonormal basis, its images under the operators, and the eigenpairs of the projections onto it.

    Attributes:
        values: Ritz values, shape (replicas, dimension), in the order of the goal.
    """

    def __init__(
        self, operator: _Single | _Many, capacity: int, goal: _Goal, dtype: torch.dtype, generator: torch.Generator
    ) -> None:
        replicas, size = operator.shape
        self.products = self.dimension = 0
        self._operator, self._goal, self._generator = operator, goal, generator
        self._basis = torch.empty(replicas, min(capacity, size), size, dtype=dtype, device=operator.device)
        self._images = torch.empty_like(self._basis, dtype=operator.dtype)
        self._projection = self._basis.new_zeros(replicas, self._basis.shape[1], self._basis.shape[1])

    @property
    def left(self) -> int:
        """Dimensions of the whole space that the subspace lacks."""
        return self._basis.shape[2] - self.dimension

    @property
    def room(self) -> int:
        """How many more vectors fit before a restart."""
        return self._basis.shape[1] - self.dimension

    def expand(self, block: Tensor) -> None:
        """Add vectors, shape (replicas, columns, size)."""
        new = slice(self.dimension, self.dimension + block.shape[1])
        self._basis[:, new] = self._orthonormal(block.to(self._basis))
        images = self._operator.images(self._basis[:, new])
        self._images[:, new] = images
        self.dimension, self.products = new.stop, self.products + block.shape[1]
        cross = self._basis[:, : new.stop] @ images.mT
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
        return Eigenpairs(values, self._rotated(self._basis, count), remainders.norm(dim=2), self.products)

    def handed_on(self) -> tuple[Tensor, _Correction]:
        """The leading Ritz vectors as a start for a more exact operator, and a correction by all pairs."""
        vectors = self._rotated(self._basis, self.dimension)
        return vectors[:, : self._goal.wanted + GUARD].double(), _Correction(self.values, vectors)

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


def _certified(precise: _Many, pairs: Eigenpairs) -> Eigenpairs:
    """Values and residuals from one more product each."""
    images = precise.images(pairs.eigenvectors)
    values = (images * pairs.eigenvectors).sum(2)
    residuals = (images - values.unsqueeze(2) * pairs.eigenvectors).norm(dim=2)
    return Eigenpairs(values, pairs.eigenvectors, residuals, pairs.products)


def _unit(vector: Tensor) -> Tensor:
    """Vectors of length one; zero stays zero."""
    length: Tensor = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    return vector / length.clamp_min(torch.finfo(vector.dtype).tiny)
