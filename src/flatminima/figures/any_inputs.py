"""The bound for any inputs is attained, though not by balanced minima (theory I3)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style, theory_selection
from flatminima.figures.claimed import Claimed

LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "flattest": ("flattest minima in closed form", {"marker": "o", "color": style.BLUE}),
    "descent": ("descent from far, best of each condition", {"marker": "^", "color": style.GREEN}),
    "balanced": ("balanced minima", {"marker": "D", "color": style.ORANGE}),
}
NAMES = {"flattest": "closed forms", "descent": "best descents from far", "balanced": "balanced minima"}
"""What the points are called in the message."""
FLOOR = np.finfo(float).eps
"""Smallest distance from one that rounding leaves apart: smaller ones are drawn here."""
WIDTH = 0.24


@style.styled
def any_inputs(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Distance of the sharpness ratio from one, for inputs that are not white, a column of points per depth.

    Returns:
        The figure, and its points.

    Raises:
        EmptyFigureError: if there is no minimum on inputs that are not white.
    """
    plotted = closeness(measures)
    page = style.figure(4.0, message(plotted))
    panel = page.subplots()
    for place, (way, (label, look)) in enumerate(LOOKS.items()):
        _draw(panel, plotted[plotted["way"] == way], (place - 1) * (WIDTH + 0.04), label, look)
    panel.set(yscale="log", xlabel="depth m (layers)", xticks=sorted(plotted["depth"].unique()))
    panel.set_ylabel("|sharpness / theory's minimum − 1|")
    panel.axhspan(FLOOR / 2, theory_selection.ROUNDING, color="0.93", lw=0, zorder=0, label="rounding")
    style.legend_below(page, [panel], columns=2, last=["rounding"])
    return page, plotted


def closeness(measures: pd.DataFrame) -> pd.DataFrame:
    """Sharpness ratio - 1 of every minimum on inputs that are not white: `way`, depth, name and excess.

    Raises:
        EmptyFigureError: if there is none.
    """
    minima = theory_selection.constructed(measures)
    minima = minima[(minima["inputs"] == "coloured") & minima["construction"].isin(LOOKS) & (minima["depth"] > 1)]
    minima = minima.assign(
        way=minima["construction"], name=minima["seed"].astype(str), excess=minima["sharpness_ratio"] - 1
    )
    found = theory_selection.attempts(measures).query("statement == 'attack_bound' and not planted and start == 'far'")
    found = found.groupby(["condition", "depth"])["approach"].min().reset_index()
    found = found.rename(columns={"condition": "name", "approach": "excess"}).assign(way="descent")
    columns = ["way", "depth", "name", "excess"]
    rows = pd.concat([minima[columns], found[columns]], ignore_index=True)
    return theory_selection.present(rows, "any-inputs", "minimum on inputs that are not white")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how many minima of each kind attain the bound."""
    attained = plotted["excess"].abs().lt(theory_selection.ROUNDING).groupby(plotted["way"])
    found = ", ".join(
        f"{attained.sum()[way]} of {attained.size()[way]} {NAMES[way]}" for way in NAMES if way in attained.groups
    )
    return f"Inputs that are not white: theory's minimum is attained to rounding\nby {found}"


def _draw(panel: Axes, rows: pd.DataFrame, shift: float, label: str, look: dict[str, Any]) -> None:
    for _, column in rows.groupby("depth"):
        excess = column["excess"].abs().clip(lower=FLOOR).sort_values()
        places = column["depth"] + shift + np.linspace(-WIDTH / 2, WIDTH / 2, len(column))
        panel.plot(places, excess, ls="", ms=3.5, alpha=0.8, mew=0, label=label, **look)
