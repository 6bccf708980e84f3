"""The least sharpness for any inputs is attained, though not by balanced minima (theory I3)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import strips, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "I3"
WAYS = {
    "flattest": ("minima in closed form", style.BLUE),
    "descent": ("flattest found by searches", style.PINK),
    "balanced": ("balanced minima", selection.ZERO_RESIDUALS),
}
FLOOR = np.finfo(float).eps
"""Smallest distance from one that rounding leaves apart: smaller ones are drawn here."""


@style.styled
def any_inputs(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Distance of the sharpness ratio from one, for inputs that are not white, a row of points for each way to minima.

    Returns:
        The figure, and its points.

    Raises:
        EmptyFigureError: if there is no minimum on inputs that are not white.
    """
    plotted = closeness(measures, claimed)
    page = style.figure(3.2, message(plotted), style.NARROW)
    _draw(page.subplots(), plotted)
    return page, plotted


def closeness(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """Sharpness ratio - 1 of every minimum on inputs that are not white: `way`, depth, name and excess.

    Raises:
        EmptyFigureError: if there is none.
    """
    minima = selection.selected(claimed, measures, CLAIM, "sharpness_ratio")
    minima = minima[(minima["inputs"] == "coloured") & ~minima["as_control"]]
    minima = minima.rename(columns={"start": "way"}).assign(excess=minima["value"] - 1)
    balanced = selection.constructed(measures).rename(columns={"start": "way"})
    balanced = balanced[(balanced["way"] == "balanced") & (balanced["inputs"] == "coloured")]
    balanced = balanced.assign(excess=balanced["sharpness_ratio"] - 1)
    found = selection.selected(claimed, measures, CLAIM, "inequality_ratio")
    found = found[~found["as_control"] & (found["start"] == "far")]
    found = found.groupby(["condition", "depth"])["value"].min().reset_index()
    found = found.assign(way="descent", excess=found["value"] - 1, name=found["condition"])
    known = [rows.assign(name=rows["seed"].astype(str)) for rows in (minima, balanced)]
    rows = pd.concat([table[["way", "depth", "name", "excess"]] for table in (*known, found)], ignore_index=True)
    return selection.present(rows, "minimum on inputs that are not white")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether the least is attained, and whether balanced minima attain it."""
    if (plotted["excess"] < -selection.ROUNDING).any():
        return "Where inputs are not white, some minima are flatter than theory's least sharpness allows"
    attained = plotted["excess"].abs().lt(selection.ROUNDING).groupby(plotted["way"]).mean()
    if attained.get("flattest", 0) < 1:
        return "Where inputs are not white, minima in closed form miss the least sharpness"
    share = attained.get("balanced", 0)
    balanced = {0: "though not by balanced minima", 1: "by balanced minima too"}.get(share, "by some balanced ones too")
    return f"Where inputs are not white, the least sharpness is attained as well, {balanced}"


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    panel.set(xscale="log", xlim=(FLOOR / 2, 10), xlabel="distance from the least:  |sharpness / least − 1|")
    panel.axvspan(FLOOR / 2, selection.ROUNDING, color="0.93", lw=0, zorder=0)
    place = (selection.ROUNDING, 0)
    panel.annotate("rounding", place, (-3, 4), panel.get_xaxis_transform(), "offset points", ha="right")
    rows = {way: plotted.loc[plotted["way"] == way, "excess"].abs().clip(lower=FLOOR) for way in WAYS}
    looks = {way: {"marker": "o", "color": colour, "ms": 3.5, "mew": 0} for way, (_, colour) in WAYS.items()}
    strips.draw(
        panel, [strips.Strip.counted(name, rows[way], looks[way]) for way, (name, _) in WAYS.items() if len(rows[way])]
    )
