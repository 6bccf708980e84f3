"""Sharpness under a step size that grows: minima too sharp for the step are left for flatter ones (I7)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "I7"
MARKERS = "os^Dv"
TOP = 30.0
LOOKS: dict[bool, dict[str, Any]] = {
    True: {"color": style.CONTROL, "marker": "^", "mfc": "white"},
    False: {"color": style.BLUE, "marker": "o"},
}
"""Markers of minima, those of the control first."""


@style.styled
def catapult(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to the least against the growing step, and the share of runs that settled at a minimum.

    Returns:
        The figure, and its runs: one row per run and step, those of the control (where each step started) behind them.

    Raises:
        EmptyFigureError: if no run settled.
    """
    plotted = descents(measures, claimed)
    limit = float(claimed.claim(CLAIM).criteria[0].at_most or 1)
    page = style.figure(5.0, message(plotted, limit), style.NARROW)
    ratios, shares = page.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_ratios(ratios, plotted)
    _draw_shares(shares, plotted[~plotted["as_control"]])
    shares.set_xlabel(style.CRITICAL_STEP)
    style.legend_below(page, [shares], columns=3)
    return page, plotted


def descents(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The runs that I7 asks about, and its control: the minima that each step size started from.

    Returns:
        Columns as_control, case, depth, step, seed, diverged, counted (whether it settled at a minimum), limited
        (sharpness / limit of stability) and sharpness_ratio, the last two NaN unless counted.

    Raises:
        EmptyFigureError: if no run settled.
    """
    rows = claimed.networks(CLAIM, "sharpness")
    rows = rows[rows["case"].isin(measures["case"].unique())].rename(columns={"setting": "step"})
    selection.present(rows[rows["counted"] & ~rows["as_control"]], "minimum reached with a growing step")
    limited = rows["value"].where(rows["counted"])
    rows = rows.assign(limited=limited, sharpness_ratio=limited / rows["step"])
    columns = ["as_control", "case", "depth", "step", "seed", "diverged", "counted", "limited", "sharpness_ratio"]
    return rows[columns].reset_index(drop=True)


def message(plotted: pd.DataFrame, limit: float) -> str:
    """The figure's one message: whether a growing step leads to flatter minima, and whether any is above the limit.

    Args:
        plotted: as `descents` returns it.
        limit: largest sharpness / (2 / step size) that the claim allows.
    """
    runs = plotted[~plotted["as_control"]]
    medians = runs.groupby("step")["sharpness_ratio"].median().dropna()
    change = "drives networks" if medians.iloc[-1] < medians.iloc[0] else "does not drive networks"
    above = "some settle" if (runs["limited"] > limit).any() else "none settles"
    return f"A growing step {change} to flatter minima, and {above} above the limit of stability"


def _draw_ratios(panel: Axes, rows: pd.DataFrame) -> None:
    steps = np.geomspace(rows["step"].min() / 1.2, rows["step"].max() * 1.2, 100)
    panel.fill_between(steps, 1 / steps, TOP, color="0.9", lw=0, zorder=0)
    panel.plot(steps, 1 / steps, color="black", ls=style.DOTTED, zorder=1)
    panel.axhline(1, color="0.3", lw=1, zorder=0)
    for control, look in LOOKS.items():
        shown = frames.quantiles(rows[rows["as_control"] == control], ["step"], "sharpness_ratio")
        bars = np.abs(shown[["low", "high"]].to_numpy().T - shown["median"].to_numpy())
        panel.errorbar(shown["step"], shown["median"], bars, elinewidth=0.8, **look)
    runs = rows[~rows["as_control"]]
    settled = f"where it settled\n(n = {runs['counted'].sum():,} of {len(runs):,})"
    panel.annotate(settled, (0.03, 0.2), xycoords="axes fraction", color=style.ink(LOOKS[False]["color"]))
    panel.annotate(
        "where each step started", (0.6, 0.6), xycoords="axes fraction", color=style.ink(LOOKS[True]["color"])
    )
    panel.annotate("no minimum is stable here", (0.97, 0.93), xycoords="axes fraction", ha="right")
    panel.annotate("the least", (steps[0], 1), (3, 3), textcoords="offset points")
    panel.set(xscale="log", yscale="log", ylim=(0.8, TOP), xlim=(steps[0], steps[-1]), ylabel=style.OVER_LEAST)
    style.plain_log(panel.yaxis)
    style.plain_log(panel.xaxis)


def _draw_shares(panel: Axes, rows: pd.DataFrame) -> None:
    for (depth, runs), marker in zip(rows.groupby("depth"), MARKERS, strict=False):
        share = runs.groupby("step")["counted"].mean()
        panel.plot(share.index, share, color=style.BLUE, marker=marker, lw=0.8, label=f"{depth} layers")
    panel.set(ylim=(-0.08, 1.08), ylabel="share that\nsettled")
