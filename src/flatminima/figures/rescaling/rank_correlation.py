"""Spearman's rank correlation with its 95 % interval, over all networks or among those that are alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, pearsonr

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes:
        value: Spearman's coefficient; NaN if ranks do not differ.
        low: end of its 95 % interval; -1 where there are too few networks for one.
        high: the other end; 1 where there are too few.
    """

    value: float
    low: float
    high: float

    @property
    def detected(self) -> bool:
        """Whether the interval is on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        """`0.15 [−0.26, 0.51], not detected`."""
        numbers = f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]".replace("-", "−")
        return numbers if self.detected else f"{numbers}, not detected"


def rank_correlation(rows: pd.DataFrame, first: str, second: str, groups: Sequence[str], within: bool) -> Correlation:
    """Spearman's rank correlation of two columns.

    The interval is Fisher's, with the standard error sqrt((1 + r^2 / 2) / (k - 3)) of ranks (Bonett & Wright 2000).
    Over all networks k is the number of groups, because networks of one group are alike. Within groups, networks are
    ranked among their own group, each group's mean rank is taken away, and k = n - g + 1 for n networks in g groups:
    the degrees of freedom that are left are those of k networks.

    Args:
        rows: one per network.
        first: a column.
        second: another.
        groups: columns; networks are alike that have the same values in all of them.
        within: rank among alike networks only.
    """
    names = list(groups)
    by = rows[names] if within else rows[[]].assign(all=0)
    keys = [by[name] for name in by]
    ranks = rows[[first, second]].groupby(keys).rank()
    ranks -= ranks.groupby(keys).transform("mean")
    alike = rows.groupby(names).ngroups
    size = len(rows) - alike + 1 if within else alike
    if ranks.std().min() == 0 or len(rows) < 2:
        return Correlation(np.nan, -1.0, 1.0)
    value = float(pearsonr(ranks[first], ranks[second]).statistic)
    return Correlation(value, *_interval(value, size))


def _interval(value: float, size: int) -> tuple[float, float]:
    if size <= 3:
        return -1.0, 1.0
    reach = norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt((1 + value**2 / 2) / (size - 3))
    with np.errstate(divide="ignore"):
        middle = np.arctanh(np.clip(value, -1, 1))
    return float(np.tanh(middle - reach)), float(np.tanh(middle + reach))
