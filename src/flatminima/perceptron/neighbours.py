"""Solutions at one, two and three flips from a solution: exact counts, and theory's expectation."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from flatminima.perceptron.instances import Signs, pattern_count, products
from flatminima.perceptron.stability import lattice_error

FLIPS = (1, 2, 3)
"""Numbers of flips at which neighbours are counted."""
PAIRS = 2**13
"""Pairs of types of weights that are looked at together: their bits stay in the processor's cache."""
Plus = NDArray[np.float32]
"""Rows of patterns: 1 where a flip of the weight lowers the pattern's stability, else 0; shape (rows, weights)."""


def count_neighbours(patterns: Signs, weights: Signs) -> NDArray[np.int64]:
    """Solutions of margin zero that differ from a solution in one, two and three weights: counted, not sampled.

    Flipping a set of weights lowers the product w.sigma of a pattern by twice the sum of w_i sigma_i over the set. So
    only patterns with products of 1, 3 and 5 can be lost. Two flips lose a pattern of product 1 or 3 where both lower
    it; three flips lose one of product 1 where two of them lower it, and one of product 3 or 5 where all three do.

    Args:
        patterns: labels absorbed, of one instance, shape (P, N), N odd.
        weights: a solution, shape (N,).

    Returns:
        Counts, shape (3,).
    """
    values = products(patterns[None], weights[None])[0]
    one, three, five = ((patterns[values == value] * weights > 0).astype(np.float32) for value in (1, 3, 5))
    free = int((~one.any(0)).sum())
    return np.array([free, _pairs(np.vstack([one, three])), _triples(one, np.vstack([three, five]))])


def _pairs(rows: Plus) -> int:
    """Pairs of weights of which no row has both."""
    apart = rows.T @ rows == 0
    return int((apart.sum() - np.trace(apart)) // 2)


def _triples(pairwise: Plus, triplewise: Plus) -> int:
    """Sets of three weights of which no row of the first kind has two, and none of the second has all.

    Weights with the same rows are of one type. For every two types a bit for each weight says whether it may be the
    third. Ordered triples are counted with repetition, and those that name a weight twice are taken off.
    """
    keys = _bits(np.vstack([pairwise, triplewise]).T > 0)
    _, chosen, places, counts = np.unique(keys, axis=0, return_index=True, return_inverse=True, return_counts=True)
    pairwise, triplewise = pairwise[:, chosen], triplewise[:, chosen]
    apart, lowered = pairwise.T @ pairwise == 0, triplewise > 0
    third, without = _bits(apart[:, places]), _bits(~lowered[:, places])
    pairs, every = np.argwhere(np.triu(apart)).T, 0
    for first in range(0, pairs.shape[1], PAIRS):
        one, other = pairs[:, first : first + PAIRS]
        allowed = third[one] & third[other]
        for row, kept in zip(lowered, without, strict=True):
            allowed[np.flatnonzero(row[one] & row[other])] &= kept
        times = counts[one] * counts[other] * np.where(one == other, 1, 2)
        every += int(times @ np.bitwise_count(allowed).sum(1, dtype=np.int64))
    same = np.diag(apart)
    twice = counts[same] @ (apart[same] & (triplewise.T[same] @ triplewise == 0)) @ counts
    thrice = counts[same & ~lowered.any(0)].sum()
    return int(every - 3 * twice + 2 * thrice) // 6


def _bits(rows: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Rows of truth values, 64 to a word, padded with zeros: at least one, so that there are words of no values too."""
    padded = np.pad(rows, ((0, 0), (0, 64 - rows.shape[1] % 64)))
    return np.ascontiguousarray(np.packbits(padded, axis=1)).view(np.uint64)


def expected_neighbours(size: int, load: float, flips: ArrayLike) -> NDArray[np.float64]:
    """Expected number of solutions at some flips from a typical solution of margin zero.

    The number of sets of weights, times the probability that none of the P patterns is lost, each with the
    replica-symmetric law of its stability around typical solutions, on the lattice of N weights. Patterns are taken as
    independent, which gives the mean over solutions; enumeration of small instances agrees
    (tests/unit/test_perceptron_neighbours.py).

    Args:
        size: N, odd.
        load: alpha; P is rounded.
        flips: numbers of flips, any shape.

    Raises:
        UserError: as `stability.lattice_error`.
    """
    count, n = pattern_count(size, load), np.asarray(flips)
    sets = gammaln(size + 1) - gammaln(n + 1) - gammaln(size - n + 1)
    kept = count * np.log1p(-lattice_error(count / size, size, n))
    expected: NDArray[np.float64] = np.exp(sets + kept)
    return expected
