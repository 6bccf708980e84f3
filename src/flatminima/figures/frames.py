"""The rows that figures and tables are made of: one row per network, and summaries over seeds."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from flatminima.claims.deviations import DEVIATIONS, Array
from flatminima.errors import EmptyFigureError, UserError
from flatminima.record import final
from flatminima.statistics.catalogue import STATISTICS

UNBALANCED = "unbalanced"
"""The control whose networks compute the functions of trained ones, their layers rescaled at random."""
LINEAR = ("linear", "residual_linear")
LOW, HIGH = 0.05, 0.95
NEAR_MINIMUM = {"excess_loss": 0.02, "gradient_norm": 0.02}
"""Largest excess loss and gradient (relative to its start) at which a trained linear network counts as at a minimum."""

NETWORK = [
    "case",
    "control",
    "family",
    "task",
    "initialisation",
    "optimiser",
    "depth",
    "step_size",
    "setting",
    "seed",
    "step",
    "final",
]
SWEEP = ["case", "control", "family", "task", "optimiser", "depth", "step_size", "setting"]
WHOLE = [name for name, one in STATISTICS.items() if one.measured_in("training") and not one.within]
"""Statistics of whole networks."""


def networks(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per measured network but nulls, statistics in columns, those of single layers taken at the worst layer.

    Worst is the layer that deviates most: the smallest cosine or singular overlap over interfaces, the largest residual
    over layers, and the gain farthest from 1 on a logarithmic scale.

    Args:
        measures: the long table measures.parquet.

    Returns:
        Columns NETWORK, WHOLE and the keys of DEVIATIONS, sorted by NETWORK. NaN where a statistic was not measured, as
        for all statistics of a diverged network. `diverged` is boolean, and so is `at_minimum`: not diverged, and
        within NEAR_MINIMUM. Neither bound is asked of networks that are not linear: their least loss is not known.
        Controls, whose rescaled layers have other gradients, need the loss alone.

    Raises:
        UserError: if the measures are not those of trained networks.
    """
    if "family" not in measures:
        raise UserError("the measures are not those of trained networks; run a study of kind training first")
    rows = pivot(without_nulls(measures[measures["layer"] == 0]), WHOLE, NETWORK)
    for statistic, deviation in DEVIATIONS.items():
        rows = rows.merge(_worst_layer(measures, statistic, deviation), on=NETWORK, how="left", validate="one_to_one")
    diverged = rows["diverged"] == 1
    linear, control = rows["family"].isin(LINEAR), rows["control"] == UNBALANCED
    at_minimum = ~diverged & ~(linear & (rows["excess_loss"] > NEAR_MINIMUM["excess_loss"]))
    at_minimum &= ~(linear & ~control & (rows["gradient_norm"] > NEAR_MINIMUM["gradient_norm"]))
    return rows.assign(diverged=diverged, at_minimum=at_minimum).sort_values(NETWORK, ignore_index=True)


def pivot(rows: pd.DataFrame, statistics: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """Long rows to one column per statistic; a statistic that was not measured becomes a column of NaN."""
    wide = rows[rows["statistic"].isin(statistics)].pivot(index=list(by), columns="statistic", values="value")  # noqa: PD010
    return wide.reindex(columns=pd.Index(statistics)).reset_index().rename_axis(columns=None)


def _worst_layer(measures: pd.DataFrame, statistic: str, deviation: Callable[[Array], Array]) -> pd.DataFrame:
    rows = measures[(measures["layer"] > 0) & (measures["statistic"] == statistic)].dropna(subset=["value"])
    order = rows.assign(deviation=deviation(rows["value"].to_numpy()))
    order = order.sort_values(["deviation", "layer"], ascending=[False, True])
    return order.drop_duplicates(NETWORK)[[*NETWORK, "value"]].rename(columns={"value": statistic})


def present(rows: pd.DataFrame, what: str, cure: str) -> pd.DataFrame:
    """The rows, if there are any.

    Raises:
        EmptyFigureError: if there are none; says what the figure lacks, and the cure.
    """
    if rows.empty:
        raise EmptyFigureError(f"no {what}; {cure}")
    return rows


def without_nulls(rows: pd.DataFrame) -> pd.DataFrame:
    """Trained networks and their unbalanced control: not the nulls, which were measured along their own paths alone."""
    return rows[rows["control"].isin(["", UNBALANCED])]


def spread(values: pd.Series, count: int) -> list[int]:
    """Choose at most `count` of the distinct values, evenly spread from the smallest to the largest."""
    distinct = np.sort(values.unique())
    places = np.linspace(0, len(distinct) - 1, min(count, len(distinct))).round().astype(int)
    return [int(value) for value in distinct[places]]


def moderate_depth(depths: pd.Series, deepest: int) -> int:
    """The largest depth up to `deepest`, or the smallest where all are deeper."""
    shown = depths[depths <= deepest]
    return int(depths.min() if shown.empty else shown.max())


def trained(rows: pd.DataFrame) -> pd.DataFrame:
    """The networks of record: neither controls nor nulls."""
    return rows[rows["control"] == ""]


def flattest_first(rows: pd.DataFrame) -> pd.DataFrame:
    """Trained networks at a minimum, the best examples of a flat minimum first, in order of a column `rank`.

    Linear networks are ranked by sharpness ratio, others by loss: how far they are from a minimum is not known, and the
    flattest of them are those that learned nothing.
    """
    rows = trained(rows[rows["at_minimum"]])
    rank = rows["sharpness_ratio"].where(rows["excess_loss"].notna(), rows["loss"])
    return rows.assign(rank=rank).sort_values("rank", kind="stable")


def along_training(rows: pd.DataFrame) -> pd.DataFrame:
    """Trained networks of the cases that kept snapshots, at snapshots and at the end of training."""
    kept = rows.loc[~rows["final"], "case"].unique()
    return trained(rows[rows["case"].isin(kept)])


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Final trained networks, but those of cases that kept snapshots: they show how training goes."""
    rows = trained(rows)
    return final(rows[~rows["case"].isin(along_training(rows)["case"].unique())])


def main_task(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the task with most rows; the first in alphabetical order of several."""
    return rows[rows["task"].eq(rows["task"].mode().iloc[0])]


def quantiles(rows: pd.DataFrame, by: Sequence[str], statistic: str) -> pd.DataFrame:
    """Median and 5-95 % interval of a statistic.

    Returns:
        One row per group, with columns `by`, median, low, high.
    """
    groups = rows.groupby(list(by), dropna=False, sort=True)[statistic]
    table = pd.DataFrame({"median": groups.median(), "low": groups.quantile(LOW), "high": groups.quantile(HIGH)})
    return table.reset_index()
