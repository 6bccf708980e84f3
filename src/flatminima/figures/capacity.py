"""How rare solutions of a margin are, and how many patterns they can store (theory.md 3.2)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import perceptron_selection, style
from flatminima.figures.claimed import Claimed

LITERATURE = 0.833
"""Capacity at margin zero (Krauth & Mezard 1989)."""
LOADS = 5


@style.styled
def capacity(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Capacity and maximal margin, and entropy against margin for several alphas.

    Returns:
        The figure, and its points: curve, margin, alpha and entropy.

    Raises:
        EmptyFigureError: if there are no such curves.
    """
    boundary, entropy = capacities(curves), entropies(curves)
    load = perceptron_selection.chosen_load(measures, "capacity")
    page = style.figure(3.9, message(boundary, entropy, load))
    left, right = page.subplots(1, 2)
    _draw_boundary(left, boundary)
    for alpha, look in perceptron_selection.shades(entropy["alpha"].unique()):
        line = entropy[entropy["alpha"] == alpha]
        right.plot(line["margin"], line["entropy"], label=perceptron_selection.shown(alpha), **look)
    right.axhline(0, color="black", lw=0.7)
    right.axvline(0, color="0.6", lw=0.7)
    right.set(xlabel=perceptron_selection.MARGIN, ylabel=perceptron_selection.ENTROPY, title="Entropy of solutions")
    for panel in (left, right):
        style.legend_under(panel)
    return page, pd.concat([boundary, entropy], ignore_index=True)


def capacities(curves: pd.DataFrame) -> pd.DataFrame:
    """Points at which entropy vanishes: the capacity at each margin, and the maximal margin at each alpha.

    Raises:
        EmptyFigureError: if there are none.
    """
    names = {"x": "margin", "value": "alpha"}
    line = perceptron_selection.curves(curves, "capacity", "capacity").rename(columns=names)
    names = {"x": "alpha", "value": "margin"}
    points = perceptron_selection.curves(curves, "capacity", "maximal_margin").rename(columns=names)
    return pd.concat([line, points], ignore_index=True)[["curve", "margin", "alpha"]]


def entropies(curves: pd.DataFrame) -> pd.DataFrame:
    """Entropy of solutions by margin, at some alphas.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = perceptron_selection.curves(curves, "capacity", "entropy").drop(columns="error_bound")
    rows = rows.rename(columns={"x": "margin", "y": "alpha", "value": "entropy"})
    return rows[rows["alpha"].isin(perceptron_selection.some(rows["alpha"], LOADS))]


def message(boundary: pd.DataFrame, entropy: pd.DataFrame, load: float) -> str:
    """The figure's one message: what margin costs at the alpha nearest a load; and the capacity."""
    line = entropy[entropy["alpha"] == perceptron_selection.nearest(entropy["alpha"], load)].sort_values("margin")
    zero, last = np.interp(0, line["margin"], line["entropy"]), line.iloc[-1]
    at_zero = boundary[boundary["curve"] == "capacity"].sort_values("margin")
    return (
        f"Solutions of higher margin are exponentially rarer: at α = {last['alpha']:g} entropy falls from {zero:.3f} "
        f"at margin 0\nto {round(abs(last['entropy']), 3):g} at margin {last['margin']:.3f}; "
        f"capacity at margin 0 is {np.interp(0, at_zero['margin'], at_zero['alpha']):.4f}"
    )


def _draw_boundary(panel: Axes, rows: pd.DataFrame) -> None:
    line, points = (rows[rows["curve"] == name] for name in ("capacity", "maximal_margin"))
    panel.plot(line["margin"], line["alpha"], color=style.BLUE, label=r"capacity $\alpha_c(\kappa)$")
    look = {"ls": "", "marker": "o", "color": style.BLUE, "mfc": "white"}
    panel.plot(points["margin"], points["alpha"], label=r"maximal margin at each $\alpha$", **look)
    known = {"ls": "", "marker": "*", "ms": 11, "color": style.VERMILION, "mec": "white"}
    panel.plot(0, LITERATURE, label=f"literature, margin 0: {LITERATURE}", **known)
    panel.set(xlabel=perceptron_selection.MARGIN, ylabel=perceptron_selection.ALPHA, ylim=(0, None))
    panel.locator_params(axis="x", nbins=5)
    panel.set_title("Where solutions end")
