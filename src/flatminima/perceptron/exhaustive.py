"""All weights of small binary perceptrons: exact numbers of solutions, in total and around solutions."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatminima.errors import UserError
from flatminima.perceptron.instances import Signs, check_size

Codes = NDArray[np.uint32]
Array = NDArray[np.float64]
LARGEST = 27
ROWS = 16
PAIRS = 1 << 20


@dataclass(frozen=True)
class LogAverages:
    """Averages over instances of ln(count) / N.

    Attributes:
        annealed: ln of the mean count, per weight; -inf where all counts vanish.
        annealed_error: its standard error, to first order.
        quenched: mean of ln(count), per weight, over nonzero counts; NaN where there are none.
        quenched_error: its standard error over instances.
        empty: share of counts that are zero, which the quenched average leaves out.
    """

    annealed: Array
    annealed_error: Array
    quenched: Array
    quenched_error: Array
    empty: Array


def least_products(patterns: Signs) -> NDArray[np.int8]:
    """Least over mu of w.sigma^mu for all 2^N weights of one instance.

    Entry c belongs to the weights whose i-th is +1 where bit i of c is set. Inner products of the two halves of the
    weights are tabulated, and added pair by pair.

    Args:
        patterns: sigma, shape (P, N), N odd and at most 27; P may be 0, and all entries then are N.

    Raises:
        UserError: if N is even or too large.
    """
    size = patterns.shape[1]
    check_size(size)
    if size > LARGEST:
        raise UserError(f"size N is {size}: 2^N weights are enumerated up to N = {LARGEST}; take a smaller one")
    half = size // 2
    low, high = (signs @ part.T for signs, part in _halves(patterns, half))
    low = np.ascontiguousarray(low.T)
    least = np.full((len(high), low.shape[1] if len(low) else 1 << (size - half)), size, np.int8)
    for start in range(0, len(high), ROWS):
        block = least[start : start + ROWS]
        for mu, products in enumerate(low):
            np.minimum(block, high[start : start + ROWS, mu, None] + products, out=block)
    return least.reshape(-1)


def decode(codes: Codes, size: int) -> Signs:
    """Weights in {-1, +1}, shape (len(codes), N): the i-th is +1 where bit i is set."""
    bits = (codes[:, None] >> np.arange(size, dtype=np.uint32)) & np.uint32(1)
    return 2 * bits.astype(np.int8) - 1


def distance_counts(references: Codes, others: Codes, size: int) -> NDArray[np.int64]:
    """Numbers of `others` at each Hamming distance 0, ..., N from each reference, shape (references, N + 1)."""
    counts = np.zeros((len(references), size + 1), np.int64)
    rows = max(1, PAIRS // max(1, len(others)))
    for start in range(0, len(references), rows):
        part = references[start : start + rows]
        distances = np.bitwise_count(part[:, None] ^ others)
        places = np.arange(len(part))[:, None] * (size + 1) + distances
        counts[start : start + rows] = np.bincount(places.ravel(), minlength=len(part) * (size + 1)).reshape(
            -1, size + 1
        )
    return counts


def log_averages(counts: NDArray[np.int64], size: int) -> LogAverages:
    """Annealed and quenched averages of counts, shape (instances, m), of weights of size N."""
    return averages([instance[None] for instance in counts], size)


def _halves(patterns: Signs, half: int) -> Iterable[tuple[Signs, Signs]]:
    """All weights of the first N - half and of the last `half` places, and those places of the patterns."""
    split = patterns.shape[1] - half
    for part in (patterns[:, :split], patterns[:, split:]):
        yield decode(np.arange(1 << part.shape[1], dtype=np.uint32), part.shape[1]), part


def averages(counts: list[NDArray[np.int64]], size: int) -> LogAverages:
    """Annealed and quenched averages of counts of each instance, shape (references, m): each instance weighs alike."""
    means = np.array([instance.mean(0) for instance in counts])
    logs = np.array([_mean(np.log(np.where(instance > 0, instance, np.nan))) for instance in counts]) / size
    with np.errstate(divide="ignore", invalid="ignore"):
        annealed = np.log(means.mean(0)) / size
        annealed_error = _standard_error(means) / means.mean(0) / size
    return LogAverages(
        annealed=annealed,
        annealed_error=annealed_error,
        quenched=_mean(logs),
        quenched_error=_standard_error(logs),
        empty=np.mean([(instance == 0).mean(0) for instance in counts], 0),
    )


def _mean(values: Array) -> Array:
    """Mean of the numbers in each column, NaN where there are none."""
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(present, values, 0).sum(0) / present.sum(0))


def _standard_error(values: Array) -> Array:
    """Standard error of the mean of each column; NaN where there are fewer than two numbers."""
    present = ~np.isnan(values)
    count = present.sum(0)
    squares = np.where(present, (values - _mean(values)) ** 2, 0).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(squares / (count - 1) / count))
