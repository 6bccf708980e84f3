"""Second moments of rows, their pseudo-inverse powers, and linear maps of rows, in blocks of bounded memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 64 * 2**20
RELATIVE_CUTOFF = 1e-12
"""Eigenvalues at most this fraction of the largest count as zero.

Samples are stored in float32, whose rounding (relative 6e-8 of an entry) leaves eigenvalues below 1e-14 of the largest
in directions that are null; a pixel whose only trace is the value 1 of 255 in one of MNIST's 60,000 images has 5e-12.
"""


def mean_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """Second moment E[l r'] over paired rows, accumulated in float64.

    Args:
        left: shape (n, a).
        right: shape (n, b); pass the same array twice for an exactly symmetric result.

    Returns:
        shape (a, b).
    """
    total = np.zeros((left.shape[1], right.shape[1]))
    for rows in _blocks(len(left), left.shape[1] + right.shape[1]):
        block = left[rows].astype(np.float64)
        other = block if right is left else right[rows].astype(np.float64)
        total += block.T @ other
    return total / len(left)


def inverse_power(moment: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Pseudo-inverse power S^{-power} of a positive semi-definite matrix.

    Directions whose eigenvalue is at most RELATIVE_CUTOFF of the largest are null, such as a pixel that is always
    black: the result is zero there.

    Args:
        moment: symmetric, shape (d, d).
        power: positive; 1 for the pseudo-inverse, 0.5 for whitening.

    Returns:
        Symmetric, shape (d, d).
    """
    eigenvalues, eigenvectors = np.linalg.eigh(moment)
    kept = eigenvalues > RELATIVE_CUTOFF * eigenvalues[-1]
    half = eigenvectors[:, kept] * eigenvalues[kept] ** (-power / 2)
    return np.asarray(half @ half.T)


def transform(inputs: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows x' turned into (M x)', multiplied in float64 and rounded to float32.

    Args:
        inputs: shape (n, d).
        matrix: M, shape (e, d).

    Returns:
        shape (n, e).
    """
    result = np.empty((len(inputs), len(matrix)), np.float32)
    for rows in _blocks(len(inputs), sum(matrix.shape)):
        result[rows] = inputs[rows].astype(np.float64) @ matrix.T
    return result


def _blocks(count: int, width: int) -> Iterator[slice]:
    """Slices of 0..count whose float64 rows of that width fill at most BLOCK_BYTES."""
    rows = max(1, BLOCK_BYTES // (8 * width))
    return (slice(start, start + rows) for start in range(0, count, rows))
