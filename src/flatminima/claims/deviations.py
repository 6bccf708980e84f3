"""How far a layer's value is from what the first paper says of flattest minima; the worst layer counts."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _logarithm(gain: Array) -> Array:
    with np.errstate(divide="ignore"):
        distance: Array = np.abs(np.log(gain))
    return distance


def _from_one(cosine: Array) -> Array:
    result: Array = 1 - cosine
    return result


def _itself(residual: Array) -> Array:
    return residual


DEVIATIONS: Mapping[str, Callable[[Array], Array]] = {
    "path_gain": _logarithm,
    "own_gain": _logarithm,
    "product_norm": _logarithm,
    "path_cosine": _from_one,
    "own_cosine": _from_one,
    "singular_overlap": _from_one,
    "path_residual": _itself,
    "left_residual": _itself,
    "right_residual": _itself,
}
"""Zero where the claim holds exactly: gains equal to those of equal steps, cosines of one, residuals of zero."""
