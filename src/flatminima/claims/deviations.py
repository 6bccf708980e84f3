"""Deviation of a layer's value from the first paper's properties of flattest minima; the worst layer counts."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from flatminima.statistics.catalogue import STATISTICS
from flatminima.statistics.statistic import Worst

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


FROM: Mapping[Worst, Callable[[Array], Array]] = {"far from one": _logarithm, "small": _from_one, "large": _itself}
DEVIATIONS: Mapping[str, Callable[[Array], Array]] = {
    name: FROM[one.worst] for name, one in STATISTICS.items() if one.worst is not None
}
"""Zero where the claim holds exactly: gains equal to those of equal steps, cosines of one, residuals of zero."""
