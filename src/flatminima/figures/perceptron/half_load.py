"""The load at which a share of successes falls through one half, and its extrapolation to large N."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from flatminima.claims.intervals import CONFIDENCE, Interval
from flatminima.errors import UserError

Array = NDArray[np.float64]

HALVES = np.linspace(0.0, 1.25, 2501)
"""Loads that are tried; beyond 1.25 patterns per weight there are no solutions."""
SLOPES = np.geomspace(5.0, 1000.0, 60)
"""Slopes that are tried. At the steepest the share falls from 90 % to 10 % within 0.0044, less than between loads."""
LEVEL = 1e-3
"""Log-likelihoods that differ by less are as good as equal: where data do not tell loads apart, the middle is taken."""
FEWEST = 3
"""Sizes that an extrapolation takes."""


def half_load(loads: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> Interval:
    """Load at which one half of trials succeed, by a logistic curve that falls with the load.

    The share at load a is 1 / (1 + exp(s (a - h))). Its two parameters are tried on the grid HALVES x SLOPES, so that
    nothing needs to converge. The value is the h of greatest likelihood. The interval holds every h whose likelihood,
    maximised over s, is within the chi-squared bound of the greatest (profile likelihood). Where all succeed up to some
    load and none beyond, every h between is equally likely: the value is their middle, and the interval holds them all.
    Loads below the first with the greatest share are left out: what fails at few patterns too fails for another reason.

    Args:
        loads: shape (loads,), in any order.
        successes: of each load.
        trials: of each load.

    Returns:
        Value and 95 % interval. Where the data leave one end open, because nearly all or nearly no trials succeed, the
        value is NaN and that end infinite.

    Raises:
        UserError: if there is no trial.
    """
    tried, won, total = (np.asarray(values, float) for values in (loads, successes, trials))
    if not total.sum() > 0:
        raise UserError("half_load: no trial at any load; expected at least one")
    falling = tried >= tried[np.lexsort((tried, -won / np.maximum(total, 1)))[0]]
    success, failure = _log_shares(tuple(tried[falling]))
    likelihood = (success @ won[falling] + failure @ (total - won)[falling]).max(1)
    best = HALVES[likelihood >= likelihood.max() - LEVEL]
    within = HALVES[likelihood >= likelihood.max() - chi2.ppf(CONFIDENCE, 1) / 2]
    low = -np.inf if within[0] == HALVES[0] else float(within[0])
    high = np.inf if within[-1] == HALVES[-1] else float(within[-1])
    value = float((best[0] + best[-1]) / 2) if np.isfinite([low, high]).all() else np.nan
    return Interval(value, low, high)


@lru_cache(maxsize=32)
def _log_shares(loads: tuple[float, ...]) -> tuple[Array, Array]:
    """Logarithms of the shares of success and failure, shape (halves, slopes, loads)."""
    exponent = SLOPES[:, None] * (np.array(loads) - HALVES[:, None, None])
    return -np.logaddexp(0, exponent), -np.logaddexp(0, -exponent)


def extrapolate(sizes: Sequence[int], found: Sequence[Interval], power: float) -> Interval | None:
    """Limit of large N of a value that changes with N like N^(-power): a line by weighted least squares.

    Weights are those of normal errors as wide as the intervals. Where points scatter about the line more than these
    allow, the error of the limit is widened by as much (Birge's ratio).

    Args:
        sizes: N.
        found: the value at each N, with its interval; those with an open end are left out.
        power: positive.

    Returns:
        The limit and its 95 % interval, or None where fewer than FEWEST sizes are left.
    """
    pairs = [(size, interval) for size, interval in zip(sizes, found, strict=True) if np.isfinite(interval).all()]
    if len(pairs) < FEWEST:
        return None
    values = np.array([interval.value for _, interval in pairs])
    errors = np.array([interval.high - interval.low for _, interval in pairs]) / (2 * norm.ppf((1 + CONFIDENCE) / 2))
    design = np.stack([np.ones(len(pairs)), np.array([size for size, _ in pairs], float) ** -power], axis=1)
    scaled = design / errors[:, None]
    line = np.linalg.lstsq(scaled, values / errors)[0]
    misfit = float((((values - design @ line) / errors) ** 2).sum() / (len(pairs) - 2))
    error = np.sqrt(np.linalg.inv(scaled.T @ scaled)[0, 0] * max(1.0, misfit)) * norm.ppf((1 + CONFIDENCE) / 2)
    return Interval(float(line[0]), float(line[0] - error), float(line[0] + error))
