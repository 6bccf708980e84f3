"""The loads at which solvers fail and solutions lose their last neighbours, by size, and what these exclude."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from flatminima.claims.intervals import Interval
from flatminima.figures.perceptron import attempts, selection
from flatminima.figures.perceptron.half_load import extrapolate, half_load

POWERS = {"1/√N": 0.5, "1/N": 1.0}
"""Powers of 1/N by which loads may change with N; which of them holds, if either, is not known."""
EVENTS = {"half_solved": "solved", "half_near": "near"}
"""Events at a load, and the counts (column `instances` or `found` beside them) that fall through one half."""
ENDS = ("median", "low", "high")
"""Endings of the columns of a value and its interval, as tables have them."""
ANSWERS = ["excluded", "open"]


class Estimate(NamedTuple):
    """A load at which solvers are said to fail, or a range of them."""

    low: float
    high: float
    name: str

    @property
    def text(self) -> str:
        """`0.784`, or `0.77–0.78`."""
        return f"{self.low:.3g}" if self.low == self.high else f"{self.low:g}–{self.high:g}"

    def outside(self, limit: Interval) -> bool:
        """Whether the whole estimate lies outside an interval."""
        return self.high < limit.low or self.low > limit.high


def estimates(measures: pd.DataFrame) -> list[Estimate]:
    """Our own estimate and the capacity, as computed, and those of the literature, in ascending order.

    Raises:
        EmptyFigureError: if thresholds were not computed.
    """
    ours = selection.thresholds(measures)
    gap, end = round(ours["connected_load"], 4), round(ours["capacity"], 4)
    known = [
        Estimate(gap, gap, "gap in theory (ours)"),
        Estimate(0.77, 0.78, "large deviations"),
        Estimate(0.7764, 0.7764, "Stojnic 2025"),
        Estimate(0.784, 0.784, "overlap gap"),
        Estimate(end, end, "capacity"),
    ]
    return sorted(known)


def counts(measures: pd.DataFrame) -> pd.DataFrame:
    """Attempts by solver, size and alpha: how many there are, find a solution, and find one with another at one flip.

    Returns:
        Columns solver, size, alpha, instances, solved, found (the solutions around which was counted) and near.

    Raises:
        EmptyFigureError: if there was no attempt, or no instance was solved.
    """
    by = ["solver", "size", "alpha"]
    groups = attempts.attempts(measures).groupby(by)["solved"]
    rows = groups.agg(instances="size", solved="sum").reset_index()
    around = attempts.neighbours(measures)
    around = around[around["flips"] == 1].assign(near=lambda rows: rows["neighbours"] >= 1)
    near = around.groupby(by)["near"].agg(found="size", near="sum").reset_index()
    return rows.merge(near, on=by, how="left", validate="one_to_one").fillna({"found": 0, "near": 0})


def halves(table: pd.DataFrame) -> pd.DataFrame:
    """Loads of EVENTS by solver and size.

    Half of the solutions have another at one flip where the median number of these falls below one.

    Args:
        table: of `counts`.

    Returns:
        Columns solver, size, instances (of each load; the least) and those of EVENTS with ENDS: value and 95 % interval
        (`half_load.half_load`), NaN where no instance was solved; in the order of SOLVERS.
    """
    rows = []
    for solver in [name for name in attempts.SOLVERS if name in set(table["solver"])]:
        for size, line in table[table["solver"] == solver].groupby("size"):
            solved = half_load(line["alpha"], line["solved"], line["instances"])
            near = half_load(line["alpha"], line["near"], line["found"]) if line["found"].sum() else None
            own = {"solver": solver, "size": size, "instances": line["instances"].min()}
            rows.append(own | _ends("half_solved", solved) | _ends("half_near", near))
    return pd.DataFrame(rows)


def limits(table: pd.DataFrame) -> pd.DataFrame:
    """Extrapolations of `halves` to large N, for solvers with three sizes or more: a row for each of POWERS.

    Returns:
        As `halves`, with the power's name in column `limit`, which the table has too, and infinite sizes.
    """
    rows = []
    for solver, line in table.groupby("solver", sort=False):
        for name, power in POWERS.items():
            found = {event: extrapolate(list(line["size"]), intervals(line, event), power) for event in EVENTS}
            if any(found.values()):
                ends = _ends("half_solved", found["half_solved"]) | _ends("half_near", found["half_near"])
                rows.append({"solver": solver, "size": np.inf, "limit": name} | ends)
    return pd.DataFrame(rows, columns=table.columns)


def intervals(rows: pd.DataFrame, event: str) -> list[Interval]:
    """The value and interval of an event in each row."""
    return [Interval(*values) for values in rows[[f"{event}_{end}" for end in ENDS]].astype(float).to_numpy()]


def loads(measures: pd.DataFrame) -> pd.DataFrame:
    """Loads by solver and size, then their limits, with the estimates that both limits exclude.

    Returns:
        Columns of `halves`, and in rows of limits excluded and open: estimates outside the intervals of all limits of
        the solver, and the others.

    Raises:
        EmptyFigureError: if there was no attempt, no instance was solved, or thresholds were not computed.
    """
    table, known = halves(counts(measures)).assign(limit=""), estimates(measures)
    parts = []
    for _, line in table.groupby("solver", sort=False):
        parts += [line, _with_answers(limits(line), known)]
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    rows["weights"] = rows["size"].map("{:.0f}".format).where(rows["limit"] == "", "∞ (" + rows["limit"] + ")")
    rows[ANSWERS] = rows.reindex(columns=ANSWERS).astype(object).fillna("")
    return rows[["solver", "weights", "instances", *(f"{event}_{end}" for event in EVENTS for end in ENDS), *ANSWERS]]


def _with_answers(rows: pd.DataFrame, known: Sequence[Estimate]) -> pd.DataFrame:
    """Limits of one solver, with the estimates outside the intervals of all of them, and the others."""
    found = [limit for limit in intervals(rows, "half_solved") if not np.isnan(limit.value)]
    if not found:
        return rows
    out = [all(estimate.outside(limit) for limit in found) for estimate in known]
    texts = [[e.text for e, excluded in zip(known, out, strict=True) if excluded is answer] for answer in (True, False)]
    return rows.assign(**dict(zip(ANSWERS, map(", ".join, texts), strict=True)))


def _ends(event: str, found: Interval | None) -> dict[str, float]:
    return dict(zip((f"{event}_{end}" for end in ENDS), found or (np.nan, np.nan, np.nan), strict=True))
