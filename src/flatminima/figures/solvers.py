"""How far solvers get on random instances, against the loads at which dense regions break up (theory.md 3.4)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from flatminima.figures import perceptron_selection, style
from flatminima.figures.claimed import Claimed

NAME = "solvers"
COLUMNS = 4
CONFIDENCE = 0.95


@style.styled
def solvers(measures: pd.DataFrame, _curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Share of instances solved against alpha, a panel for each solver, the best first.

    Returns:
        The figure, and its points: solver, alpha, instances, solved, share, and low and high, the bounds of the share's
        95 % confidence interval (Clopper & Pearson).

    Raises:
        EmptyFigureError: if there was no attempt, or thresholds were not computed.
    """
    plotted = shares(measures)
    loads = perceptron_selection.thresholds(measures, NAME)
    names = list(plotted.groupby("solver")["share"].mean().sort_values(ascending=False, kind="stable").index)
    lines = -(-len(names) // COLUMNS)
    page = style.figure(1.2 + 1.55 * lines, message(plotted, loads))
    axes = page.subplots(lines, min(COLUMNS, len(names)), squeeze=False, sharex=True, sharey=True)
    for panel in axes.flat[len(names) :]:
        panel.set_visible(False)
    for panel, name in zip(axes.flat, names, strict=False):
        draw(panel, plotted[plotted["solver"] == name], loads)
        panel.set_title(perceptron_selection.SOLVERS[name].label)
    for panel in axes[-1]:
        panel.set_xlabel(perceptron_selection.ALPHA)
    for panel in axes[:, 0]:
        panel.set_ylabel("share solved")
    style.legend_below(page, list(axes.flat[:1]), columns=3)
    return page, plotted


def shares(measures: pd.DataFrame) -> pd.DataFrame:
    """Share of instances solved by solver and alpha, with its confidence interval.

    Raises:
        EmptyFigureError: if there was no attempt.
    """
    groups = perceptron_selection.attempts(measures, NAME).groupby(["solver", "alpha"])["solved"]
    rows = groups.agg(instances="size", solved="sum", share="mean").reset_index()
    counts = zip(rows["solved"], rows["instances"], strict=True)
    bounds = [binomtest(int(k), int(n)).proportion_ci(CONFIDENCE) for k, n in counts]
    return rows.assign(low=[bound.low for bound in bounds], high=[bound.high for bound in bounds])


def message(plotted: pd.DataFrame, loads: dict[str, float]) -> str:
    """The figure's one message: how far the solvers get, against the load at which the last dense regions break up."""
    solved, gap = plotted[plotted["solved"] > 0], loads["connected_load"]
    above = plotted[plotted["alpha"] > gap]
    reach = f"reach α = {solved['alpha'].max():g}" if len(solved) else "solve nothing"
    return (
        f"The best of {plotted['solver'].nunique()} solvers {reach}; a gap opens around all typical solutions at "
        f"{gap:.3f},\nabove which {above['solved'].sum()} of {above['instances'].sum()} attempts succeed "
        f"({_span(plotted['instances'])} instances of each α)"
    )


def draw(panel: Axes, rows: pd.DataFrame, loads: dict[str, float]) -> None:
    """Draw the share solved by one solver, its confidence interval, and the thresholds."""
    for name, load in loads.items():
        label, look = perceptron_selection.THRESHOLDS[name]
        panel.axvline(load, lw=1, zorder=0, label=f"{label}: {load:.3f}", **look)
    look = perceptron_selection.SOLVERS[rows["solver"].iloc[0]].look | {"ls": "-"}
    panel.vlines(rows["alpha"], rows["low"], rows["high"], color=look["color"], alpha=0.35, lw=1.2, zorder=0)
    panel.plot(rows["alpha"], rows["share"], **look)
    panel.set(ylim=(-0.06, 1.06))


def _span(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low} to {high}"
