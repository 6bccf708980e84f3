"""Replica-symmetric entropy of the solutions of a binary perceptron (Krauth & Mezard 1989; theory.md 3.2)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_root
from scipy.special import ndtri

from flatminima.errors import UserError
from flatminima.perceptron.gaussian import Array, Rule, gaussian_rule, hazard, log_tail, log_two_cosh

ACCURACY = 1e-10
"""Largest residual of a saddle point, and change of its entropy, under a rule with twice the points."""
POINTS = (256, 512, 1024, 2048, 4096, 8192)
LARGEST_CONJUGATE = 2.0**17
PRECISION = {"xatol": 1e-300, "xrtol": 1e-15, "fatol": 0.0, "frtol": 0.0}


@dataclass(frozen=True)
class SaddlePoint:
    """Typical solutions of margin kappa among alpha N random patterns (theory.md 3.2), each of one shape.

    Attributes:
        alpha: patterns per weight.
        margin: kappa, in units of the stabilities y w.x / sqrt(N).
        entropy: phi, logarithm of the number of solutions per weight, in nats; negative where there are none.
        overlap: q, the typical cosine of two solutions.
        conjugate: qh.
        residual: the larger violation of the two equations, that of qh relative to 1 + qh, under a rule with
            twice the points.
    """

    alpha: Array
    margin: Array
    entropy: Array
    overlap: Array
    conjugate: Array
    residual: Array

    @property
    def distance(self) -> Array:
        """(1 - q) / 2, the typical normalised Hamming distance of two solutions."""
        return (1 - self.overlap) / 2


def saddle_point(alpha: ArrayLike, margin: ArrayLike = 0.0) -> SaddlePoint:
    """Replica-symmetric saddle point.

    Each qh > 0 is the saddle point of one alpha, which is explicit; so the saddle point is the root of one scalar
    equation in qh. The rule's points double until the saddle point holds under twice as many.

    Args:
        alpha: patterns per weight, at least 0, any shape.
        margin: kappa, any sign, a shape that broadcasts with alpha's.

    Raises:
        UserError: if alpha is negative, where q reaches 1 (no saddle point), or the residual stays above 1e-10.
    """
    loads, margins = np.broadcast_arrays(np.asarray(alpha, float), np.asarray(margin, float))
    _check(loads, margins)

    def excess(conjugate: Array, load: Array, kappa: Array, rule: Rule) -> Array:
        return _load(conjugate, kappa, rule) - load

    return _refine(loads, margins, lambda rule: _root(excess, (loads, margins), rule), lambda rule, _: loads)


def capacity(margin: ArrayLike = 0.0) -> Array:
    """alpha_c(kappa), the number of patterns per weight at which the entropy vanishes.

    Args:
        margin: kappa, any shape.

    Raises:
        UserError: as `saddle_point`.
    """
    margins = np.asarray(margin, float)
    _check(np.zeros_like(margins), margins)

    def deficit(conjugate: Array, kappa: Array, rule: Rule) -> Array:
        return -_entropy(_load(conjugate, kappa, rule), kappa, _overlap(conjugate, rule), conjugate, rule)

    return _refine(
        np.zeros_like(margins),
        margins,
        lambda rule: _root(deficit, (margins,), rule),
        lambda rule, conjugate: _load(conjugate, margins, rule),
    ).alpha


def maximal_margin(alpha: ArrayLike) -> Array:
    """kappa_max(alpha), the margin at which the entropy vanishes.

    It lies below the margin of the first-moment bound ln 2 + alpha ln H(kappa) = 0, and below sqrt(2 / (pi alpha)),
    where q reaches 1. Found for alpha from 0.05 up.

    Args:
        alpha: patterns per weight, positive, any shape.

    Raises:
        UserError: if alpha is not positive, or as `saddle_point`.
    """
    loads = np.asarray(alpha, float)
    if not (loads > 0).all():
        raise UserError(f"alpha: {loads.min()} given; expected a positive number, without patterns any margin is met")
    upper = np.minimum(-ndtri(2 ** (-1 / loads)), np.sqrt(2 / (np.pi * loads)))
    lower, width = upper - 0.5, 0.5
    while (short := capacity(lower) < loads).any():
        width *= 2
        lower = np.where(short, upper - width, lower)
    root = find_root(lambda kappa, load: load - capacity(kappa), (lower, upper), args=(loads,), tolerances=PRECISION)
    result: Array = root.x
    return result


def _check(alpha: Array, margin: Array) -> None:
    if not (alpha >= 0).all() or np.isinf(alpha).any():
        raise UserError(f"alpha: {alpha.min()} given; expected patterns per weight, 0 or more")
    if not np.isfinite(margin).all():
        raise UserError("margin: not a finite number; expected a margin in units of y w.x / sqrt(N)")


def _overlap(conjugate: Array, rule: Rule) -> Array:
    """Q = Int Dz tanh^2(sqrt(qh) z)."""
    overlap: Array = np.tanh(np.sqrt(conjugate)[..., None] * rule.nodes) ** 2 @ rule.weights
    return overlap


def _argument(margin: Array, overlap: Array, rule: Rule) -> Array:
    """(kappa - sqrt(q) z) / sqrt(1 - q), with a last axis for z."""
    q = overlap[..., None]
    result: Array = (margin[..., None] - np.sqrt(q) * rule.nodes) / np.sqrt(1 - q)
    return result


def _pull(margin: Array, overlap: Array, rule: Rule) -> Array:
    """Int Dz G^2 / (1 - q), so that qh = alpha times it."""
    pull: Array = hazard(_argument(margin, overlap, rule)) ** 2 @ rule.weights / (1 - overlap)
    return pull


def _load(conjugate: Array, margin: Array, rule: Rule) -> Array:
    """The alpha whose saddle point has this qh."""
    return conjugate / _pull(margin, _overlap(conjugate, rule), rule)


def _entropy(alpha: Array, margin: Array, overlap: Array, conjugate: Array, rule: Rule) -> Array:
    weights_term = log_two_cosh(np.sqrt(conjugate)[..., None] * rule.nodes) @ rule.weights
    patterns_term = log_tail(_argument(margin, overlap, rule)) @ rule.weights
    entropy: Array = -conjugate * (1 - overlap) / 2 + weights_term + alpha * patterns_term
    return entropy


def _root(function: Callable[..., Array], args: tuple[Array, ...], rule: Rule) -> Array:
    """The qh at which an increasing function of it vanishes, of the arguments' shape."""
    upper = np.ones_like(args[0])
    while (short := function(upper, *args, rule) < 0).any():
        upper = np.where(short, 2 * upper, upper)
        if upper.max() > LARGEST_CONJUGATE:
            first = ", ".join(f"{arg[short].flat[0]:.4g}" for arg in args)
            nearest = float(_overlap(upper, gaussian_rule(POINTS[-1])).max())
            raise UserError(
                f"no replica-symmetric saddle point with q below {nearest:.3f} found where (alpha, margin), or the "
                f"margin, is {first}; take smaller ones"
            )
    root = find_root(
        lambda x, *a: function(x, *a, rule), (np.zeros_like(upper), upper), args=args, tolerances=PRECISION
    )
    result: Array = root.x
    return result


def _refine(
    alpha: Array, margin: Array, solve: Callable[[Rule], Array], load: Callable[[Rule, Array], Array]
) -> SaddlePoint:
    """The saddle point of the coarsest rule under which it is accurate; `load` gives alpha where it is unknown."""
    worst = np.inf
    for points in POINTS:
        rule, finer = gaussian_rule(points), gaussian_rule(2 * points)
        conjugate = solve(rule)
        alpha, overlap = load(rule, conjugate), _overlap(conjugate, rule)
        entropy = _entropy(alpha, margin, overlap, conjugate, rule)
        change = np.abs(_entropy(alpha, margin, overlap, conjugate, finer) - entropy)
        excess = np.abs(alpha * _pull(margin, overlap, finer) - conjugate) / (1 + conjugate)
        residual = np.maximum(np.abs(_overlap(conjugate, finer) - overlap), excess)
        worst = max(float(residual.max(initial=0)), float(change.max(initial=0)))
        if worst <= ACCURACY:
            return SaddlePoint(alpha, margin, entropy, overlap, conjugate, residual)
    raise UserError(f"saddle point not found: residual {worst:.1e} above {ACCURACY}; take a smaller alpha or margin")
