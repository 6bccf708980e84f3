"""The least top eigenvalue of a sum of scaled rank-one matrices: the convex problem behind an orbit's flattest network.

min over h of lambda_max(S(h)), S(h) = sum_q exp(-2 (E h)_q) a_q a_q'. For every unit u, u' S(h) u is a sum of
exponentials of linear functions of h, so its logarithm is convex; the largest of convex functions is convex.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, eigvalsh, solve_triangular
from scipy.sparse import csr_array, vstack

from flatminima.errors import UserError

Array = NDArray[np.float64]

GROWTH = 20.0
"""Of the barrier's weight from one centre to the next."""
CENTRED = 0.3
"""Newton decrement at which a centre is near enough for the next."""
ARMIJO, SHRINK = 0.1, 0.5
STEPS = 400
LONGEST = 2.0
"""Largest change of a log-scale in one step."""
RIDGE = 1e-12
CORRECTIONS = 10
CONSERVED = 1e-12
"""Imbalance at a node, relative to the whole flow, that is left to rounding."""
TINY = 1e-300
SLACK = 1e-14


@dataclass(frozen=True)
class Edges:
    """Which log-scales each term's exponent is a difference of: term q is an edge from a node to a node.

    Attributes:
        source: shape (terms,); a term's exponent is h[target] - h[source], with h = 0 at the fixed node n.
        target: see source.
        size: number n of free nodes.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    size: int

    @cached_property
    def incidence(self) -> csr_array:
        """E, shape (terms, n)."""
        terms = np.arange(len(self.source))
        both = csr_array(
            (np.repeat([1.0, -1.0], len(terms)), (np.tile(terms, 2), np.concatenate([self.target, self.source]))),
            shape=(len(terms), self.size + 1),
        )
        return both[:, : self.size]

    @cached_property
    def slopes(self) -> csr_array:
        """Derivatives in (h, t) of the logarithms of the terms exp(-2 (E h)_q - t), shape (n + 1, terms)."""
        return csr_array(vstack([-2 * self.incidence.T, -np.ones((1, len(self.source)))]))

    def laplacian(self, weights: Array) -> Array:
        """E' diag(weights) E, the weighted Laplacian of the graph without its fixed node, shape (n, n)."""
        nodes = self.size + 1
        flows = (
            np.bincount(self.source * nodes + self.target, weights, nodes**2).astype(np.float64).reshape(nodes, nodes)
        )
        np.fill_diagonal(flows, 0)
        laplacian: Array = np.diag(flows.sum(0) + flows.sum(1)) - flows - flows.T
        return laplacian[: self.size, : self.size]


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
        """The same function of h with few terms: those of one exponent are replaced by a square root of their sum."""
        pairs = np.stack([self.edges.source, self.edges.target])
        distinct, of = np.unique(pairs, axis=1, return_inverse=True)
        dimension, terms = self.columns.shape
        if distinct.shape[1] * dimension >= terms:
            return self
        roots = [_root(self.columns[:, of == index]) for index in range(distinct.shape[1])]
        source, target = np.repeat(distinct, dimension, axis=1)
        return replace(self, columns=np.concatenate(roots, 1), edges=Edges(source, target, self.edges.size))


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


def flow_bound(masses: Array, flow: Array, edges: Edges) -> float:
    """A lower bound of sum_q c_q exp(-2 (E h)_q) over all h, by weighted arithmetic and geometric means.

    For a flow f >= 0 with sum f = 1 that is conserved at every node, E' f = 0, the sum is at least
    prod_q (c_q / f_q)^f_q whatever h; at the minimum f_q proportional to the terms attains it.

    Args:
        masses: c_q >= 0, shape (terms,).
        flow: nearly conserved; it is corrected to conserve.
        edges: the exponents.

    Returns:
        The bound, 0 if the flow cannot be corrected.
    """
    for _ in range(CORRECTIONS):
        laplacian = edges.laplacian(flow)
        laplacian[np.diag_indices_from(laplacian)] += RIDGE * laplacian.diagonal() + TINY
        flow = flow * (1 - edges.incidence @ np.linalg.solve(laplacian, edges.incidence.T @ flow))
        flow = flow.clip(min=0)
        if np.abs(edges.incidence.T @ flow).max(initial=0) <= CONSERVED * flow.sum():
            break
    else:
        return 0.0
    flow = flow / flow.sum()
    used = flow > 0
    return float(np.exp(flow[used] @ np.log(masses[used] / flow[used])))


@dataclass(frozen=True)
class _Step:
    point: Array
    decrement: float


def _newton_step(problem: ScaledSum, point: Array, weight: float) -> _Step:
    """One damped Newton step of the barrier function in (h, t), and the decrement before it."""
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
    """A square matrix with the same R R'."""
    values, vectors = np.linalg.eigh(columns @ columns.T)
    root: Array = vectors * np.sqrt(values.clip(min=0))
    return root
