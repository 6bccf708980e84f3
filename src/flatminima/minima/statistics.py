"""Statistics of stacked networks, and the rows of the tidy table that they become."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from flatminima.record import long_table


@dataclass(frozen=True)
class Statistic:
    """Values of one statistic: shape (replicas,) for whole networks or (replicas, layers), and their error bounds."""

    value: Tensor
    error_bound: Tensor | None = None


Statistics = dict[str, Statistic]


def join(groups: Sequence[Statistics]) -> Statistics:
    """The statistics of several groups of replicas, one after the other."""

    def joined(values: Sequence[Tensor | None]) -> Tensor | None:
        present = [value for value in values if value is not None]
        return torch.cat(present) if present else None

    return {
        name: Statistic(
            torch.cat([group[name].value for group in groups]), joined([group[name].error_bound for group in groups])
        )
        for name in groups[0]
    }


def scatter(statistic: Statistic, alive: Tensor, replicas: int) -> Statistic:
    """Spread a statistic over all replicas: NaN for those whose indices are not in `alive`."""

    def spread(values: Tensor) -> Tensor:
        result = values.new_full((replicas, *values.shape[1:]), torch.nan)
        result[alive] = values
        return result

    return Statistic(spread(statistic.value), None if statistic.error_bound is None else spread(statistic.error_bound))


def cpu(statistics: Statistics) -> Statistics:
    """Copy of the statistics in the processor's memory."""
    return {
        name: Statistic(s.value.cpu(), None if s.error_bound is None else s.error_bound.cpu())
        for name, s in statistics.items()
    }


def inner(name: str, values: Tensor) -> Statistics:
    """A statistic of the interfaces between layers; absent for a single layer."""
    return {name: Statistic(values)} if values.numel() else {}


def tidy(labels: pd.DataFrame, statistics: Statistics) -> pd.DataFrame:
    """Rows of the tidy table.

    Args:
        labels: one row per replica, as `flatminima.record.long_table` takes them.
        statistics: their values.
    """
    bounds = {name: s.error_bound.numpy() for name, s in statistics.items() if s.error_bound is not None}
    return long_table(labels, {name: s.value.numpy() for name, s in statistics.items()}, bounds)
