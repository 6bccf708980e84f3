"""The surroundings of a solution: its margin, errors after random flips, and how many solutions lie nearby."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, log_ndtr
from scipy.stats import hypergeom

from flatminima.errors import UserError
from flatminima.perceptron.instances import Signs, products, stabilities
from flatminima.perceptron.message_passing import LEAST_VARIANCE, cavity_fields, margin_field, standardise, variance

Array = NDArray[np.float64]
DAMPING = 0.5
BISECTIONS = 40


@dataclass(frozen=True)
class LocalEntropies:
    """Entropies of solutions around references, by belief propagation.

    Attributes:
        entropy: ln(number of solutions) / N, shape (instances, distances); NaN where not converged.
        residual: largest change of a magnetisation in the last step, same shape.
        converged: whether the residual is below the tolerance, at a fixed point that can be: magnetisations not
            frozen, and the entropy no more than that of all weights at the distance. Same shape.
    """

    entropy: Array
    residual: Array
    converged: NDArray[np.bool_]


def minimal_margins(patterns: Signs, weights: Signs) -> Array:
    """The least stability of each instance's weights, shape (instances,)."""
    margins: Array = stabilities(patterns, weights).min(1)
    return margins


def flip_errors(patterns: Signs, weights: Signs, distances: ArrayLike) -> Array:
    """Expected share of patterns with a negative stability after flipping a random set of weights (theory.md 3.4).

    Exact, not sampled: of n = round(d N) flipped weights, a hypergeometric number h agreed with the label's opposite,
    and the product w.sigma falls by 2 (n - 2 h).

    Args:
        patterns: shape (instances, P, N).
        weights: shape (instances, N).
        distances: shares d of weights to flip, in [0, 1].

    Returns:
        Shape (instances, distances).
    """
    size = patterns.shape[2]
    flips = np.rint(np.asarray(distances) * size).astype(int)
    values, places = np.unique(products(patterns, weights), return_inverse=True)
    most = np.ceil((2 * flips - values[:, None]) / 4) - 1
    errors = hypergeom.cdf(most, size, ((size - values) // 2)[:, None], flips)
    shares: Array = errors[places.reshape(patterns.shape[:2])].mean(1)
    return shares


def local_entropies(
    patterns: Signs,
    weights: Signs,
    distances: Sequence[float],
    *,
    margin: float = 0.0,
    tolerance: float = 1e-6,
    steps: int = 2000,
) -> LocalEntropies:
    """Entropy per weight of the solutions at normalised Hamming distances from given weights.

    Belief propagation with a field gamma along the weights, whose value is set in each step so that the overlap is
    1 - 2 d; this is the Legendre transform of the free entropy in gamma. Each distance starts from equal
    magnetisations. The entropy is Bethe's at the fixed point, sum_i S(m_i) + sum_mu [ln H(x_mu) + correction_mu^2 /
    (2 V)], over N. It is replica symmetric, and exact only in the limit of large N.

    Args:
        patterns: shape (instances, P, N).
        weights: references, shape (instances, N); they need not be solutions.
        distances: d, in (0, 1).
        margin: kappa, of the solutions that are counted.
        tolerance: largest residual of a converged point.
        steps: most steps at a distance.

    Raises:
        UserError: if a distance is not in (0, 1).
    """
    if not all(0 < d < 1 for d in distances):
        raise UserError(f"distances are {list(distances)}: expected normalised Hamming distances between 0 and 1")
    gauged = (patterns * weights[:, None]).astype(np.float64)
    kappa = margin_field(patterns.shape[2], margin)
    points = [_at_distance(gauged, kappa, d, tolerance, steps) for d in distances]
    entropy, residual = np.stack(points, -1)
    return LocalEntropies(entropy, residual, np.isfinite(entropy))


def _at_distance(patterns: Array, kappa: float, distance: float, tolerance: float, steps: int) -> tuple[Array, Array]:
    """Entropies, NaN where there is no admissible fixed point, and residuals, each of shape (instances,)."""
    means, correction, residual = _converge(patterns, kappa, 1 - 2 * distance, tolerance, steps)
    entropy = _bethe(patterns, means, correction, kappa)
    frozen = variance(means)[:, 0] <= LEAST_VARIANCE
    admissible = (residual < tolerance) & ~frozen & (entropy <= entr(distance) + entr(1 - distance))
    return np.where(admissible, entropy, np.nan), residual


def _converge(
    patterns: Array, kappa: float, overlap: float, tolerance: float, steps: int
) -> tuple[Array, Array, Array]:
    """Magnetisations of a given mean, Onsager's correction, and the largest last change in each instance.

    Where means are damped, so are corrections: both are sums over the steps before with the same weights.
    """
    instances, count, size = patterns.shape
    means, correction = np.full((instances, size), overlap), np.zeros((instances, count))
    for _ in range(steps):
        fields, reactions = cavity_fields(patterns, means, correction, kappa)
        target = np.tanh(fields + _field_of_overlap(fields, overlap))
        residual = np.abs(target - means).max(1)
        means = DAMPING * means + (1 - DAMPING) * target
        correction = DAMPING * correction + (1 - DAMPING) * variance(target) * reactions
        if (residual < tolerance).all():
            break
    return means, correction, residual


def _field_of_overlap(fields: NDArray[Any], overlap: float) -> Array:
    """The gamma, shape (instances, 1), at which tanh(fields + gamma) has a given mean."""
    low = np.arctanh(overlap) - fields.max(1, keepdims=True)
    high = np.arctanh(overlap) - fields.min(1, keepdims=True)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = np.tanh(fields + middle).mean(1, keepdims=True) < overlap
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(low)


def _bethe(patterns: Array, means: Array, correction: Array, kappa: float) -> Array:
    """Bethe's entropy per weight, shape (instances,)."""
    deviation, x = standardise(patterns, means, correction, kappa)
    weights = entr((1 + means) / 2) + entr((1 - means) / 2)
    constraints = log_ndtr(-x) + (correction / deviation) ** 2 / 2
    total: Array = weights.sum(1) + constraints.sum(1)
    return np.asarray(total / means.shape[1])
