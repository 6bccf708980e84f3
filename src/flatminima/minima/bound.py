"""The least sharpness that any global minimum of a deep linear network can have."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MinimalSharpness:
    """A certified value of theory.md I3, which some minimum attains (`sampling.flattest`).

    Attributes:
        value: 2 m max_p (||C p||^2 ||T C p||^{2(m-1)})^{1/m}, evaluated at `maximiser`.
        upper: a bound that no maximiser can exceed; `upper - value` is the certificate's gap.
        maximiser: the unit vector p, shape (d_x,).
        direction: C p / ||C p||, the input direction of the path that carries the signal, shape (d_x,).
        gain: ||T direction||, the end-to-end gain of the path.
        amplitude: ||C p||, the root-mean-square amplitude of the data along the path.
    """

    value: float
    upper: float
    maximiser: Array
    direction: Array
    gain: float
    amplitude: float


def minimal_sharpness(end_to_end: Array, depth: int, input_covariance: Array | None = None) -> MinimalSharpness:
    """Minimal top Hessian eigenvalue over all global minima (theory.md I2 for white inputs, I3 for any).

    With A = C'C and B = C'T'TC the maximum of (p'Ap)^{1/m} (p'Bp)^{1-1/m} over unit vectors equals, by the weighted
    inequality of means, the minimum over t > 0 of the top eigenvalue of (t^{m-1} A + (m-1) B / t) / m: the joint
    numerical range of two quadratic forms is convex (Brickman 1961), so no duality gap is left. That minimum is
    found by a monotone scalar equation, and both sides are returned.

    Where T and Sx commute, the maximiser is an eigenvector of both, and the value 2 m max_i c_i t_i^{2-2/m}, only if
    one pair (c_i, t_i) is best in both roles; otherwise a mixture of eigenvectors can give a larger bound.

    Args:
        end_to_end: T, shape (d_y, d_x).
        depth: number of layers m >= 1.
        input_covariance: Sx = C C', shape (d_x, d_x); white inputs where absent.

    Raises:
        ValueError: if depth < 1, shapes do not match, or T vanishes on the data.
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}: a network has at least one layer")
    covariance = np.eye(end_to_end.shape[1]) if input_covariance is None else input_covariance
    if covariance.shape != (end_to_end.shape[1],) * 2:
        raise ValueError(f"input covariance of shape {covariance.shape} does not fit a map of shape {end_to_end.shape}")
    root = _square_root(covariance)
    mapped = end_to_end @ root
    if depth > 1 and not mapped.any():
        raise ValueError("the end-to-end map vanishes on the data: its minima have no sharpest path")
    maximiser, upper = _maximise(root, mapped, depth)
    image = root @ maximiser
    amplitude = float(np.linalg.norm(image))
    direction = image / amplitude
    return MinimalSharpness(
        value=2 * depth * _geometric_mean(_energy(root, maximiser), _energy(mapped, maximiser), depth),
        upper=2 * depth * upper,
        maximiser=maximiser,
        direction=direction,
        gain=float(np.linalg.norm(end_to_end @ direction)),
        amplitude=amplitude,
    )


def _square_root(covariance: Array) -> Array:
    values, vectors = eigh(covariance)
    root: Array = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def _energy(matrix: Array, vector: Array) -> float:
    return float(np.sum((matrix @ vector) ** 2))


def _geometric_mean(a: float, b: float, depth: int) -> float:
    return float(a ** (1 / depth) * b ** (1 - 1 / depth))


def _maximise(root: Array, mapped: Array, depth: int) -> tuple[Array, float]:
    """The unit vector of largest (p'Ap)^{1/m} (p'Bp)^{1-1/m}, and an upper bound on that maximum, from C and TC."""
    first, second = root.T @ root, mapped.T @ mapped
    if depth == 1:
        return _top_eigenpair(first)

    def top(log_t: float) -> tuple[Array, float]:
        mixture = (np.exp((depth - 1) * log_t) * first + (depth - 1) * np.exp(-log_t) * second) / depth
        return _top_eigenpair(mixture)

    def mismatch(p: Array, log_t: float) -> float:
        with np.errstate(divide="ignore"):
            ratio = np.log(_energy(mapped, p)) - np.log(_energy(root, p))
        return float(np.clip(ratio - depth * log_t, -1e3, 1e3))

    balance = float(np.log(np.linalg.norm(second, 2) / np.linalg.norm(first, 2))) / depth
    low, high = balance - 1.0, balance + 1.0
    while mismatch(top(low)[0], low) < 0:
        low -= 2.0
    while mismatch(top(high)[0], high) > 0:
        high += 2.0
    best_log_t = brentq(lambda log_t: mismatch(top(log_t)[0], log_t), low, high, xtol=1e-14, rtol=1e-14)
    candidates = [top(best_log_t + shift) for shift in (-1e-9, 0.0, 1e-9)]
    upper = min(value for _, value in candidates)
    vectors = [vector for vector, _ in candidates]
    vectors.append(_combine(vectors[0], vectors[2], lambda p: mismatch(p, best_log_t)))
    best = max(vectors, key=lambda p: _geometric_mean(_energy(root, p), _energy(mapped, p), depth))
    return best, upper


def _top_eigenpair(matrix: Array) -> tuple[Array, float]:
    """Through all eigenpairs: LAPACK's solvers for a subset return none for some multiples of the identity."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors[:, -1], float(values[-1])


def _combine(first: Array, second: Array, mismatch: Callable[[Array], float]) -> Array:
    """Find the unit vector on which the mismatch vanishes, in the eigenspace of a double top eigenvalue."""

    def mix(angle: float) -> Array:
        vector: Array = np.cos(angle) * first + np.sin(angle) * second
        return vector / np.linalg.norm(vector)

    ends = 0.0, np.pi / 2
    if abs(first @ second) > 0.999 or mismatch(mix(ends[0])) * mismatch(mix(ends[1])) >= 0:
        return first
    return mix(brentq(lambda angle: mismatch(mix(angle)), *ends, xtol=1e-14))
