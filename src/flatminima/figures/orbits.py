"""Trained networks against the flattest of all their rescalings, and either's relation to test error (theory B1)."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import pearsonr, t

from flatminima.figures import rescaling_selection, style
from flatminima.figures.claimed import Claimed

KINDS = {"orbit_layers": "layers", "orbit_units": "units"}
ALIKE = ["family", "depth", "step_size"]
"""What networks have in common that differ in their seeds alone."""
STATISTICS = ["orbit_minimum", "gauss_newton_sharpness", "orbit_ratio", "test_error"]
SHAPES = ["o", "D", "^", "s", "v", "P"]
COLOURS = {"relu": style.BLUE, "convolutional": style.VERMILION}
LABELS = {"relu": "depth {}", "convolutional": "convolutional"}
SHARPNESS = r"trained $\lambda_{\max}$"
MINIMUM = "orbit minimum"
EQUAL = "no gain"
HOLLOW = "layers alone (hollow)"
TICKS = (1.0, 2.0, 3.0, 5.0)


@style.styled
def orbits(measures: pd.DataFrame, _curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Orbit minimum against sharpness for rescalings of layers and of units, and test error against both.

    Returns:
        The figure, and its networks: one row each per kind of rescaling.

    Raises:
        EmptyFigureError: if no orbit was minimised.
    """
    plotted = minima(measures)
    units = plotted[plotted["kind"] == plotted["kind"].iloc[-1]]
    page = style.figure(3.8, message(plotted))
    first, second, third = page.subplots(1, 3)
    _draw_minima(first, plotted)
    _draw_errors(second, units, "gauss_newton_sharpness")
    _draw_errors(third, units, "orbit_minimum")
    third.sharey(second)
    second.set(xlabel=SHARPNESS, ylabel="test error [%]")
    third.set(xlabel=f"{MINIMUM} ({units['kind'].iloc[0]})")
    style.legend_below(page, [first], columns=3, last=[HOLLOW, EQUAL])
    return page, plotted


def minima(measures: pd.DataFrame) -> pd.DataFrame:
    """Every network whose orbit was minimised, fully connected ones first.

    Raises:
        EmptyFigureError: if there is none.
    """
    kinds = rescaling_selection.both_families(KINDS)
    rows = rescaling_selection.networks(measures, "orbits", kinds, STATISTICS)
    key = rescaling_selection.KEY
    rows = rows.merge(measures[[*key, "step_size"]].drop_duplicates(key), on=key, validate="many_to_one")
    rows = rows.dropna(subset=["orbit_minimum"]).sort_values(["kind", "family"], ascending=[True, False], kind="stable")
    return rows.drop(columns=["setting", "detailed"]).reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how far training ends from the flattest network, and what test error follows."""
    ratios = plotted.groupby("kind")["orbit_ratio"]
    units = plotted[plotted["kind"] == plotted["kind"].iloc[-1]]
    above = ", ".join(f"{kind} {low:.2f}–{high:.2f}" for kind, low, high in ratios.agg(["min", "max"]).itertuples())
    pooled, alike = (
        [correlation(units, name, within)[0] for name in ("gauss_newton_sharpness", "orbit_minimum")]
        for within in ([], ALIKE)
    )
    return (
        f"Sharpness as trained / least of all rescalings: {above};\n"
        f"rank correlation of test error with sharpness {pooled[0]}, with the orbit minimum {pooled[1]},\n"
        f"among networks of one depth and step size {alike[0]} and {alike[1]}"
    )


def correlation(rows: pd.DataFrame, statistic: str, within: Sequence[str] = ()) -> tuple[str, str]:
    """Spearman's rank correlation of test error with a statistic, and its p-value, for people.

    Args:
        rows: one per network.
        statistic: a column.
        within: columns; networks are ranked among those that have the same values in all of them.
    """
    groups = [rows[name] for name in within] or np.zeros(len(rows))
    ranks = rows[[statistic, "test_error"]].groupby(groups).rank()
    ranks -= ranks.groupby(groups).transform("mean")
    value = pearsonr(ranks[statistic], ranks["test_error"]).statistic
    free = len(rows) - rows.groupby(groups).ngroups - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = 2 * t.sf(np.abs(value) * np.sqrt(free / (1 - value**2)), free)
    return f"{value:.2f}".replace("-", "−"), f"{chance:.2g}"


def _looks(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Label, rows and look of every shape of networks."""
    shapes = rows.groupby(["family", "depth"], sort=False)
    return [
        (
            LABELS[str(family)].format(depth),
            group,
            {"color": COLOURS[str(family)], "marker": marker, "ls": "", "alpha": 0.75},
        )
        for marker, ((family, depth), group) in zip(cycle(SHAPES), shapes, strict=False)
    ]


def _draw_minima(panel: Axes, rows: pd.DataFrame) -> None:
    *hollow, filled = rows["kind"].unique()
    for label, shape, look in _looks(rows):
        for kind, name, filling in (*((kind, HOLLOW, {"mfc": "none"}) for kind in hollow), (filled, label, {})):
            shown = shape[shape["kind"] == kind]
            panel.plot(shown["gauss_newton_sharpness"], shown["orbit_minimum"], label=name, **look | filling)
    ends = [rows["orbit_minimum"].min(), rows["gauss_newton_sharpness"].max()]
    panel.plot(ends, ends, color="black", lw=1, ls=style.DASHDOT, zorder=0, label=EQUAL)
    panel.set(xscale="log", yscale="log", xlabel=SHARPNESS, ylabel=MINIMUM)
    style.plain_log(panel.xaxis, TICKS)
    style.plain_log(panel.yaxis, TICKS)
    panel.set_title("Flattest of all rescalings")


def _draw_errors(panel: Axes, rows: pd.DataFrame, statistic: str) -> None:
    for _, shape, look in _looks(rows):
        panel.plot(shape[statistic], 100 * shape["test_error"], **look)
    panel.set(xscale="log")
    style.plain_log(panel.xaxis, TICKS)
    (pooled, chance), (alike, chance_alike) = correlation(rows, statistic), correlation(rows, statistic, ALIKE)
    panel.set_title(f"correlation {pooled} (p = {chance})\nseeds alone {alike} (p = {chance_alike})")
