"""Margins and loads at which the surroundings of typical solutions change their shape (theory.md 3.3)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import selection

MIDDLE = 0.4
BOUNDARIES: dict[str, tuple[str, dict[str, Any]]] = {
    "maximal_margin": (r"$\kappa_{\max}$: no solutions above", {"color": "black"}),
    "monotone_margin": (
        r"$\kappa_u$: monotone local entropy above",
        {"color": style.BLUE, "marker": "o", "ls": style.DASHED},
    ),
    "connected_margin": (
        r"$\kappa_{\min}$: gap in local entropy below",
        {"color": style.VERMILION, "marker": "^", "ls": style.DOTTED},
    ),
}
MEETINGS = {"monotone_load": "monotone_margin", "connected_load": "connected_margin"}
"""The loads at which the margin of a boundary meets the maximal one."""


@style.styled
def transitions(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Margins that bound gaps and monotone local entropies, and the distance of isolation, against alpha.

    Returns:
        The figure, and its points: curve, alpha, and margin or distance.

    Raises:
        EmptyFigureError: if thresholds were not computed.
    """
    loads = selection.thresholds(measures)
    margins, isolation = boundaries(curves), isolations(curves)
    page = style.figure(4.6, message(loads), style.NARROW)
    left, right = axes = page.subplots(1, 2, width_ratios=[1.3, 1])
    _draw_margins(left, margins)
    right.plot(isolation["alpha"], isolation["distance"], color=style.GREEN, marker="D")
    right.set(ylabel=r"distance $d_0$ without other solutions", yscale="log", title="Isolation at margin 0")
    style.plain_log(right.yaxis)
    for panel in axes:
        for name, load in loads.items():
            label, look = selection.THRESHOLDS[name]
            panel.axvline(load, lw=1, zorder=0, label=f"{label}: {load:.3f}", **look)
        panel.set(xlabel=selection.ALPHA)
    style.legend_below(page, list(axes), columns=2)
    return page, pd.concat([margins, isolation], ignore_index=True)


def boundaries(curves: pd.DataFrame) -> pd.DataFrame:
    """Margins of BOUNDARIES by alpha, each up to where it meets the maximal one, and that one down to the lowest.

    Raises:
        EmptyFigureError: if there are none.
    """
    rows = selection.curves(curves, *BOUNDARIES)
    meetings = selection.curves(curves, *MEETINGS)
    both = [meetings.assign(curve=meetings["curve"].map(MEETINGS)), meetings.assign(curve="maximal_margin")]
    end = _towards_capacity(curves, rows["value"].min(), meetings["value"].min())
    rows = pd.concat([rows, *both, end]).rename(columns={"x": "alpha", "value": "margin"})
    return rows[["curve", "alpha", "margin"]].sort_values(["curve", "alpha"], ignore_index=True)


def isolations(curves: pd.DataFrame) -> pd.DataFrame:
    """Distance of isolation at margin zero by alpha.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.curves(curves, "isolation_distance")
    rows = rows.rename(columns={"x": "alpha", "value": "distance"})
    return rows[["curve", "alpha", "distance"]].sort_values("alpha")


def _towards_capacity(curves: pd.DataFrame, low: float, high: float) -> pd.DataFrame:
    """The maximal margin between two values, from the capacity at each margin."""
    line = selection.curves(curves, "capacity").sort_values("x")
    margins = np.geomspace(low, high, 12)[:-1]
    return pd.DataFrame(
        {"curve": "maximal_margin", "x": np.interp(margins, line["x"], line["value"]), "value": margins}
    )


def message(loads: dict[str, float]) -> str:
    """The figure's one message: whether typical solutions of every margin are isolated before capacity."""
    side = "below" if loads["connected_load"] < loads["capacity"] else "not below"
    return f"From a load {side} the capacity on, typical solutions of every margin are isolated"


def _draw_margins(panel: Axes, rows: pd.DataFrame) -> None:
    lines = {name: rows[rows["curve"] == name] for name in BOUNDARIES}
    top, bottom = lines["maximal_margin"], lines["monotone_margin"]
    for name, shade in (("connected_margin", "0.93"), ("monotone_margin", "0.8")):
        _shade(panel, lines[name], top, shade)
    for name, (label, look) in BOUNDARIES.items():
        panel.plot(lines[name]["alpha"], lines[name]["margin"], label=label, **look)
    middle = bottom["alpha"].min() + MIDDLE * np.ptp(bottom["alpha"])
    height = np.sqrt(np.prod([np.interp(middle, line["alpha"], line["margin"]) for line in (bottom, top)]))
    panel.text(middle, height, "ever more\nsolutions around", ha="center", va="center")
    panel.set(yscale="log", ylabel=selection.MARGIN, title="Surroundings of typical solutions")
    style.plain_log(panel.yaxis)


def _shade(panel: Axes, bottom: pd.DataFrame, top: pd.DataFrame, shade: str) -> None:
    alphas = np.union1d(bottom["alpha"], top.loc[top["alpha"] <= bottom["alpha"].max(), "alpha"])
    low, high = (np.interp(alphas, line["alpha"], line["margin"]) for line in (bottom, top))
    panel.fill_between(alphas, low, high, color=shade, lw=0, zorder=0)
