"""The least top eigenvalue of a sum of scaled rank-one matrices: the convex problem behind an orbit's flattest network.

min over h of lambda_max(S(h)), S(h) = sum_q exp(-2 (E h)_q) a_q a_q'. For every unit u, u' S(h) u is a sum of
exponentials of linear functions of h, so its logarithm is convex; the largest of convex functions is convex.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, eigvalsh, solve_triangular

from flatminima.errors import UserError
from flatminima.rescaling.flows import Array, Edges, flow_bound

GROWTH = 20.0
"""Growth of the barrier's weight from one centre to the next."""
CENTRED = 0.3
"""Squared Newton decrement at which a centre is near enough for the next."""
ARMIJO, SHRINK = 0.1, 0.5
STEPS = 400
LONGEST = 2.0
"""Largest change of a log-scale in one step."""
RIDGE = 1e-12
SLACK = 1e-14


@dataclass(frozen=True)
class ScaledSum:
    """S(h) = sum_q exp(-2 (E h)_q) a_q a_q'.

    Attributes:
        columns: a_q, shape (dimension, terms).
        edges: the exponents.
    """

    columns: Array
    edges: Edges

    def at(self, scales: Array) -> Array:
        """S(h), shape (dimension, dimension)."""
        scaled = self.scaled(scales)
        return scaled @ scaled.T

    def scaled(self, scales: Array) -> Array:
        """The columns exp(-(E h)_q) a_q."""
        scaled: Array = self.columns * np.exp(-(self.edges.incidence @ scales))
        return scaled

    def compressed(self) -> Self:
        """Equal function of h with fewer terms.

        Where more terms than dimensions have one exponent, a square root of their sum takes their place.
        """
        nodes = self.edges.size + 1
        keys, of, counts = np.unique(
            self.edges.source * nodes + self.edges.target, return_inverse=True, return_counts=True
        )
        dimension = len(self.columns)
        few, large = counts[of] <= dimension, np.flatnonzero(counts > dimension)
        roots = [_root(self.columns[:, of == index]) for index in large]
        source, target = np.divmod(np.append(keys[of[few]], np.repeat(keys[large], dimension)), nodes)
        columns = np.concatenate([self.columns[:, few], *roots], 1)
        return replace(self, columns=columns, edges=Edges(source, target, self.edges.size))


@dataclass(frozen=True)
class LeastSum:
    """A minimum of lambda_max(S(h)).

    Attributes:
        scales: h.
        value: lambda_max(S(h)).
        lower_bound: no h gives less.
    """

    scales: Array
    value: float
    lower_bound: float


def least_sum(problem: ScaledSum, tolerance: float, start: Array, gap: float = 0.5) -> LeastSum:
    """Minimise lambda_max(S(h)) by a barrier method (Boyd & Vandenberghe 2004, chapter 11).

    It minimises weight * t - logdet(I - exp(-t) S(h)) over (h, t) by Newton steps, for growing weights. At each centre
    Z = (I - exp(-t) S)^-1 gives a lower bound, see `flow_bound`.

    Args:
        problem: the sum.
        tolerance: of the logarithmic gap between value and lower bound.
        start: h to start from, shape (n,).
        gap: what the logarithmic gap may be there.

    Raises:
        UserError: if the gap is not reached, with what was.
    """
    weight = len(problem.columns) / gap
    point = np.append(start, np.log(_top(problem.at(start))) + gap)
    best = _bounded(problem, point)
    for _ in range(STEPS):
        step = _newton_step(problem, point, weight)
        point = step.point
        if step.decrement > CENTRED:
            continue
        best = _better(best, _bounded(problem, point))
        if best.value <= best.lower_bound * np.exp(tolerance):
            return best
        if len(problem.columns) / weight > tolerance / 4:
            weight *= GROWTH
    raise UserError(
        f"rescaling: the least top eigenvalue is between {best.lower_bound:.12g} and {best.value:.12g} after {STEPS} "
        f"steps; expected a relative gap of {tolerance:.1e}: allow a larger one"
    )


@dataclass(frozen=True)
class _Step:
    point: Array
    decrement: float


def _newton_step(problem: ScaledSum, point: Array, weight: float) -> _Step:
    """One damped Newton step of the barrier function in (h, t), and its squared decrement."""
    value, columns, factor = _barrier(problem, point, weight)
    scaled = solve_triangular(factor, columns, lower=True)
    slopes = problem.edges.slopes
    masses = np.square(scaled).sum(0)
    rates = slopes @ masses
    first, second = np.triu_indices(len(scaled))
    moments = slopes @ (scaled[first] * scaled[second]).T * np.where(first == second, 1.0, 2**0.5)
    hessian = moments @ moments.T
    hessian[:-1, :-1] += 4 * problem.edges.laplacian(masses)
    hessian[-1] -= rates
    hessian[:-1, -1] -= rates[:-1]
    hessian[np.diag_indices_from(hessian)] += SLACK * hessian.diagonal() + RIDGE * masses.sum()
    gradient = rates + weight * np.eye(len(rates))[-1]
    direction = -cho_solve(cho_factor(hessian), gradient)
    slope = float(gradient @ direction)
    length = min(1.0, LONGEST / np.abs(direction).max())
    while length > SLACK:
        candidate = point + length * direction
        trial, _, _ = _barrier(problem, candidate, weight)
        if trial <= value + ARMIJO * length * slope + SLACK * abs(value):
            return _Step(candidate, -slope)
        length *= SHRINK
    return _Step(point, 0.0)


def _barrier(problem: ScaledSum, point: Array, weight: float) -> tuple[float, Array, Array]:
    """The barrier function, infinite outside its domain, the columns of exp(-t) S, and a Cholesky factor of I - them.

    Outside the domain the factor is empty.
    """
    scaled = problem.scaled(point[:-1]) * np.exp(-point[-1] / 2)
    try:
        factor = cholesky(np.eye(len(scaled)) - scaled @ scaled.T, lower=True)
    except LinAlgError:
        return np.inf, scaled, np.empty((0, 0))
    return weight * point[-1] - 2 * np.log(np.diag(factor)).sum(), scaled, factor


def _bounded(problem: ScaledSum, point: Array) -> LeastSum:
    """Value and lower bound at a centre of the barrier function."""
    _, scaled, factor = _barrier(problem, point, 0.0)
    flow = np.square(solve_triangular(factor, scaled, lower=True)).sum(0)
    share = len(problem.columns) + flow.sum()
    exponents = problem.edges.incidence @ point[:-1]
    masses = flow * np.exp(2 * exponents + point[-1]) / share
    return LeastSum(point[:-1], _top(problem.at(point[:-1])), flow_bound(masses, flow, problem.edges))


def _better(first: LeastSum, second: LeastSum) -> LeastSum:
    least = min(first, second, key=lambda found: found.value)
    return replace(least, lower_bound=max(first.lower_bound, second.lower_bound))


def _top(matrix: Array) -> float:
    return float(eigvalsh(matrix)[-1])


def _root(columns: Array) -> Array:
    """Square matrix R whose R R' is that of the columns."""
    values, vectors = np.linalg.eigh(columns @ columns.T)
    root: Array = vectors * np.sqrt(values.clip(min=0))
    return root
