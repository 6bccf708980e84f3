"""Gaussian tails and quadrature rules of the replica computations."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

Array = NDArray[np.float64]
REACH = 8.0
"""Standard deviations beyond which a Gaussian average stops: the density there is 1e-14 of its peak."""


def log_tail(x: Array) -> Array:
    """The logarithm of H(x), with H(x) = erfc(x / sqrt 2) / 2."""
    result: Array = log_ndtr(-x)
    return result


def hazard(x: Array) -> Array:
    """G(x), the Gaussian density over its tail H(x); without overflow, and 0 where it underflows."""
    result: Array = np.sqrt(2 / np.pi) / erfcx(x / np.sqrt(2))
    return result


def log_two_cosh(x: Array) -> Array:
    """The logarithm of 2 cosh x, without overflow."""
    result: Array = np.abs(x) + np.log1p(np.exp(-2 * np.abs(x)))
    return result


@dataclass(frozen=True)
class Rule:
    """A quadrature rule.

    Attributes:
        nodes: shape (points,).
        weights: shape (points,).
    """

    nodes: Array
    weights: Array


@cache
def gaussian_rule(points: int) -> Rule:
    """Averages over a standard Gaussian by the trapezoidal rule.

    The error decays as exp(-2 pi a / step) for integrands analytic within a of the real axis (Trefethen & Weideman
    2014), so doubling the points squares it.
    """
    nodes = np.linspace(-REACH, REACH, points)
    weights = np.exp(-(nodes**2) / 2)
    return Rule(nodes, weights / weights.sum())


def graded_rule(lower: float, upper: float, centre: float, length: float, order: int) -> Rule:
    """Integrals by Gauss-Legendre rules on panels of at most unit length that shrink towards a centre.

    Args:
        lower: where the integral starts.
        upper: where it ends.
        centre: about which the integrand changes fastest; may lie outside.
        length: over which it changes there, and of the smallest panels.
        order: points on each panel.
    """
    uniform = np.linspace(lower, upper, int(np.ceil(upper - lower)) + 1)
    steps = length * 2 ** np.arange(max(np.ceil(-np.log2(length)), 0))
    graded = np.concatenate([centre - steps, [centre], centre + steps])
    breaks = np.unique(np.clip(np.concatenate([uniform, graded]), lower, upper))
    nodes, weights = _legendre(order)
    half = np.diff(breaks)[:, None] / 2
    return Rule((breaks[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel())


@cache
def _legendre(order: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return nodes, weights
