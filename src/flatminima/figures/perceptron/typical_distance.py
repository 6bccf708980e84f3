"""Distance between typical solutions of a margin: the rarer, the closer together (theory.md 3.3)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import selection

LOADS = 5
APART = "typical distance of two solutions\n(share of weights that differ)"


@style.styled
def typical_distance(_measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Typical distance of two solutions against their margin, and against their entropy.

    Returns:
        The figure, and its points: alpha, margin, distance and entropy.

    Raises:
        EmptyFigureError: if there are no such curves.
    """
    plotted = distances(curves)
    page = style.figure(3.4, message(plotted), style.NARROW)
    left, right = page.subplots(1, 2, sharey=True)
    for alpha, look in style.shades(plotted["alpha"].unique()):
        line = plotted[plotted["alpha"] == alpha]
        zero = [np.interp(0, line["margin"], line[name]) for name in ("distance", "entropy")]
        for panel, column, start in ((left, "margin", 0.0), (right, "entropy", zero[1])):
            panel.plot(line[column], line["distance"], **look)
            panel.plot(start, zero[0], ls="", marker="o", color=look["color"])
        selection.name_line(left, line["margin"].iloc[0], line["distance"].iloc[0], alpha, look)
    left.plot([], [], ls="", marker="o", color="0.3", label="margin 0")
    left.legend(loc="upper right", borderaxespad=0)
    left.set_xlim(selection.with_room(plotted["margin"]))
    left.set(xlabel=selection.MARGIN, ylabel=APART, title="Higher margin: closer")
    right.set(xlabel=selection.ENTROPY, title="Rarer (to the right): closer")
    right.invert_xaxis()
    return page, plotted


def distances(curves: pd.DataFrame) -> pd.DataFrame:
    """Distance and entropy of typical solutions by margin, at some alphas.

    Raises:
        EmptyFigureError: if there are none.
    """
    distance, entropy = (
        selection.curves(curves, curve).rename(columns={"x": "margin", "y": "alpha", "value": name})
        for curve, name in (("typical_distance", "distance"), ("entropy", "entropy"))
    )
    key = ["alpha", "margin"]
    rows = distance[[*key, "distance"]].merge(entropy[[*key, "entropy"]], on=key, validate="one_to_one")
    rows = rows[rows["alpha"].isin(selection.some(rows["alpha"], LOADS))]
    return rows.sort_values(key, ignore_index=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether solutions of higher margin lie closer together."""
    lines = [line.sort_values("margin") for _, line in plotted[plotted["margin"] >= 0].groupby("alpha")]
    closer = [bool((line["distance"].diff().dropna() < 0).all()) for line in lines]
    where = "at every" if all(closer) else "at some, not every," if any(closer) else "at no"
    return f"Solutions of higher margin lie closer together, {where} load shown"
