"""How far apart typical solutions of a margin are: the rarer, the closer together (theory.md 3.3)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flatminima.figures import perceptron_selection, style
from flatminima.figures.claimed import Claimed

NAME = "typical-distance"
LOADS = 5
APART = "typical distance of two solutions\n(share of weights that differ)"


@style.styled
def typical_distance(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Typical distance of two solutions against their margin, and against their entropy.

    Returns:
        The figure, and its points: alpha, margin, distance and entropy.

    Raises:
        EmptyFigureError: if there are no such curves.
    """
    plotted = distances(curves)
    page = style.figure(3.9, message(plotted, perceptron_selection.chosen_load(measures, NAME)))
    left, right = axes = page.subplots(1, 2, sharey=True)
    for alpha, look in perceptron_selection.shades(plotted["alpha"].unique()):
        line = plotted[plotted["alpha"] == alpha]
        zero = [np.interp(0, line["margin"], line[name]) for name in ("distance", "entropy")]
        for panel, column, start in ((left, "margin", 0.0), (right, "entropy", zero[1])):
            panel.plot(line[column], line["distance"], label=perceptron_selection.shown(alpha), **look)
            panel.plot(start, zero[0], ls="", marker="o", color=look["color"], label="_zero")
    left.plot([], [], ls="", marker="o", color="0.3", label="margin 0")
    left.set(xlabel=perceptron_selection.MARGIN, ylabel=APART, title="Higher margin: closer together")
    right.set(xlabel=f"{perceptron_selection.ENTROPY}, rarer to the right", title="Rarer: closer together")
    right.invert_xaxis()
    style.legend_below(page, list(axes), columns=6)
    return page, plotted


def distances(curves: pd.DataFrame) -> pd.DataFrame:
    """Distance and entropy of typical solutions by margin, at some alphas.

    Raises:
        EmptyFigureError: if there are none.
    """
    distance, entropy = (
        perceptron_selection.curves(curves, NAME, curve).rename(columns={"x": "margin", "y": "alpha", "value": name})
        for curve, name in (("typical_distance", "distance"), ("entropy", "entropy"))
    )
    key = ["alpha", "margin"]
    rows = distance[[*key, "distance"]].merge(entropy[[*key, "entropy"]], on=key, validate="one_to_one")
    rows = rows[rows["alpha"].isin(perceptron_selection.some(rows["alpha"], LOADS))]
    return rows.sort_values(key, ignore_index=True)


def message(plotted: pd.DataFrame, load: float) -> str:
    """The figure's one message: how much closer together solutions of the maximal margin are, at one alpha."""
    line = plotted[plotted["alpha"] == perceptron_selection.nearest(plotted["alpha"], load)]
    zero, last = np.interp(0, line["margin"], line["distance"]), line.iloc[-1]
    return (
        f"The rarer solutions are, the closer they lie together: at α = {last['alpha']:g} two typical ones differ in\n"
        f"{100 * zero:.1f} % of the weights at margin 0, in {100 * last['distance']:.1f} % at the maximal margin "
        f"{last['margin']:.3f}"
    )
