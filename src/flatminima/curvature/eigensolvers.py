"""Eigenvalues at the ends of a spectrum, each with a residual that certifies it.

Certified: for each value there is an eigenvalue of the operator within the residual ||H v - value v|| of it (up to the
rounding of the products), and no value at the top is above the largest eigenvalue. Very likely only: that the values
are the largest, and with that the smaller bounds `errors`. From a random start, `failure_probability` bounds the chance
that they are not.
"""

import math
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from flatminima.curvature.arguments import Count, Positive, Seed, Share, checked
from flatminima.curvature.differences import refuse_asymmetric
from flatminima.curvature.operators import Operator
from flatminima.curvature.subspace import Blocks, Correction, Eigenpairs, Ends, Goal, Sought, Subspace, crowded
from flatminima.errors import UserError

BLOCK = 2
"""Columns of a random start: with two, nearly equal eigenvalues do not hide each other."""
SHARED = 5
"""Number of wanted pairs from which on one Krylov space, from a sum of rough eigenvectors, takes fewer products than
Davidson's method, which corrects them one by one."""
ROUGH = 1e-2
SMALL = 64
"""Operators no larger are diagonalised in the whole space."""
ROUNDING = 1e3
"""Smallest residual that a search reaches, in units in the last place of the largest Ritz value."""
PRODUCTS_ROUNDING = 2
"""Factor of ROUNDING for products that are less exact than the search."""


class Stacked(Protocol):
    """Symmetric operators of many replicas, as `StackedHessian`."""

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""

    @property
    def device(self) -> torch.device:
        """Device on which products are computed."""

    def matvec(self, vector: Tensor) -> Tensor:
        """Products, shape (replicas, size)."""


@checked
def failure_probability(steps: Count, size: Count, error: Share, starts: Count = 1) -> float:
    """Bound on the chance that Lanczos from random starts misses the top eigenvalue by a relative error.

    The chance that after `steps` steps the largest Ritz value is below lambda_max - error (lambda_max - lambda_min) is
    at most 1.648 sqrt(size) exp(-sqrt(error) (2 steps - 1)) for a start that is uniform on the sphere (Kuczynski &
    Wozniakowski 1992); independent starts of a block must all fail.

    Args:
        steps: products with each start vector, without restart.
        size: dimension of the operator.
        error: relative to the spread of the spectrum, which for positive semi-definite operators is at most lambda_max.
        starts: columns of the block.
    """
    return min(1.0, 1.648 * math.sqrt(size) * math.exp(-math.sqrt(error) * (2 * steps - 1))) ** starts


@checked
def eigenpairs(
    operator: Operator,
    k: Count = 1,
    ends: Ends = "top",
    *,
    tolerance: Positive = 1e-4,
    sought: Sought = "pairs",
    max_products: Count = 1000,
    rough: Operator | None = None,
    seed: Seed = 0,
) -> Eigenpairs:
    """The k largest eigenvalues, the k smallest (not in magnitude), or both.

    Args:
        operator: any symmetric operator.
        k: eigenvalues at each end.
        ends: which.
        tolerance: relative to each value: of residuals where pairs are sought, of `errors` where values are.
        sought: "pairs", or "values" alone, which takes fewer products: the error of a value is about the square of that
            of its vector. The vectors are then rough, and what speaks for the values being the largest is weaker.
        max_products: most products; then pairs are returned as they are, with their residuals; fewer than k if
            there are fewer products. Operators of size 64 or less take as many as their size.
        rough: a cheap approximation of the operator, such as `hessian.thinned()`, whose eigenvectors are the start.
        seed: of the random start.

    Raises:
        UserError: if the operator has fewer eigenvalues or is not symmetric, a rough one is of another size, or an
            argument is not as expected.
    """
    if rough is not None and rough.shape != operator.shape:
        raise UserError(f"rough: has shape {rough.shape}; expected that of the operator, {operator.shape}")
    goal = Goal(k, ends, tolerance, max_products, sought)
    pairs = _solve(_Single(operator), None if rough is None else _Single(rough), goal, seed)
    return Eigenpairs(pairs.eigenvalues[0], pairs.eigenvectors[0], pairs.residuals[0], pairs.products, pairs.errors[0])


def stacked_eigenpairs(
    operator: Stacked,
    k: int = 1,
    ends: Ends = "top",
    *,
    tolerance: float = 1e-4,
    max_products: int = 1000,
    rough: Stacked | None = None,
    near: Tensor | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """Find the largest or smallest eigenvalues of every operator of a stack; all go on until the last converges.

    Args:
        operator: the stack.
        k: eigenvalues at each end.
        ends: which ends.
        tolerance: residual to reach, relative to each value.
        max_products: most products of each operator; then pairs are returned as they are, with their residuals.
        rough: a cheap approximation of the stack, whose eigenvectors are the start.
        near: vectors near the wanted ones to start from, shape (replicas, columns, size); a random one is added.
        seed: of the random start.
    """
    goal = Goal(k, ends, tolerance, max_products)
    return _solve(_Many(operator), None if rough is None else _Many(rough), goal, seed, near)


class _Single:
    """An operator as a stack of one replica."""

    def __init__(self, operator: Operator) -> None:
        self.shape, self.dtype, self.device = (1, operator.shape[0]), operator.dtype, operator.device
        self.rounding = operator.rounding
        self._operator = operator

    def images(self, block: Tensor) -> Tensor:
        """Products with a block of vectors, shape (replicas, columns, size)."""
        return self._operator.matmat(block[0].mT).mT.unsqueeze(0)


class _Many:
    """A stack of operators that takes blocks of vectors."""

    dtype = torch.float64
    rounding = torch.finfo(torch.float64).eps

    def __init__(self, operator: Stacked) -> None:
        self.shape, self.device = operator.shape, operator.device
        self._operator = operator

    def images(self, block: Tensor) -> Tensor:
        """Products with a block of vectors, shape (replicas, columns, size)."""
        return torch.stack([self._operator.matvec(vector) for vector in block.unbind(1)], 1)


def _solve(operator: Blocks, rough: Blocks | None, goal: Goal, seed: int, near: Tensor | None = None) -> Eigenpairs:
    size = operator.shape[1]
    if not 1 <= goal.wanted <= size:
        raise UserError(f"k: {goal.wanted} eigenvalues of an operator of size {size}; expected 1 to {size} in all")
    if size <= SMALL:
        return goal.chosen(_diagonalised(operator, goal))
    generator = torch.Generator().manual_seed(seed)
    columns = BLOCK if near is None else 1
    start = torch.randn(columns, size, generator=generator, dtype=torch.float64).to(operator.device)
    start = start.expand(operator.shape[0], -1, -1)
    if near is not None:
        start = torch.cat([near, start], 1)
        return goal.chosen(_search(operator, start, 1, goal, generator).pairs(goal.wanted))
    if rough is None:
        return goal.chosen(_search(operator, start, BLOCK, goal, generator).pairs(goal.wanted))
    return goal.chosen(_from_rough(operator, rough, start, goal, generator).pairs(goal.wanted))


def _from_rough(operator: Blocks, rough: Blocks, start: Tensor, goal: Goal, generator: torch.Generator) -> Subspace:
    """Search from the eigenvectors of a rough operator: few by Davidson's method, many in one Krylov space.

    A Krylov space sees one direction of an eigenspace. So a second combination of the rough vectors joins in when all
    has converged: eigenvalues that the first hid show in it, and the search goes on.
    """
    coarse = replace(goal, tolerance=max(ROUGH, goal.tolerance), sought="pairs")
    start = start.to(torch.promote_types(rough.dtype, torch.float32))
    vectors, correct = _search(rough, start, BLOCK, coarse, generator).handed_on()
    if goal.wanted < SHARED:
        return _search(operator, vectors, 1, goal, generator, correct)
    weights = torch.randn(BLOCK, vectors.shape[1], generator=generator, dtype=vectors.dtype).to(vectors.device)
    starts = weights @ vectors
    space = _search(operator, starts[:, :1], 1, goal, generator)
    return _search(operator, starts[:, 1:], 1, goal, generator, space=space)


def _diagonalised(operator: Blocks, goal: Goal) -> Eigenpairs:
    """The wanted pairs, from products with the unit vectors."""
    replicas, size = operator.shape
    matrix = operator.images(torch.eye(size, dtype=torch.float64, device=operator.device).expand(replicas, -1, -1))
    refuse_asymmetric(matrix, operator.rounding)
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    wanted = goal.order(size)[: goal.wanted]
    values, vectors = values[:, wanted], vectors[:, :, wanted].mT
    residuals = (vectors @ matrix - values.unsqueeze(2) * vectors).norm(dim=2)
    return Eigenpairs(values, vectors, residuals, size, residuals)


def _search(
    operator: Blocks,
    start: Tensor,
    width: int,
    goal: Goal,
    generator: torch.Generator,
    correct: Correction | None = None,
    space: Subspace | None = None,
) -> Subspace:
    """Rayleigh-Ritz on a space that grows by the residuals of pairs that have not converged, and is restarted.

    From a random block as wide as the growth this is block Lanczos with full reorthogonalisation and thick restart
    (Wu & Simon 2000); from approximate eigenvectors and with a correction of the residuals, Davidson's method. A space
    that is handed in goes on growing, first by the start.
    """
    space = Subspace(operator, goal, start.dtype, generator) if space is None else space
    _grow(space, start, goal)
    floor = max(ROUNDING * torch.finfo(start.dtype).eps, PRODUCTS_ROUNDING * operator.rounding)
    known = goal.wanted if goal.sought == "pairs" else goal.neighbours
    while True:
        values, remainders = space.leading(max(known, width))
        residuals = remainders.norm(dim=2)
        converged = goal.converged(values, residuals, floor * space.values.abs().amax(1, keepdim=True))
        done = space.dimension >= known and bool(converged[:, : goal.wanted].all())
        if done or space.left == 0 or space.products >= goal.max_products:
            return space
        urgency = converged.int()
        if goal.sought == "values":
            urgency -= (crowded(values, residuals) & ~converged).int()
        worst = urgency.argsort(dim=1, stable=True)[:, :width]
        growth = remainders[torch.arange(len(worst)).unsqueeze(1), worst]
        _grow(space, growth if correct is None else correct(growth, values.take_along_dim(worst, 1)), goal)


def _grow(space: Subspace, block: Tensor, goal: Goal) -> None:
    """Add as much of a block as products and dimensions are left for."""
    columns = min(block.shape[1], space.left, goal.max_products - space.products)
    if space.room < columns:
        space.restart()
    if columns:
        space.expand(block[:, :columns])
