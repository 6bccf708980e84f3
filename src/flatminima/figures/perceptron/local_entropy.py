"""Number of solutions around a typical one of each margin, at each distance (theory.md 3.3)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import selection

EVERY = "all weights"
FINE = 200
FARTHEST = 3.0
"""Largest distance of the close view, in distances of isolation."""


@style.styled
def local_entropy(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Local entropy against distance by margin, out to long distances and close by.

    Returns:
        The figure, and its points: margin, distance, local_entropy and all_weights, the entropy of all at the distance.

    Raises:
        EmptyFigureError: if local entropies were not computed.
    """
    plotted = surroundings(curves)
    load = selection.chosen_load(measures)
    isolation = selection.isolation(measures, load)
    page = style.figure(4.2, message(plotted, load), style.NARROW)
    left, right = axes = page.subplots(1, 2)
    for panel in axes:
        draw(panel, plotted)
    _come_close(right, plotted, isolation)
    left.set(ylabel=selection.LOCAL_ENTROPY, title="Out to long distances")
    right.set_title("Close by")
    style.legend_below(page, list(axes), columns=3, last=[EVERY])
    return page, plotted


def surroundings(curves: pd.DataFrame) -> pd.DataFrame:
    """Local entropy by margin and distance, in ascending order; distances without a saddle point are missing.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.curves(curves, "local_entropy").drop(columns=["curve", "error_bound"])
    rows = rows.rename(columns={"x": "distance", "y": "margin", "value": "local_entropy"}).dropna()
    rows = rows.assign(all_weights=selection.all_weights(rows["distance"].to_numpy()))
    columns = ["margin", "distance", "local_entropy", "all_weights"]
    return rows[columns].sort_values(columns, ignore_index=True)


def message(plotted: pd.DataFrame, load: float) -> str:
    """The figure's one message: whether solutions of margin zero, and of the highest margin, have others nearby."""
    zero, highest = (plotted["margin"] == end for end in (plotted["margin"].min(), plotted["margin"].max()))
    some = [bool((plotted.loc[rows, "local_entropy"] > 0).all()) for rows in (zero, highest)]
    first, second = ("others at every distance shown" if answer else "no others at some distances" for answer in some)
    return (
        f"At α = {load:g}, typical solutions have {first}, "
        f"{'and' if some[0] == some[1] else 'but'} those of the highest margin have {second}"
    )


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw the local entropy of every margin, that of all weights, and zero."""
    for margin, look in style.shades(rows["margin"].unique()):
        line = rows[rows["margin"] == margin]
        label = rf"around $\kappa$ = {margin:.3g}"
        panel.plot(*smooth(line["distance"], line["local_entropy"]), label=label, **look)
    every = np.geomspace(rows["distance"].min(), rows["distance"].max(), FINE)
    look = {"color": "0.55", "lw": 1, "ls": style.DASHDOT, "zorder": 0}
    panel.plot(every, selection.all_weights(every), label=EVERY, **look)
    panel.axhline(0, color="black", lw=0.7)
    panel.set(xlabel=selection.DISTANCE)


def smooth(distance: pd.Series, value: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A cubic spline over ln(distance) through points in ascending order: FINE distances, and the values there."""
    fine = np.geomspace(distance.iloc[0], distance.iloc[-1], FINE)
    return fine, CubicSpline(np.log(distance), value)(np.log(fine))


def _come_close(panel: Axes, rows: pd.DataFrame, isolation: float) -> None:
    near = rows[rows["distance"] <= FARTHEST * isolation]
    low, high = near["local_entropy"].min(), near["local_entropy"].max()
    bottom = min(4 * low, -0.3 * high)
    panel.axhspan(bottom, 0, color="0.92", lw=0, zorder=-1)
    ends = near.loc[near.groupby("margin")["distance"].idxmin()]
    ends = ends[ends["distance"] > rows["distance"].min()]
    panel.plot(ends["distance"], ends["local_entropy"], ls="", marker="|", ms=9, mew=1.4, color="0.2")
    words = ["below 0: no solutions", "bar: no saddle point below"]
    panel.text(0.03, 0.03, "\n".join(words[: 1 + len(ends)]), va="bottom", transform=panel.transAxes)
    panel.set(xscale="log", xlim=(rows["distance"].min(), FARTHEST * isolation), ylim=(bottom, 1.05 * high))
    ticks = 10.0 ** np.arange(np.ceil(np.log10(rows["distance"].min()) - 1e-9), 0)
    panel.set_xticks([tick for tick in ticks if tick <= FARTHEST * isolation])
    panel.xaxis.set_minor_formatter(NullFormatter())
