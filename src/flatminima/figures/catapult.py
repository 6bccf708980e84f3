"""Sharpness under a step size that grows: minima too sharp for the step are left for flatter ones (theory I7)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import step_size, style, theory_selection
from flatminima.figures.claimed import Claimed

LIMIT = "limit of stability, 1 / step"
FLATTEST = "theory's minimum"
LOOKS = {
    "white": {"color": style.BLUE, "marker": "o"},
    "coloured": {"color": style.ORANGE, "marker": "D", "ls": style.DASHED},
}


@style.styled
def catapult(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to the minimum against the growing step, and the share of runs at a minimum, by depth.

    Returns:
        The figure, and its runs: one row per run and step.

    Raises:
        EmptyFigureError: if there is no run with a growing step.
    """
    plotted = descents(measures)
    depths = plotted.groupby("depth")
    page = style.figure(4.6, message(plotted))
    axes = page.subplots(2, depths.ngroups, squeeze=False, sharex=True, sharey="row", height_ratios=[3, 1])
    for (panel, below), (depth, rows) in zip(axes.T, depths, strict=True):
        draw(panel, rows)
        _draw_shares(below, rows)
        panel.set_title(f"depth {depth}")
    axes[0, 0].set_ylabel(style.RATIO)
    axes[1, 0].set_ylabel("share at\na minimum")
    style.legend_below(page, list(axes[0]), columns=2, last=[LIMIT, FLATTEST])
    return page, plotted


def descents(measures: pd.DataFrame) -> pd.DataFrame:
    """The runs with a growing step.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = theory_selection.runs(measures)
    rows = rows[rows["start"] == "catapult"]
    theory_selection.present(rows[rows["reached"]], "catapult", "minimum reached with a growing step")
    return rows.drop(columns="start").reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how far sharpness falls, and how close to its limit it gets."""
    medians = plotted.groupby("step")["sharpness_ratio"].median().dropna()
    limit = (plotted["sharpness_ratio"] * plotted["step"]).max()
    return (
        f"A growing step takes sharpness from {medians.iloc[0]:.3g} to {medians.iloc[-1]:.3g} times theory's minimum "
        f"(median),\nnever at a minimum sharper than {limit:.3f} times the limit 2 / step size"
    )


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw every run, and the median of the runs at a minimum, against the step."""
    for inputs in theory_selection.inputs_of(rows):
        look, runs = LOOKS[inputs], rows[rows["inputs"] == inputs]
        for _, run in runs.groupby(["map", "seed"]):
            panel.plot(run["step"], run["sharpness_ratio"], color=look["color"], lw=0.5, alpha=0.3, zorder=1)
        median = runs.groupby("step")["sharpness_ratio"].median()
        panel.plot(median.index, median, label=f"{theory_selection.INPUTS[inputs]}, median", **look)
    steps = np.array([rows["step"].min(), rows["step"].max()])
    panel.plot(steps, 1 / steps, color="black", ls=style.DOTTED, label=LIMIT)
    panel.axhline(1, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=FLATTEST)
    panel.set(xscale="log", yscale="log")
    style.plain_log(panel.yaxis)


def _draw_shares(panel: Axes, rows: pd.DataFrame) -> None:
    for inputs in theory_selection.inputs_of(rows):
        share = rows[rows["inputs"] == inputs].groupby("step")["reached"].mean()
        panel.plot(share.index, share, **LOOKS[inputs])
    panel.set(ylim=(-0.08, 1.08), xlabel=step_size.STEP)
    style.plain_log(panel.xaxis)
