"""Random linear problems: maps T and input moments Sx of prescribed singular values."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import expm

from flatminima.minima.linear import LinearProblems
from flatminima.settings.theory import Condition

Array = NDArray[np.float64]
MAPS = ("positive", "turned", "reflected")
ANGLE = 0.5
"""Standard deviation of the entries of the skew-symmetric matrix that turns a map, in radians."""


def draw_problems(condition: Condition, depth: int, count: int, random: Generator) -> LinearProblems:
    """Problems of one kind: singular vectors uniform, values uniform in logarithm, the largest of them one."""
    left, right = rotations(count, condition.outputs, random), rotations(count, condition.inputs, random)
    values = log_uniform(count, condition.rank, condition.spread, random)
    rank = condition.rank
    end_to_end = (left[:, :, :rank] * values[:, None, :]) @ right[:, :, :rank].transpose(0, 2, 1)
    moment = positive(log_uniform(count, condition.inputs, condition.ill, random), random)
    return LinearProblems.of(end_to_end, moment, depth)


def square_maps(kind: str, count: int, size: int, spread: float, random: Generator) -> Array:
    """Square maps that a zero-initialised residual network can or cannot reach.

    Args:
        kind: `positive`, symmetric with positive eigenvalues; `turned`, such a map after a rotation by moderate angles;
            or `reflected`, such a map with the sign of one eigenvalue changed, whose determinant is negative.
        count: how many.
        size: d_x = d_y.
        spread: largest over smallest singular value; the two lie evenly about one, the gain at the start.
        random: the stream to draw from.

    Returns:
        Shape (count, size, size).
    """
    values = np.sqrt(spread) * log_uniform(count, size, spread, random)
    if kind == "reflected":
        values[:, -1] *= -1
    maps = positive(values, random)
    if kind == "turned":
        skew = ANGLE * random.standard_normal((count, size, size))
        maps = maps @ expm((skew - skew.transpose(0, 2, 1)) / np.sqrt(2))
    return maps


def positive(values: Array, random: Generator) -> Array:
    """Symmetric matrices with these eigenvalues, shape (count, size), in uniformly random bases."""
    count, size = values.shape
    basis = rotations(count, size, random)
    matrix: Array = (basis * values[:, None, :]) @ basis.transpose(0, 2, 1)
    return (matrix + matrix.transpose(0, 2, 1)) / 2


def rotations(count: int, size: int, random: Generator) -> Array:
    """Random orthogonal matrices, shape (count, size, size)."""
    orthogonal: Array = np.linalg.qr(random.standard_normal((count, size, size))).Q
    return orthogonal


def log_uniform(count: int, size: int, ratio: float, random: Generator) -> Array:
    """Values whose largest is one and smallest 1 / ratio, the others uniform in logarithm; shape (count, size)."""
    exponents = random.uniform(size=(count, size))
    exponents[:, 0] = 0
    exponents[:, 1:2] = 1
    result: Array = ratio**-exponents
    return result
