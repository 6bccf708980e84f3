"""Coupling of trained networks beyond chance, against step size (M5)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flatminima.claims.effects import best_step, shapes_of
from flatminima.claims.intervals import mean_interval
from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.deviations import CASE
from flatminima.figures.excess import NULLS, STATISTICS, excess

LOOKS = {"own_cosine": {"color": style.BLUE, "ls": "-"}, "own_gain": {"color": style.VERMILION, "ls": style.DASHED}}
MARKERS = dict(zip(NULLS, "os^", strict=True))
CHANCE = "chance: the nearest of three nulls"
BEST = "step size of least training loss"
LINEAR_UP_TO = 0.3
TICKS = (-1, -0.3, 0, 0.3, 1)


@style.styled
def coupling_excess(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Excess of path cosine and gain over the nearest null against step size: a row per experiment, a column per depth.

    Returns:
        The figure, and its points: one row per experiment, depth, step size and statistic.

    Raises:
        EmptyFigureError: if no network has nulls.
    """
    plotted = curves(measures)
    experiments, depths = plotted["experiment"].unique(), np.sort(plotted["depth"].unique())
    page = style.figure(1.7 + 1.2 * len(experiments), message(plotted))
    axes = page.subplots(len(experiments), len(depths), squeeze=False, sharex="row", sharey=True)
    for experiment, line in zip(experiments, axes, strict=True):
        rows = plotted[plotted["experiment"] == experiment]
        for depth, panel in zip(depths, line, strict=True):
            if (rows["depth"] == depth).any():
                draw(panel, rows[rows["depth"] == depth])
            else:
                panel.axis("off")
        line[0].set_title(_name(rows.iloc[0]), loc="left")
    for depth, panel in zip(depths, axes[0], strict=True):
        panel.set_title(f"{panel.get_title(loc='left')}\nm = {depth}".strip(), loc="left")
    for panel in axes[-1]:
        panel.set_xlabel("step size")
    page.supylabel("excess over the nearest null", size=style.RC["axes.labelsize"])
    style.legend_below(page, list(axes.flat), columns=2, last=(CHANCE, BEST))
    return page, plotted


def curves(measures: pd.DataFrame) -> pd.DataFrame:
    """Mean excess over seeds of every experiment, depth and step size, with Student's interval of 95 %.

    Returns:
        One row per case and statistic: CASE, statistic, deviation and NULLS (means), nearest (the null of least mean
        deviation), excess, low, high, networks, survivors, best (whether it is the step of least training loss).
        No interval below two survivors.

    Raises:
        EmptyFigureError: if no network has nulls.
    """
    rows = excess(measures, "coupling-excess")
    groups = rows.groupby([*CASE, "statistic"])
    table = groups[["deviation", *NULLS]].mean()
    table["nearest"] = table[list(NULLS)].dropna().idxmin(axis=1)
    intervals = groups["excess"].apply(lambda values: pd.Series(_interval(values.dropna().to_numpy()))).unstack()  # noqa: PD010
    table[["excess", "low", "high"]] = intervals
    table["networks"], table["survivors"] = groups.size(), groups["excess"].count()
    table = table.reset_index().sort_values(["experiment", "depth", "step_fraction", "statistic"])
    order = list(style.FAMILY_LABEL).index
    table = table.sort_values("family", kind="stable", key=lambda families: families.map(order))
    shapes = shapes_of(measures[measures["statistic"].isin(["loss", "diverged"]) & (measures["layer"] == 0)])
    best = {shape: best_step(*shape, shapes) for shape in shapes}
    chosen = [best[shape] for shape in zip(table["experiment"], table["depth"], strict=True)]
    return table.assign(best=table["step_fraction"] == chosen).reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: in how many cases coupling and evenness are beyond chance where training went best."""
    best = plotted[plotted["best"]]
    found = []
    for statistic, name in STATISTICS.items():
        rows = best[best["statistic"] == statistic]
        above, below = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
        found.append(f"{name} beyond chance in {above}, short of it in {below} of {len(rows)} cases")
    seeds = style.span(best["networks"])
    return "\n".join([f"At the step size of least training loss ({seeds} seeds, 95 % intervals):", *found])


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw both statistics of one experiment at one depth."""
    panel.axhline(0, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=CHANCE)
    for statistic, curve in rows.groupby("statistic"):
        look = LOOKS[str(statistic)]
        panel.fill_between(curve["step_fraction"], curve["low"], curve["high"], color=look["color"], alpha=0.2, lw=0)
        panel.plot(curve["step_fraction"], curve["excess"], **look, lw=1.2, label=STATISTICS[str(statistic)])
        for null, marker in MARKERS.items():
            nearest = curve[curve["nearest"] == null]
            panel.plot(nearest["step_fraction"], nearest["excess"], marker, color=look["color"], ms=3.5)
            panel.plot([], [], marker, color="0.3", ms=3.5, label=f"nearest null: {NULLS[null]}")
    for step in rows.loc[rows["best"], "step_fraction"].unique():
        panel.axvline(step, color="0.8", lw=5, zorder=-1, label=BEST)
    lost = rows[rows["survivors"] < rows["networks"]].drop_duplicates("step_fraction")
    for step, survivors in zip(lost["step_fraction"], lost["survivors"], strict=True):
        panel.text(step, 1, str(survivors), transform=panel.get_xaxis_transform(), ha="center", va="top", size=8)
    steps = rows["step_fraction"]
    panel.set(xscale="log", xlim=(steps.min() / 1.6, steps.max() * 1.6))
    style.plain_log(panel.xaxis, (1.0,))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_yscale("symlog", linthresh=LINEAR_UP_TO)
    panel.yaxis.set_major_locator(FixedLocator(TICKS))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    panel.yaxis.set_minor_locator(NullLocator())


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    if len(values) > 1:
        return mean_interval(values)
    return (float(values.mean()) if len(values) else np.nan, np.nan, np.nan)


def _name(row: pd.Series) -> str:
    return f"{style.FAMILY_LABEL[row['family']]}, {style.OPTIMISER_LABEL[row['optimiser']]}, task {row['task']}"
