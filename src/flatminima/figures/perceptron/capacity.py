"""Rarity of solutions of a margin, and the number of patterns that they can store (theory.md 3.2)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import selection

LITERATURE = 0.833
"""Capacity at margin zero (Krauth & Mezard 1989)."""
LOADS = 5


@style.styled
def capacity(_measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Capacity and maximal margin, and entropy against margin for several alphas.

    Returns:
        The figure, and its points: curve, margin, alpha and entropy.

    Raises:
        EmptyFigureError: if there are no such curves.
    """
    boundary, entropy = capacities(curves), entropies(curves)
    page = style.figure(3.4, message(entropy), style.NARROW)
    left, right = page.subplots(1, 2)
    _draw_boundary(left, boundary)
    for alpha, look in style.shades(entropy["alpha"].unique()):
        line = entropy[entropy["alpha"] == alpha].sort_values("margin")
        right.plot(line["margin"], line["entropy"], **look)
        selection.name_line(right, line["margin"].iloc[0], line["entropy"].iloc[0], alpha, look)
    right.axhline(0, color="black", lw=0.7)
    right.axvline(0, color="0.6", lw=0.7)
    right.set(xlabel=selection.MARGIN, ylabel=selection.ENTROPY, title="Entropy of solutions")
    right.set_xlim(selection.with_room(entropy["margin"]))
    left.legend(loc="upper right", borderaxespad=0)
    return page, pd.concat([boundary, entropy], ignore_index=True)


def capacities(curves: pd.DataFrame) -> pd.DataFrame:
    """Points at which entropy vanishes: the capacity at each margin, and the maximal margin at each alpha.

    Raises:
        EmptyFigureError: if there are none.
    """
    names = {"x": "margin", "value": "alpha"}
    line = selection.curves(curves, "capacity").rename(columns=names)
    names = {"x": "alpha", "value": "margin"}
    points = selection.curves(curves, "maximal_margin").rename(columns=names)
    return pd.concat([line, points], ignore_index=True)[["curve", "margin", "alpha"]]


def entropies(curves: pd.DataFrame) -> pd.DataFrame:
    """Entropy of solutions by margin, at some alphas.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.curves(curves, "entropy").drop(columns=["size", "error_bound"])
    rows = rows.rename(columns={"x": "margin", "y": "alpha", "value": "entropy"})
    return rows[rows["alpha"].isin(selection.some(rows["alpha"], LOADS))]


def message(entropy: pd.DataFrame) -> str:
    """The figure's one message: whether solutions of higher margin are rarer."""
    lines = [line.sort_values("margin") for _, line in entropy[entropy["margin"] >= 0].groupby("alpha")]
    falls = [bool((line["entropy"].diff().dropna() < 0).all()) for line in lines]
    where = "at every" if all(falls) else "at some, not every," if any(falls) else "at no"
    return f"Solutions of higher margin are exponentially rarer, {where} load shown"


def _draw_boundary(panel: Axes, rows: pd.DataFrame) -> None:
    line, points = (rows[rows["curve"] == name] for name in ("capacity", "maximal_margin"))
    panel.plot(line["margin"], line["alpha"], color=style.BLUE, label=r"capacity $\alpha_c(\kappa)$")
    look = {"ls": "", "marker": "o", "color": style.BLUE, "mfc": "white"}
    panel.plot(points["margin"], points["alpha"], label=r"maximal margin at each $\alpha$", **look)
    known = {"ls": "", "marker": "*", "ms": 11, "color": style.VERMILION, "mec": "white"}
    panel.plot(0, LITERATURE, label=f"literature, margin 0: {LITERATURE}", **known)
    panel.set(xlabel=selection.MARGIN, ylabel=selection.ALPHA, ylim=(0, None))
    panel.locator_params(axis="x", nbins=5)
    panel.set_title("Where solutions end")
