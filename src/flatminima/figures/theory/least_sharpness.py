"""Measured sharpness of constructed minima against the least that theory allows (theory I2, I3)."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIMS = ("I2", "I3")
VALUES = ["sharpness", "minimal_sharpness", "sharpness_ratio"]
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("▲ random minima", {"marker": "^", "color": style.CONTROL, "ms": 2.5, "alpha": 0.5, "mew": 0}),
    "balanced": (
        "◇ balanced minima",
        {"marker": "D", "color": selection.ZERO_RESIDUALS, "mfc": "none", "ms": 7},
    ),
    "flattest": ("● minima in closed form", {"marker": "o", "color": style.BLUE, "ms": 3.5, "mew": 0}),
}
BELOW = "no minimum is this flat"
MARGIN, ROOM = 1.25, 5.0
"""Factors around the points, and above them for their names."""


@style.styled
def least_sharpness(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness of constructed minima against the least sharpness of their problem, a panel for each kind of inputs.

    Returns:
        The figure, and its minima, one row each.

    Raises:
        EmptyFigureError: if there is no constructed minimum.
    """
    plotted = minima(measures, claimed)
    page = style.figure(4.0, message(plotted), style.NARROW)
    edges = np.array([plotted["minimal_sharpness"].min() / MARGIN, plotted["minimal_sharpness"].max() * MARGIN])
    draw = partial(_draw, edges=edges, top=plotted["sharpness"].max() * ROOM)
    axes = style.panels(page, plotted, "inputs", selection.INPUTS, draw)
    axes[0].set_ylabel(style.SHARPNESS)
    for panel in axes:
        panel.set_xlabel("least sharpness by theory")
    return page, plotted


def minima(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The minima in closed form of CLAIMS and those of their controls.

    Returns:
        Columns start, inputs, depth, seed, sharpness, minimal_sharpness, sharpness_ratio and as_control.

    Raises:
        EmptyFigureError: if there is none.
    """
    chosen = [selection.selected(claimed, measures, claim, "sharpness_ratio") for claim in CLAIMS]
    key = ["start", "inputs", "depth", "seed"]
    rows = pd.concat(chosen)[[*key, "as_control"]].drop_duplicates(key)
    values = selection.constructed(measures)
    values = values.loc[values["start"].isin(LOOKS), [*key, *VALUES]]
    rows = rows.merge(values, on=key, validate="one_to_one")
    return selection.present(rows, "constructed minimum")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether any minimum lies below the least, and whether the closed forms lie on it."""
    ratio, closed = plotted["sharpness_ratio"], ~plotted["as_control"]
    if (ratio < 1 - selection.ROUNDING).any():
        return "Some minima are flatter than theory's least sharpness allows"
    attained = (ratio[closed] < 1 + selection.ROUNDING).all()
    forms = "the minima in closed form lie on it" if attained else "not all minima in closed form lie on it"
    return f"No minimum lies below theory's least sharpness, and {forms}"


def _draw(panel: Axes, rows: pd.DataFrame, edges: np.ndarray, top: float) -> None:
    panel.fill_between(edges, edges[0], edges, color="0.9", lw=0, zorder=0)
    panel.plot(edges, edges, color="0.3", lw=1, zorder=1)
    panel.annotate(BELOW, (0.97, 0.02), xycoords="axes fraction", ha="right")
    texts = {}
    for construction, (label, look) in LOOKS.items():
        shown = rows[rows["start"] == construction]
        panel.plot(shown["minimal_sharpness"], shown["sharpness"], ls="", **look)
        if len(shown):
            texts[f"{label} (n = {len(shown):,})"] = look["color"]
    labels.names(panel, texts)
    panel.set(xscale="log", yscale="log", xlim=edges, ylim=(edges[0], top))
    for axis in (panel.xaxis, panel.yaxis):
        style.plain_log(axis)
