"""Local entropy around typical solutions of a binary perceptron (Franz & Parisi 1995; theory.md 3.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import root

from flatminima.errors import UserError
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.local_saddle import Reference, Saddle
from flatminima.perceptron.replica import saddle_point

ACCURACY = 1e-9
"""Largest residual of the saddle-point equations, and change of the results, under rules with twice the points."""
EMPTY = -1e-9
"""Entropy below which there is no reference, rounding at its maximal margin allowed."""
STRIDE = 0.7
"""Least ratio of successive distances."""
LEVELS = (1, 2, 4)
"""Factors on the points of all rules, tried one after the other."""
SEARCH = {"factor": 0.5, "maxfev": 100}
"""First steps no longer than half the way from zero fields, as longer ones leave the saddle point's neighbourhood."""


@dataclass(frozen=True)
class LocalEntropy:
    """Configurations of margin kappa at each distance from a typical solution of margin kt; arrays of one shape.

    Attributes:
        distance: d, normalised Hamming distance.
        entropy: phi_FP, logarithm of their number per weight, in nats; negative where there are none.
        derivative: of the entropy in d.
        overlap: q1, the typical cosine of two of them.
        reference_overlap: t0, the typical cosine of one of them and another reference's neighbourhood.
        residual: the largest violation of the saddle-point equations, under rules with twice the points.
    """

    distance: Array
    entropy: Array
    derivative: Array
    overlap: Array
    reference_overlap: Array
    residual: Array


def local_entropy(alpha: float, distance: ArrayLike, reference_margin: float, margin: float = 0.0) -> LocalEntropy:
    """Local entropy at each distance, by continuation in d from the typical distance of the references.

    Args:
        alpha: patterns per weight.
        distance: d in (0, 0.5], any shape and order.
        reference_margin: kt, at most `replica.maximal_margin(alpha)`.
        margin: kappa of the configurations that are counted.

    Raises:
        UserError: if a distance lies outside (0, 0.5], there is no reference of margin kt, or a saddle point is not
            found to a residual of 1e-9.
    """
    distances = np.asarray(distance, float)
    _check(alpha, distances, reference_margin)
    curve = Curve.around(alpha, reference_margin, margin)
    wanted, places = np.unique(distances, return_inverse=True)
    points = {point.distance: point for point in curve.follow(wanted)}
    rows = np.array([points[d].row for d in wanted])[places].reshape(*distances.shape, 5)
    return LocalEntropy(distances, *np.moveaxis(rows, -1, 0))


def _check(alpha: float, distances: Array, reference_margin: float) -> None:
    outside = distances[~((distances > 0) & (distances <= 0.5))]
    if len(outside):
        raise UserError(f"distance: {outside[0]} given; expected normalised Hamming distances above 0, up to 0.5")
    entropy = float(saddle_point(alpha, reference_margin).entropy)
    if entropy < EMPTY:
        raise UserError(
            f"reference_margin: {reference_margin} given; expected at most the maximal margin, solutions of this one "
            f"have entropy {entropy:.2g} at alpha = {alpha}"
        )


@dataclass(frozen=True)
class Point:
    """A saddle point at one distance.

    Attributes:
        fields: b = t0h / sqrt(qht), v = q1h - b^2, and th - t0h, shape (3,): the conjugate field is
            b x + sqrt(v) y + th - t0h.
    """

    distance: float
    fields: Array
    row: tuple[float, float, float, float, float]

    @property
    def entropy(self) -> float:
        """phi_FP."""
        return self.row[0]

    @property
    def derivative(self) -> float:
        """D phi_FP / dd."""
        return self.row[1]


class Curve(Reference):
    """The local entropy around typical solutions, as a function of the distance."""

    def follow(self, distances: Array) -> Iterator[Point]:
        """Saddle points at given, increasing distances: from the typical one upwards, then downwards.

        Raises:
            UserError: where none is found. For kt = kappa there is none below some distance inside the gap, where
                sigma reaches 0: about 4e-4 for alpha = 0.5.
        """
        typical = (1 - self.overlap) / 2
        exact_for_equal_margins = np.array([np.sqrt(self.conjugate), 0.0, 0.0])
        start = self.solve(typical, Saddle(self, typical, 1).iterate(exact_for_equal_margins))
        for part in (distances[distances >= typical], distances[distances < typical][::-1]):
            before = point = start
            for distance in part:
                for goal in _stations(point.distance, float(distance)):
                    before, point = point, self.solve(goal, _extrapolate(before, point, goal))
                yield point

    def solve(self, distance: float, guess: Array) -> Point:
        """The saddle point at a distance near a guess of its fields.

        Raises:
            UserError: if none is found.
        """
        fields = guess
        for level in LEVELS:
            coarse, fine = (Saddle(self, distance, factor * level) for factor in (1, 2))
            found = root(coarse.violation, fields, tol=1e-12, options=SEARCH)
            fields, worst = found.x, float(np.abs(found.fun).max())
            if not worst <= ACCURACY:
                break
            residual, row = float(np.abs(fine.violation(fields)).max()), fine.results(fields)
            worst = max(residual, float(np.abs(np.subtract(row, coarse.results(fields))).max()))
            if worst <= ACCURACY:
                return Point(distance, fields, (*row, residual))
        raise UserError(
            f"distance: no saddle point found at {distance:.3g} from solutions of margin {self.reference_margin:.4g}, "
            f"alpha = {self.alpha:.4g}: residual {worst:.1e} above {ACCURACY}; take larger distances"
        )

    def between(self, distance: float, above: Point, below: Point) -> Point:
        """The saddle point at a distance between two others.

        Raises:
            UserError: if none is found.
        """
        return self.solve(distance, _extrapolate(above, below, distance))


def _stations(start: float, goal: float) -> Array:
    """Distances on the way from one to another, both far from each other or not, the goal last."""
    count = max(int(np.ceil(np.abs(np.log(start / goal) / np.log(STRIDE)))), 1)
    stations: Array = np.geomspace(start, goal, count + 1)[1:]
    stations[-1] = goal
    return stations


def _extrapolate(before: Point, last: Point, goal: float) -> Array:
    """Fields at a distance, linear in its logarithm; from a single point, as if there were no patterns."""
    if before.distance == last.distance:
        free = np.arctanh(1 - 2 * np.array([last.distance, goal]))
        start: Array = last.fields + np.array([0.0, 0.0, free[1] - free[0]])
        return start
    share = np.log(goal / last.distance) / np.log(last.distance / before.distance)
    fields: Array = last.fields + share * (last.fields - before.fields)
    return fields
