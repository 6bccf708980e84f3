"""Trained networks against the flattest of all their rescalings, and the relation of test error to each (theory B1)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection
from flatminima.figures.rescaling.rank_correlation import Correlation, rank_correlation

KINDS = {("orbit_layers", ""): "layers", ("orbit_units", ""): "units"}
ALIKE = ["family", "depth", "step_size"]
"""Columns in which networks agree that differ in their seeds alone."""
STATISTICS = ["orbit_minimum", "gauss_newton_sharpness", "least_trace", "orbit_ratio", "test_error"]
MEASURES = {
    "gauss_newton_sharpness": "sharpness as trained",
    "orbit_minimum": "least sharpness of all rescalings",
    "least_trace": "least trace of all rescalings",
}
CONVOLUTIONAL = {"color": style.PINK, "marker": "P"}
EQUAL = "as flat as rescaling makes it"
HOLLOW = "layers alone (hollow)"
TICKS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


@style.styled
def orbits(measures: pd.DataFrame, _curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Least sharpness over rescalings against sharpness, and test error against both and against the least trace.

    Returns:
        The figure, and its networks: one row each per kind of rescaling.

    Raises:
        EmptyFigureError: if no orbit was minimised.
    """
    plotted = minima(measures)
    shown = plotted[plotted["kind"] == plotted["kind"].iloc[-1]]
    page = style.figure(5.6, message(shown), style.NARROW)
    axes = page.subplots(2, 2)
    _draw_minima(axes[0, 0], plotted)
    others = dict(zip(MEASURES, (axes[0, 1], axes[1, 0], axes[1, 1]), strict=True))
    for statistic, panel in others.items():
        _draw_errors(panel, shown, statistic)
    style.legend_below(page, [axes[0, 0]], columns=2, last=[HOLLOW, EQUAL])
    return page, plotted


def minima(measures: pd.DataFrame) -> pd.DataFrame:
    """Every network whose orbit was minimised, fully connected ones first.

    Raises:
        EmptyFigureError: if there is none.
    """
    kinds = selection.both_families(KINDS)
    rows = selection.networks(measures, kinds, STATISTICS)
    key = selection.KEY
    rows = rows.merge(measures[[*key, "step_size"]].drop_duplicates(key), on=key, validate="many_to_one")
    rows = rows.dropna(subset=["orbit_minimum"]).sort_values(["kind", "family"], ascending=[True, False], kind="stable")
    return rows.drop(columns=["setting", "detailed"]).reset_index(drop=True)


def message(rows: pd.DataFrame) -> str:
    """The figure's one message: which measure test error is seen to follow among networks of one depth and step."""
    found = {MEASURES[name]: correlation(rows, name, within=True) for name in MEASURES}
    rises = [name for name, own in found.items() if own.detected and own.value > 0]
    falls = [name for name, own in found.items() if own.detected and own.value < 0]
    where = "Among networks of one depth and step size"
    if not rises and not falls:
        return f"{where} no relation of test error with sharpness or its floors is detected"
    parts = [f"{verb} with {' and '.join(names)}" for verb, names in (("rises", rises), ("falls", falls)) if names]
    open_ = [name for name in found if name not in (*rises, *falls)]
    rest = f"; with {' and '.join(open_)} no relation is detected" if open_ else ""
    return f"{where} test error {' and '.join(parts)}{rest}"


def correlation(rows: pd.DataFrame, statistic: str, *, within: bool) -> Correlation:
    """That of test error with a statistic, over all networks or among those that differ in their seeds alone."""
    return rank_correlation(rows, statistic, "test_error", ALIKE, within)


def _looks(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Label, rows and look of every shape of networks."""
    by_depth = style.looks(rows.loc[rows["family"] != "convolutional", "depth"])
    found = []
    for (family, depth), group in rows.groupby(["family", "depth"], sort=False):
        connected = family != "convolutional"
        look = by_depth[int(str(depth))] if connected else CONVOLUTIONAL
        label = f"depth {depth}" if connected else "convolutional"
        found.append((label, group, look | {"ls": "", "alpha": 0.75}))
    return found


def _draw_minima(panel: Axes, rows: pd.DataFrame) -> None:
    *hollow, filled = rows["kind"].unique()
    for label, shape, look in _looks(rows):
        for kind, name, filling in (*((kind, HOLLOW, {"mfc": "none"}) for kind in hollow), (filled, label, {})):
            shown = shape[shape["kind"] == kind]
            panel.plot(shown["gauss_newton_sharpness"], shown["orbit_minimum"], label=name, **look | filling)
    ends = [rows["orbit_minimum"].min(), rows["gauss_newton_sharpness"].max()]
    panel.plot(ends, ends, color="black", lw=1, ls=style.DASHDOT, zorder=0, label=EQUAL)
    panel.set(xscale="log", yscale="log", xlabel=MEASURES["gauss_newton_sharpness"], ylabel=MEASURES["orbit_minimum"])
    style.plain_log(panel.xaxis, TICKS)
    style.plain_log(panel.yaxis, TICKS)
    panel.set_title(f"n = {rows['kind'].eq(filled).sum()} networks", loc="left")


def _draw_errors(panel: Axes, rows: pd.DataFrame, statistic: str) -> None:
    for _, shape, look in _looks(rows):
        panel.plot(shape[statistic], 100 * shape["test_error"], **look)
    panel.set(xscale="log", xlabel=MEASURES[statistic], ylabel="test error [%]")
    style.plain_log(panel.xaxis, TICKS)
    found = (f"{name} {correlation(rows, statistic, within=own)}" for name, own in (("all:", False), ("alike:", True)))
    panel.set_title("\n".join(["rank correlation with test error", *found]), loc="left", size=8)
