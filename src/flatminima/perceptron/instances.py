"""Random and planted instances of the binary perceptron (theory.md 3.1)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import gammaln

from flatminima.errors import UserError
from flatminima.settings import perceptron as settings

Signs = NDArray[np.int8]


@dataclass(frozen=True)
class Planted:
    """Instances that were drawn around a reference.

    Attributes:
        patterns: sigma^mu = y^mu x^mu in {-1, +1}, shape (instances, P, N).
        reference: weights in {-1, +1} whose stabilities all reach the planted margin, shape (instances, N).
    """

    patterns: Signs
    reference: Signs


def storage(instances: int, size: int, load: float, generator: Generator) -> Signs:
    """Random patterns with random labels, absorbed: sigma^mu = y^mu x^mu is uniform in {-1, +1}^N.

    Args:
        instances: how many.
        size: N, odd, so that no stability vanishes.
        load: alpha = P / N; P is rounded to the nearest integer, and to at least one.
        generator: source of randomness.

    Returns:
        Patterns, shape (instances, P, N).

    Raises:
        UserError: if N is even or the load is not positive.
    """
    return _signs((instances, pattern_count(size, load), size), generator)


def planted(instances: int, size: int, load: float, margin: float, generator: Generator) -> Planted:
    """Patterns drawn, independently and uniformly, among those a random reference classifies with a margin.

    This is also the teacher-student problem: labels of a teacher, patterns with |teacher.x| / sqrt(N) below the margin
    left out, labels absorbed. Planting is not sampling a typical margin-kt solution of a random (storage) instance.
    It weights instances by their number of such solutions, so all equilibrium properties of the reference are those
    of random instances only where ln E Z = E ln Z to leading order. For this one-sided constraint they differ (at
    alpha = 1/2 and kt = 0: ln 2 - ln(2)/2 = 0.347 against 0.314 per weight), because the patterns share a mean along
    the reference: planting is not quiet, and more solutions surround a planted reference than a typical one.

    Args:
        instances: how many.
        size: N, odd.
        load: alpha = P / N.
        margin: kt, the least stability reference.sigma / sqrt(N).
        generator: source of randomness.

    Raises:
        UserError: if N is even, the load is not positive, or no pattern has such a margin.
    """
    shape = instances, pattern_count(size, load), size
    most = (size - threshold(size, margin)) // 2
    if most < 0:
        raise UserError(
            f"margin is {margin}: no stability exceeds sqrt(N) = {math.sqrt(size):.2f}; plant a smaller one"
        )
    wrong = generator.choice(most + 1, size=shape[:2], p=_binomial_head(size, most))
    agreement = 1 - 2 * (np.arange(size) < wrong[..., None]).astype(np.int8)
    reference = _signs((instances, size), generator)
    return Planted(generator.permuted(agreement, axis=-1) * reference[:, None], reference)


def threshold(size: int, margin: float) -> int:
    """The least odd integer w.sigma, for odd N, whose stability w.sigma / sqrt(N) reaches a margin."""
    least = math.ceil(margin * math.sqrt(size) - 1e-9)
    return least + (least + 1) % 2


def stabilities(patterns: Signs, weights: Signs) -> NDArray[np.float64]:
    """s^mu = w.sigma^mu / sqrt(N), shape (instances, P), of weights of shape (instances, N)."""
    return products(patterns, weights) / math.sqrt(patterns.shape[-1])


def products(patterns: Signs, weights: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Exact integers w.sigma^mu, shape (instances, P): float32 holds integers up to 2^24."""
    exact: NDArray[np.int64] = np.rint(np.matmul(patterns.astype(np.float32), weights[..., None].astype(np.float32)))
    return exact[..., 0].astype(np.int64)


def check_size(size: int) -> None:
    """Refuse sizes that allow a stability of zero.

    Raises:
        UserError: if N is not odd and positive.
    """
    if size < 1 or size % 2 == 0:
        raise UserError(f"size N is {size}: expected an odd number, so that no stability is zero; take {size + 1}")


def pattern_count(size: int, load: float) -> int:
    """P, the integer nearest to alpha N, at least one.

    Raises:
        UserError: if N is even or the load is not positive.
    """
    check_size(size)
    if not load > 0:
        raise UserError(f"load alpha is {load}: expected a positive number of patterns per weight, such as 0.5")
    return settings.pattern_count(size, load)


def _signs(shape: tuple[int, ...], generator: Generator) -> Signs:
    return 2 * generator.integers(0, 2, shape, dtype=np.int8) - 1


def _binomial_head(size: int, most: int) -> NDArray[np.float64]:
    """Probabilities of 0, ..., most wrong signs out of N fair ones, given that there are no more."""
    wrong = np.arange(most + 1)
    logs = -gammaln(wrong + 1) - gammaln(size - wrong + 1)
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())
