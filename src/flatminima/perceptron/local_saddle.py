"""Saddle-point equations of the local entropy of a binary perceptron (Franz & Parisi 1995; theory.md 3.3).

A configuration at distance d from a reference of margin kt sees the reference's stability D through its own field

    s = t D + tau D' + g eta + sigma zeta,    t^2 + tau^2 + g^2 + sigma^2 = 1,    t = 1 - 2d,

with D' the Gaussian at right angles to D in the plane of the reference's frozen and free parts, eta shared by all
configurations near this reference, and zeta of each configuration's own. In theory.md's symbols q1 = 1 - sigma^2 and
t0 = t qt + tau sqrt(qt (1 - qt)). The lengths tau, g, sigma are moments of one random variable, the probability that
a weight is flipped, so that nothing cancels as d -> 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import expit

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

ITERATIONS = 6
ORDER, SPACING, KNOTS, DEGREE = 8, 0.45, 256, 5
"""Coarsest rules: points on each panel, distance of those across D', knots and degree of splines."""
NEGLIGIBLE = 1e-14
"""Weights of single points that are left out."""
TINY = 1e-12
"""Stands for 0 in denominators."""


@dataclass(frozen=True)
class Reference:
    """Typical solutions of one margin, around which configurations of another are counted.

    Attributes:
        alpha: patterns per weight.
        reference_margin: kt.
        overlap: qt.
        conjugate: qht.
        margin: kappa of the configurations.
    """

    alpha: float
    reference_margin: float
    overlap: float
    conjugate: float
    margin: float

    @classmethod
    def around(cls, alpha: float, reference_margin: float, margin: float = 0.0) -> Self:
        """The reference at a margin, continued analytically where such solutions have negative entropy.

        Raises:
            UserError: as `replica.saddle_point`.
        """
        saddle = saddle_point(alpha, reference_margin)
        return cls(alpha, reference_margin, float(saddle.overlap), float(saddle.conjugate), margin)


@dataclass(frozen=True)
class Lengths:
    """Parts of a configuration's field, see the module: tau, g and sigma."""

    skew: float
    shared: float
    own: float


@dataclass(frozen=True)
class Saddle:
    """The saddle-point equations at one distance from a reference, with rules of one size."""

    reference: Reference
    distance: float
    level: int

    @cached_property
    def frozen(self) -> Rule:
        """Averages over the reference's frozen field x."""
        return self.rule(0.3 / np.sqrt(max(self.reference.conjugate, TINY)))

    def rule(self, spacing: float) -> Rule:
        """Gaussian averages with nodes at most so far apart, within limits."""
        return gaussian_rule(self.level * 2 ** int(np.ceil(np.log2(2 * REACH / np.clip(spacing, 0.02, 0.5)))))

    def sites(self, fields: Array) -> tuple[Array, Array]:
        """Conjugate fields, shape (many,), and their weights times 1 and the reference's tanh(f), standardised.

        Weights are those of sites turned to the reference's sign. Given b x + sqrt(v) y, the frozen field x is normal.
        """
        q, spread = self.reference.overlap, np.sqrt(max(fields[1], 0.0))
        angle, total = np.arctan2(spread, fields[0]), max(np.hypot(fields[0], spread), TINY)
        rule = graded_rule(-REACH, REACH, -fields[2] / total, 1 / total, ORDER * self.level)
        frozen = np.cos(angle) * rule.nodes[:, None] + np.sin(angle) * self.frozen.nodes
        sign = np.tanh(np.sqrt(self.reference.conjugate) * frozen)
        alignment = (sign - q) / np.sqrt(q * (1 - q)) if q > 0 else frozen
        averages = np.stack([1 + sign, (1 + sign) * alignment]) @ self.frozen.weights
        return total * rule.nodes + fields[2], averages * rule.weights * np.exp(-(rule.nodes**2) / 2) / np.sqrt(
            2 * np.pi
        )

    @cached_property
    def patterns(self) -> tuple[Array, Array, Array]:
        """D and D' over a grid, shape (many,), and their weights times 1 and G(e), shape (2, many)."""
        q, kt, t = self.reference.overlap, self.reference.reference_margin, 1 - 2 * self.distance
        width = np.sqrt(1 - t**2)
        upper = max(kt, 0) + REACH
        stability = graded_rule(kt, upper, self.reference.margin / max(t, width), width, ORDER * self.level)
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
        q = self.reference.overlap
        result: Array = (self.reference.reference_margin - np.sqrt(q) * frozen) / np.sqrt(1 - q)
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
        places = np.arcsinh((self.reference.margin - field) / scale)
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
        scale = np.sqrt(self.reference.alpha) / lengths.own
        return scale * slope, scale**2 * (float(weights[0] @ square) - slope**2)

    def iterate(self, fields: Array) -> Array:
        """Fields nearer to the saddle point, by damped iteration of the equations."""
        for _ in range(ITERATIONS):
            fields = fields + self.violation(fields) / 2
        return fields

    def violation(self, fields: Array) -> Array:
        """Residuals of the saddle-point equations, shape (3,)."""
        reached, lengths = self.lengths(fields)
        slope, variance = self.conjugates(lengths)
        return np.array([slope - fields[0], variance - fields[1], np.log(max(reached, TINY) / self.distance)])

    def results(self, fields: Array) -> tuple[float, float, float, float]:
        """phi_FP, its derivative in d, q1 and t0."""
        reference, (slope, variance, mean), t = self.reference, fields, 1 - 2 * self.distance
        _, lengths = self.lengths(fields)
        field, site_weights = self.sites(fields)
        sites = float(site_weights[0] @ log_two_cosh(field))
        stability, across, weights = self.patterns
        (tail,) = self.smoothed(lambda x: log_tail(x)[None], lengths, t * stability + lengths.skew * across)
        q, conjugate = reference.overlap, slope * np.sqrt(reference.conjugate)
        t0 = t * q + lengths.skew * np.sqrt(q * (1 - q))
        pressure = conjugate * t0 - (slope**2 + variance) * lengths.own**2 / 2 - (mean + conjugate) * t
        entropy = pressure + sites + reference.alpha * float(weights[0] @ tail)
        return entropy, 2 * (mean + conjugate - self.edge_pull(lengths)), 1 - lengths.own**2, t0

    def edge_pull(self, lengths: Lengths) -> float:
        """The part alpha dG_E / dt of the derivative, from the patterns on the edge of the reference's margin."""
        q, kt, x = self.reference.overlap, self.reference.reference_margin, self.frozen.nodes
        field = (1 - 2 * self.distance) * kt + lengths.skew * (x - np.sqrt(q) * kt) / np.sqrt(1 - q)
        pull, _ = self.smoothed(_pulls, lengths, field)
        density = self.frozen.weights * hazard(self.edge(x))
        return float(self.reference.alpha * (density @ pull) / (lengths.own * np.sqrt(1 - q)))


def _pulls(argument: Array) -> Array:
    pull = hazard(argument)
    return np.stack([pull, pull**2])
