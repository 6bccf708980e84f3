"""Loads at which the local entropy of a binary perceptron changes its shape (theory.md 3.3).

All follow from the replica-symmetric curves of `franz_parisi`. Two conditions make a tangency of the curve at some
distance, with a parameter (the reference's margin, or alpha at the maximal margin) as the second unknown:

    gap   phi = 0 and dphi/dd = 0: for a smaller margin the curve is negative on an interval of distances, the gap.
    kink  dphi/dd = 0 and d^2phi/dd^2 = 0: for a smaller margin the curve falls on an interval below its maximum.

Both are solved from a guess and then continued in alpha in small steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq, root

from flatminima.errors import UserError
from flatminima.perceptron.franz_parisi import STRIDE, Curve, Point
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.replica import maximal_margin

ACCURACY = 1e-6
"""Largest violation of a tangency's two conditions."""
SEARCH = {"factor": 0.1, "maxfev": 60}
STEP = 0.05
"""Largest step of alpha in a continuation."""
FARTHEST, SMALLEST, NEAREST = 0.45, 1e-5, 0.05
"""Distances at which the search for a reversal of order starts, and at which those for a gap and for it end."""
SPREAD = 5e-4
"""Spread, in ln d, of the two points whose difference is a second derivative."""
Condition = Callable[[Curve, float, Array], Array]


@dataclass(frozen=True)
class Tangency:
    """A tangency of a local entropy.

    Attributes:
        alpha: patterns per weight.
        margin: kt of the reference solutions.
        distance: d where the curve has it.
        fields: conjugate fields there, see `franz_parisi.Point`.
        residual: the largest violation of its two conditions.
    """

    alpha: float
    margin: float
    distance: float
    fields: Array
    residual: float


def isolation_distance(alpha: float, reference_margin: float = 0.0) -> float:
    """d0: the largest distance below which the local entropy is negative, and solutions of margin kt isolated.

    Found as the first sign change on the way down from the typical distance, on distances of ratio 0.7.

    Raises:
        UserError: if the curve stays positive down to a distance of 1e-5, is negative throughout, or has no saddle
            point before it changes sign.
    """
    curve = Curve.around(alpha, reference_margin)
    for above, below in pairwise(curve.follow(_ladder((1 - curve.overlap) / 2, SMALLEST))):
        if above.entropy > 0 >= below.entropy:
            return _root(partial(_height, curve, above, below), above, below)
    raise UserError(
        f"alpha: {alpha} given; the local entropy of margin {reference_margin} does not turn negative above "
        f"{SMALLEST}, or is negative throughout; take another alpha"
    )


def connected_margins(alphas: Sequence[float]) -> list[Tangency]:
    """kappa_min: the least margin of solutions without a gap, where their local entropy touches zero.

    Args:
        alphas: patterns per weight, in any order; the results have the same.

    Raises:
        UserError: if there is none up to the maximal margin (alpha above about 0.748), or none is found.
    """
    return _continue(_gap, alphas, alpha=0.7, margin=0.075, distance=0.011)


def monotone_margins(alphas: Sequence[float]) -> list[Tangency]:
    """kappa_u: the least margin of solutions whose local entropy increases from d = 0 up to its maximum.

    Args:
        alphas: patterns per weight, in any order; the results have the same.

    Raises:
        UserError: if there is none up to the maximal margin (alpha above about 0.729), or none is found.
    """
    return _continue(_kink, alphas, alpha=0.7, margin=0.09, distance=0.0045)


def connected_load() -> Tangency:
    """The alpha above which even solutions of maximal margin have a gap: about 0.748."""
    return _at_maximal_margin(_gap, 0.748, 0.011)


def monotone_load() -> Tangency:
    """The alpha above which even the local entropy of solutions of maximal margin is not monotone: about 0.729."""
    return _at_maximal_margin(_kink, 0.73, 0.007)


def reversal_distance(alpha: float, low_margin: float, high_margin: float) -> float:
    """The distance beyond which solutions of the higher margin have less local entropy than those of the lower one.

    Raises:
        UserError: if the order does not reverse between 0.45 and 0.05.
    """
    curves = [Curve.around(alpha, margin) for margin in (low_margin, high_margin)]
    low, high = (sorted(c.follow(_ladder(FARTHEST, NEAREST)), key=_distance, reverse=True) for c in curves)
    lead = np.array([b.entropy - a.entropy for a, b in zip(low, high, strict=True)])
    reversals = np.flatnonzero((lead[:-1] <= 0) & (lead[1:] > 0))
    if not len(reversals):
        raise UserError(f"margins {low_margin} and {high_margin}: their order does not reverse at alpha = {alpha}")
    first = reversals[0]

    def difference(distance: float) -> float:
        heights = [_height(c, p[first], p[first + 1], distance) for c, p in zip(curves, (low, high), strict=True)]
        return heights[1] - heights[0]

    return _root(difference, low[first], low[first + 1])


def _ladder(largest: float, smallest: float) -> Array:
    """Distances of constant ratio from the largest down to about the smallest, in increasing order."""
    count = int(np.log(smallest / largest) / np.log(STRIDE))
    ladder: Array = largest * STRIDE ** np.arange(count, -1, -1.0)
    return ladder


def _distance(point: Point) -> float:
    return point.distance


def _height(curve: Curve, above: Point, below: Point, distance: float) -> float:
    return curve.between(distance, above, below).entropy


def _root(function: Callable[[float], float], above: Point, below: Point) -> float:
    return float(brentq(function, below.distance, above.distance, xtol=1e-12, rtol=1e-9))


def _gap(curve: Curve, distance: float, near: Array) -> Array:
    point = curve.solve(distance, near)
    return np.array([point.entropy / distance, point.derivative])


def _kink(curve: Curve, distance: float, near: Array) -> Array:
    low, high = (curve.solve(distance * np.exp(shift), near).derivative for shift in (-SPREAD, SPREAD))
    return np.array([(low + high) / 2, (high - low) / (2 * SPREAD)])


def _tangency(
    condition: Condition, family: Callable[[float], Curve], parameter: float, distance: float, near: Array
) -> Tangency:
    """A tangency in a family of curves."""
    found = root(
        lambda x: condition(family(x[0]), float(np.exp(x[1])), near),
        [parameter, np.log(distance)],
        tol=1e-10,
        options=SEARCH,
    )
    residual = float(np.abs(found.fun).max())
    if residual > ACCURACY:
        raise UserError(f"no tangency found near distance {distance:.2g}: residual {residual:.1e} above {ACCURACY}")
    curve, final = family(found.x[0]), float(np.exp(found.x[1]))
    return Tangency(curve.alpha, curve.reference_margin, final, curve.solve(final, near).fields, residual)


def _fields(curve: Curve, distance: float) -> Array:
    (point,) = curve.follow(np.array([distance]))
    return point.fields


def _at_maximal_margin(condition: Condition, alpha: float, distance: float) -> Tangency:
    def family(load: float) -> Curve:
        return Curve.around(float(load), float(maximal_margin(load)))

    return _tangency(condition, family, alpha, distance, _fields(family(alpha), distance))


def _continue(
    condition: Condition, alphas: Sequence[float], alpha: float, margin: float, distance: float
) -> list[Tangency]:
    """Tangencies at some alphas, from a guess at one outwards in both directions."""
    near = _fields(Curve.around(alpha, margin), distance)
    start = _tangency(condition, lambda kt: Curve.around(alpha, float(kt)), margin, distance, near)
    found = {alpha: start}
    for part in (sorted(a for a in alphas if a > alpha), sorted((a for a in alphas if a < alpha), reverse=True)):
        before = last = start
        for goal in part:
            count = int(np.ceil(abs(goal - last.alpha) / STEP))
            for station in np.linspace(last.alpha, goal, count + 1)[1:]:
                before, last = last, _next(condition, before, last, float(station))
            found[goal] = last
    results = [found[a] for a in alphas]
    for result, limit in zip(results, maximal_margin(np.asarray(alphas, float)), strict=True):
        if result.margin > limit:
            raise UserError(
                f"alphas: {result.alpha} given; there, no margin up to the maximal one {limit:.4g} suffices"
            )
    return results


def _next(condition: Condition, before: Tangency, last: Tangency, alpha: float) -> Tangency:
    """The tangency at an alpha, guessed from two at others."""
    share = (alpha - last.alpha) / (last.alpha - before.alpha) if last.alpha != before.alpha else 0.0
    margin = last.margin + share * (last.margin - before.margin)
    distance = last.distance * (last.distance / before.distance) ** share
    near = last.fields + share * (last.fields - before.fields)
    return _tangency(condition, lambda kt: Curve.around(alpha, float(kt)), margin, distance, near)
