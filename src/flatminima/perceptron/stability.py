"""Stabilities around typical solutions of a binary perceptron, and errors after random flips (theory.md 3.4)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import entr
from scipy.stats import hypergeom

from flatminima.errors import UserError
from flatminima.perceptron.gaussian import REACH, Array, gaussian_rule, graded_rule, log_tail
from flatminima.perceptron.replica import saddle_point

POINTS, ORDER = 256, 20
CELL = 4
"""Nodes of Gauss and Legendre between neighbouring points of the lattice of stabilities."""
BRACKET = (1e-7, 0.4)
"""Distances between which the mean number of solutions around one begins to grow with N."""
SHARPEST = 1e-12
"""Least spread of a stability under flips that is resolved; below it, flips change no sign."""


def stability_density(alpha: float, margin: float, stability: ArrayLike) -> Array:
    """Density P(D) of the stabilities y w.x / sqrt(N) of the patterns under a typical solution.

    Args:
        alpha: patterns per weight.
        margin: kt of the solution; no stability lies below it.
        stability: D, any shape.

    Raises:
        UserError: as `replica.saddle_point`.
    """
    stabilities = np.asarray(stability, float)
    saddle = saddle_point(alpha, margin)
    q, rule = saddle.overlap, gaussian_rule(POINTS)
    frozen = np.sqrt(q) * rule.nodes
    noise = (stabilities[..., None] - frozen) / np.sqrt(1 - q)
    kept = log_tail((margin - frozen) / np.sqrt(1 - q))
    density: Array = np.exp(-(noise**2) / 2 - kept) @ rule.weights / np.sqrt(2 * np.pi * (1 - q))
    return np.where(stabilities >= margin, density, 0.0)


def error_after_flips(alpha: float, margin: float, fraction: ArrayLike) -> Array:
    """Share of the patterns that a typical solution gets wrong after random flips of its weights.

    Flips of a fraction d turn a stability D into a Gaussian of mean g D and variance 1 - g^2, g = 1 - 2d.

    Args:
        alpha: patterns per weight.
        margin: kt of the solution.
        fraction: d in [0, 1], any shape.

    Raises:
        UserError: if a fraction lies outside [0, 1], or as `replica.saddle_point`.
    """
    fractions = np.asarray(fraction, float)
    if not ((fractions >= 0) & (fractions <= 1)).all():
        raise UserError(
            f"fraction: {fractions.min()} to {fractions.max()} given; expected fractions of weights in [0, 1]"
        )
    errors = [_error(alpha, margin, float(d)) for d in fractions.ravel()]
    return np.reshape(errors, fractions.shape)


def lattice_error(alpha: float, size: int, flips: ArrayLike) -> Array:
    """Share of the patterns that a typical solution of margin zero gets wrong after flips, at finite N.

    Products w.sigma of N weights, N odd, are odd integers v. Their law is the density of stabilities over the cell of
    v, (v +- 1) / sqrt(N). Of n random flips a hypergeometric number lowers the product, as in `landscape.flip_errors`.
    So `error_after_flips`, its limit of large N, need not be compared with rounded flips.

    Args:
        alpha: patterns per weight.
        size: N, odd.
        flips: numbers n of flipped weights, any shape.

    Raises:
        UserError: as `replica.saddle_point`.
    """
    n = np.asarray(flips)
    values = np.arange(1, min(size, round(REACH * size**0.5)) + 1, 2)
    nodes, weights = np.polynomial.legendre.leggauss(CELL)
    density = stability_density(alpha, 0.0, (values[:, None] + nodes) / size**0.5) @ weights
    most = np.ceil((2 * n[..., None] - values) / 4) - 1
    errors = hypergeom.cdf(most, size, (size - values) // 2, n[..., None])
    share: Array = errors @ density / density.sum()
    return share


def first_moment_distance(alpha: float) -> float:
    """The distance below which the mean number of solutions around a typical one of margin zero is small.

    There entr(d) + entr(1 - d) + alpha ln(1 - error(d)) is negative: of all weights at the distance, exponentially few
    are expected to keep every pattern. The mean bounds the typical number from above, and owes nothing to the local
    entropy of `franz_parisi`.

    Args:
        alpha: patterns per weight, below capacity.

    Raises:
        UserError: as `replica.saddle_point`.
    """

    def exponent(distance: float) -> float:
        return float(entr(distance) + entr(1 - distance) + alpha * np.log1p(-_error(alpha, 0.0, distance)))

    return float(brentq(exponent, *BRACKET))


def _error(alpha: float, margin: float, fraction: float) -> float:
    mean, spread = 1 - 2 * fraction, max(2 * np.sqrt(fraction * (1 - fraction)), SHARPEST)
    rule = graded_rule(margin, max(margin, 0) + REACH, 0.0, spread, ORDER)
    density = stability_density(alpha, margin, rule.nodes)
    return float(rule.weights @ (density * np.exp(log_tail(mean * rule.nodes / spread))))
