"""Bounds on gains and cosines of a global minimum of given sharpness (docs/theory.md, I4 off equality)."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HALVINGS = 100


def gain_envelope(excess: Array, depth: int) -> Array:
    """Largest |log| of the relative path gain of any layer.

    Every global minimum of m layers has a sharpness of at least the mean of m terms, in units of the least, whose
    product over the first k is g_k^-2 and over all is one, where no cosine is below one; cosines below one leave the
    gain less room. The mean is least for equal terms before and after layer k, so that |log g_k| = L asks for
    (k exp(2 L / k) + (m - k) exp(-2 L / (m - k))) / m or, for g_k above one, the same with k and m - k exchanged.

    Args:
        excess: sharpness ratio less one, zero or more.
        depth: number m of layers, two or more.

    Returns:
        L at the layer where it is largest, the shape of excess; to second order sqrt(excess k (m - k) / 2).
    """
    layers: Array = np.max([_at_layer(excess, k, depth - k) for k in range(1, depth)], axis=0)
    return layers


def cosine_envelope(excess: Array, depth: int) -> Array:
    """Largest 1 - path cosine of any interface: the terms' product is that of all cosines^-2, hence at most ratio^m.

    Args:
        excess: sharpness ratio less one, zero or more.
        depth: number m of layers, two or more.

    Returns:
        1 - ratio^(-m/2), the shape of excess.
    """
    distance: Array = -np.expm1(-depth / 2 * np.log1p(excess))
    return distance


def _at_layer(excess: Array, growing: int, shrinking: int) -> Array:
    """Solve the mean of growing equal terms exp(2 L / growing) and shrinking ones exp(-2 L / shrinking) for L."""
    depth = growing + shrinking
    low, high = np.zeros_like(excess), growing / 2 * np.log(depth / growing * (1 + excess))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        mean = (growing * np.expm1(2 * middle / growing) + shrinking * np.expm1(-2 * middle / shrinking)) / depth
        low, high = np.where(mean <= excess, middle, low), np.where(mean <= excess, high, middle)
    return low
