"""Local entropy around typical solutions of a binary perceptron (Franz & Parisi 1995; theory.md 3.3).

A configuration at distance d from a reference of margin kt sees the reference's stability D through its own field

    s = t D + tau D' + g eta + sigma zeta,    t^2 + tau^2 + g^2 + sigma^2 = 1,    t = 1 - 2d,

with D' the Gaussian at right angles to D in the plane of the reference's frozen and free parts, eta shared by all
configurations near this reference, and zeta of each configuration's own. In theory.md's symbols q1 = 1 - sigma^2 and
t0 = t qt + tau sqrt(qt (1 - qt)). The lengths tau, g, sigma are moments of one random variable, the probability that
a weight is flipped, so that nothing cancels as d -> 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import make_interp_spline
from scipy.optimize import root
from scipy.special import expit

from flatminima.errors import UserError
from flatminima.perceptron.gaussian import (
    REACH,
    Array,
    Rule,
    gaussian_rule,
    graded_rule,
    hazard,
    log_tail,
    log_two_cosh,
)
from flatminima.perceptron.replica import saddle_point

ACCURACY = 1e-9
"""Largest residual of the saddle-point equations, and change of the entropy, under rules with twice the points."""
EMPTY = -1e-9
"""Entropy below which there is no reference, rounding at its maximal margin allowed."""
START, STRIDE = 0.45, 0.7
"""Where the continuation in d starts, and the least ratio of successive distances."""
ORDER, SPACING, KNOTS, DEGREE = 8, 0.45, 256, 5
"""Of the coarsest rules: points on each panel, distance of those across D', knots and degree of splines."""
LEVELS = (1, 2, 4)
ITERATIONS = 6
SEARCH = {"factor": 0.5, "maxfev": 100}
"""First steps no longer than half the way from zero fields, as longer ones leave the saddle point's neighbourhood."""
NEGLIGIBLE = 1e-14
"""Weights of single points that are left out."""
TINY = 1e-12
"""Stands for 0 in denominators."""


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
    """Local entropy at each distance, by continuation in d from 0.45.

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
    if not ((distances > 0) & (distances <= 0.5)).all():
        wrong = distances[~((distances > 0) & (distances <= 0.5))].flat[0]
        raise UserError(f"distance: {wrong} given; expected normalised Hamming distances above 0, up to 0.5")
    curve = Curve.around(alpha, reference_margin, margin)
    wanted, places = np.unique(distances, return_inverse=True)
    points = {point.distance: point for point in curve.follow(wanted)}
    rows = np.array([points[d].row for d in wanted])[places].reshape(*distances.shape, 5)
    return LocalEntropy(distances, *np.moveaxis(rows, -1, 0))


@dataclass(frozen=True)
class Lengths:
    """Parts of a configuration's field, see the module: tau, g and sigma."""

    skew: float
    shared: float
    own: float


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
        """d phi_FP / dd."""
        return self.row[1]


@dataclass(frozen=True)
class Curve:
    """The local entropy around typical solutions, as a function of the distance.

    Attributes:
        alpha: patterns per weight.
        reference_margin: kt.
        overlap: qt.
        conjugate: qht.
        margin: kappa.
    """

    alpha: float
    reference_margin: float
    overlap: float
    conjugate: float
    margin: float

    @classmethod
    def around(cls, alpha: float, reference_margin: float, margin: float = 0.0) -> "Curve":
        """The curve around typical solutions of a margin.

        Raises:
            UserError: if there are none.
        """
        saddle = saddle_point(alpha, reference_margin)
        if saddle.entropy < EMPTY:
            raise UserError(
                f"reference_margin: {reference_margin} given; expected at most kappa_max, at alpha = {alpha} solutions "
                f"of this margin have entropy {float(saddle.entropy):.2g}"
            )
        return cls(alpha, reference_margin, float(saddle.overlap), float(saddle.conjugate), margin)

    def follow(self, distances: Array) -> Iterator[Point]:
        """Saddle points at increasing distances, in no order.

        Raises:
            UserError: where none is found.
        """
        start = self.solve(START, Saddle(self, START, 1).iterate(np.array([np.sqrt(self.conjugate), 0.0, 0.0])))
        for part in (distances[distances >= START], distances[distances < START][::-1]):
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
        fields, worst = guess, np.inf
        for level in LEVELS:
            coarse, fine = (Saddle(self, distance, factor * level) for factor in (1, 2))
            fields = root(coarse.violation, fields, tol=1e-12, options=SEARCH).x
            residual = float(np.abs(fine.violation(fields)).max())
            row, rough = fine.results(fields), coarse.results(fields)
            worst = max(residual, np.abs(np.subtract(row, rough)).max())
            if worst <= ACCURACY:
                return Point(distance, fields, (*row, residual))
        raise UserError(
            f"no saddle point found at distance {distance:.3g} from solutions of margin {self.reference_margin:.4g}, "
            f"alpha = {self.alpha:.4g}: residual {worst:.1e} above {ACCURACY}; take another distance or margin"
        )


@dataclass(frozen=True)
class Saddle:
    """The saddle-point equations of a curve at one distance, with rules of one size."""

    curve: Curve
    distance: float
    level: int

    @cached_property
    def frozen(self) -> Rule:
        """Averages over the reference's frozen field x."""
        return self.rule(0.3 / np.sqrt(max(self.curve.conjugate, TINY)))

    def rule(self, spacing: float) -> Rule:
        """Gaussian averages with nodes at most so far apart, within limits."""
        return gaussian_rule(self.level * 2 ** int(np.ceil(np.log2(2 * REACH / np.clip(spacing, 0.02, 0.5)))))

    def sites(self, fields: Array) -> tuple[Array, Array]:
        """Conjugate fields, shape (many,), and their weights times 1 and the reference's tanh(f), standardised.

        Weights are those of sites turned to the reference's sign. Given b x + sqrt(v) y, the frozen field x is normal.
        """
        q, spread = self.curve.overlap, np.sqrt(max(fields[1], 0.0))
        angle, total = np.arctan2(spread, fields[0]), max(np.hypot(fields[0], spread), TINY)
        rule = graded_rule(-REACH, REACH, -fields[2] / total, 1 / total, ORDER * self.level)
        frozen = np.cos(angle) * rule.nodes[:, None] + np.sin(angle) * self.frozen.nodes
        sign = np.tanh(np.sqrt(self.curve.conjugate) * frozen)
        alignment = (sign - q) / np.sqrt(q * (1 - q)) if q > 0 else frozen
        averages = np.stack([1 + sign, (1 + sign) * alignment]) @ self.frozen.weights
        return total * rule.nodes + fields[2], averages * rule.weights * np.exp(-(rule.nodes**2) / 2) / np.sqrt(
            2 * np.pi
        )

    @cached_property
    def patterns(self) -> tuple[Array, Array, Array]:
        """D and D' over a grid, shape (many,), and their weights times 1 and G(e), shape (2, many)."""
        q, kt, t = self.curve.overlap, self.curve.reference_margin, 1 - 2 * self.distance
        width = np.sqrt(1 - t**2)
        upper = max(kt, 0) + REACH
        stability = graded_rule(kt, upper, self.curve.margin / max(t, width), width, ORDER * self.level)
        low = REACH / np.sqrt(1 - q)
        across = np.linspace(-low, REACH, int(np.ceil((low + REACH) / SPACING)) * self.level)
        edge = self.edge(np.sqrt(q) * stability.nodes[:, None] + np.sqrt(1 - q) * across)
        energy = (stability.nodes[:, None] ** 2 + across**2) / 2 + log_tail(edge)
        weights = stability.weights[:, None] * np.exp(-energy) * (across[1] - across[0]) / (2 * np.pi)
        rows, columns = np.nonzero(weights > NEGLIGIBLE)
        kept = weights[rows, columns]
        return stability.nodes[rows], across[columns], np.stack([kept, kept * hazard(edge[rows, columns])])

    def edge(self, frozen: Array) -> Array:
        """e(x) = (kt - sqrt(qt) x) / sqrt(1 - qt)."""
        q = self.curve.overlap
        result: Array = (self.curve.reference_margin - np.sqrt(q) * frozen) / np.sqrt(1 - q)
        return result

    def lengths(self, fields: Array) -> tuple[float, Lengths]:
        """Distance and lengths that conjugate fields imply: moments of the probability that a weight is flipped."""
        field, weights = self.sites(fields)
        flip = expit(-2 * field)
        distance, square, skew = weights[0] @ flip, weights[0] @ flip**2, -2 * weights[1] @ flip
        shared = np.sqrt(max(4 * (square - distance**2) - skew**2, 0.0))
        return distance, Lengths(skew, shared, 2 * np.sqrt(max(distance - square, TINY)))

    def smoothed(self, functions: Callable[[Array], Array], lengths: Lengths, field: Array) -> Array:
        """Averages over eta of functions of X = (kappa - field - g eta) / sigma; shape (functions, *field's)."""
        scale = np.hypot(lengths.shared, lengths.own)
        places = np.arcsinh((self.curve.margin - field) / scale)
        grid = np.linspace(places.min() - 1, places.max() + 1, KNOTS * self.level)
        rule = self.rule(0.6 * lengths.own / max(lengths.shared, 1e-3 * lengths.own))
        arguments = (scale * np.sinh(grid)[:, None] - lengths.shared * rule.nodes) / lengths.own
        values = functions(arguments) @ rule.weights
        result: Array = make_interp_spline(grid, values, k=DEGREE, axis=1)(places)
        return result

    def conjugates(self, lengths: Lengths) -> tuple[float, float]:
        """The conjugates b and v that lengths imply."""
        stability, across, weights = self.patterns
        field = (1 - 2 * self.distance) * stability + lengths.skew * across
        pull, square = self.smoothed(_pulls, lengths, field)
        x, density = self.frozen.nodes, self.frozen.weights
        slope = float(weights[1] @ pull) / np.sqrt(density @ hazard(self.edge(x)) ** 2)
        scale = np.sqrt(self.curve.alpha) / lengths.own
        return scale * slope, scale**2 * (float(weights[0] @ square) - slope**2)

    def iterate(self, fields: Array) -> Array:
        """Fields nearer to the saddle point, by damped iteration of the equations."""
        for _ in range(ITERATIONS):
            fields = fields + self.violation(fields) / 2
        return fields

    def violation(self, fields: Array) -> Array:
        """What is left of the saddle-point equations, shape (3,)."""
        reached, lengths = self.lengths(fields)
        slope, variance = self.conjugates(lengths)
        return np.array([slope - fields[0], variance - fields[1], np.log(max(reached, TINY) / self.distance)])

    def results(self, fields: Array) -> tuple[float, float, float, float]:
        """phi_FP, its derivative in d, q1 and t0."""
        curve, (slope, variance, mean), t = self.curve, fields, 1 - 2 * self.distance
        _, lengths = self.lengths(fields)
        field, site_weights = self.sites(fields)
        sites = float(site_weights[0] @ log_two_cosh(field))
        stability, across, weights = self.patterns
        (tail,) = self.smoothed(lambda x: log_tail(x)[None], lengths, t * stability + lengths.skew * across)
        q, conjugate = curve.overlap, slope * np.sqrt(curve.conjugate)
        t0 = t * q + lengths.skew * np.sqrt(q * (1 - q))
        pressure = conjugate * t0 - (slope**2 + variance) * lengths.own**2 / 2 - (mean + conjugate) * t
        entropy = pressure + sites + curve.alpha * float(weights[0] @ tail)
        return entropy, 2 * (mean + conjugate - self.edge_pull(lengths)), 1 - lengths.own**2, t0

    def edge_pull(self, lengths: Lengths) -> float:
        """alpha dG_E / dt, from the patterns that the reference meets with no margin to spare."""
        q, kt, x = self.curve.overlap, self.curve.reference_margin, self.frozen.nodes
        field = (1 - 2 * self.distance) * kt + lengths.skew * (x - np.sqrt(q) * kt) / np.sqrt(1 - q)
        pull, _ = self.smoothed(_pulls, lengths, field)
        density = self.frozen.weights * hazard(self.edge(x))
        return self.curve.alpha * float(density @ pull) / (lengths.own * np.sqrt(1 - q))


def _pulls(argument: Array) -> Array:
    pull = hazard(argument)
    return np.stack([pull, pull**2])


def _stations(start: float, goal: float) -> Array:
    """Distances on the way from one to another, both far from each other or not, the goal last."""
    count = int(np.ceil(np.log(start / goal) / np.log(1 / STRIDE))) if goal < start else 1
    stations = np.geomspace(start, goal, count + 1)[1:]
    stations[-1] = goal
    return stations


def _extrapolate(before: Point, last: Point, goal: float) -> Array:
    """Fields at a distance, linear in its logarithm."""
    if before.distance == last.distance:
        return last.fields
    share = np.log(goal / last.distance) / np.log(last.distance / before.distance)
    return last.fields + share * (last.fields - before.fields)
