"""Random linear problems: maps T and input moments Sx of prescribed singular values."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import expm, helmert

from flatminima.minima.linear import LinearProblems
from flatminima.settings.theory import Condition

Array = NDArray[np.float64]
CLASSES = 10
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


def label_tasks(count: int) -> tuple[Array, Array]:
    """Square nonsingular tasks made of scikit-learn's handwritten digits: nine principal components to nine contrasts.

    The digits are dealt out to the tasks, which share no image. Of each task's centred images the nine leading
    principal components are the inputs; the outputs are the labels, one-hot, in an orthonormal basis (Helmert's) of
    what is orthogonal to the all-ones vector. Inputs are scaled to a largest variance of one, outputs so that the
    gains of T lie evenly about one in logarithm. Components and contrasts are known up to sign, which decides the sign
    of det T; the last contrast's is chosen for det T > 0. Exchanging two classes flips it.

    Args:
        count: how many tasks.

    Returns:
        T of the components as they are, shape (count, 9, 9), and Sx, diagonal, of the same shape. Whitening the inputs
        changes T into T sqrt(Sx), up to the scale of the outputs, see `evenly`.
    """
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    one_hot = np.eye(CLASSES)[classes] @ helmert(CLASSES).T
    parts = [np.arange(part, len(images), count) for part in range(count)]
    maps, variances = zip(*(_label_task(images[part], one_hot[part]) for part in parts), strict=True)
    return evenly(np.array(maps)), np.array([np.diag(variance) for variance in variances])


def _label_task(images: Array, targets: Array) -> tuple[Array, Array]:
    """T and the variances of the inputs, the largest of them one."""
    left, values, _ = np.linalg.svd(images - images.mean(0), full_matrices=False)
    size = targets.shape[1]
    inputs = left[:, :size] * (values[:size] / values[0])
    solved: Array = np.linalg.lstsq(inputs, targets - targets.mean(0))[0].T
    solved[-1] *= np.sign(np.linalg.det(solved))
    return solved, (values[:size] / values[0]) ** 2


def evenly(maps: Array) -> Array:
    """Scale maps, shape (count, d_y, d_x), so that largest and smallest gain have a geometric mean of one."""
    values = np.linalg.svd(maps, compute_uv=False)
    scaled: Array = maps / np.sqrt(values[:, :1] * values[:, -1:])[:, :, None]
    return scaled


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
