"""Share of runs from zero residuals that arrive at a minimum, by the map that they are to learn (M1b)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "M1b"
MARKERS = "os^Dv"
CONTROL = "control: steps at which no minimum is stable"
APART = 0.2
"""Distance of depths within a row, in rows."""


@style.styled
def arrival(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Share of runs of gradient flow that arrive at a minimum, with its exact interval: a row for each kind of map.

    Returns:
        The figure, and its points: the findings of the claim and on its control, one row per case.

    Raises:
        EmptyFigureError: if there is no run of gradient flow.
    """
    plotted = shares(measures, claimed)
    page = style.figure(4.2, message(plotted), style.NARROW)
    panel = page.subplots()
    _draw(panel, plotted)
    style.legend_below(page, [panel], columns=3)
    return page, plotted


def shares(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The findings of M1b and the decided ones on its control, see `selection.findings`.

    Raises:
        EmptyFigureError: if there is no run of gradient flow.
    """
    rows = selection.findings(claimed, measures, CLAIM)
    selection.present(rows[~rows["as_control"]], "run of gradient flow")
    return rows[~rows["as_control"] | rows["decided"]].reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether runs from zero residuals arrive for all maps, and where they do not."""
    own = plotted[~plotted["as_control"]]
    refuted = own[own["refutes"] & own["decided"]]
    if not refuted.empty:
        names = " and ".join(selection.MAPS[name] for name in selection.MAPS if name in set(refuted["map"]))
        return f"Not every run from zero residuals arrives at a minimum: those on {names} need not"
    if own["holds"].all():
        return "Runs from zero residuals arrive at a minimum, whatever the map"
    return "Whether runs from zero residuals arrive at a minimum is not decided for every map"


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    """A row for each kind of map, and one for the control; a marker and interval for each depth."""
    rows = {name: plotted[(plotted["map"] == name) & ~plotted["as_control"]] for name in selection.MAPS}
    every = [(selection.MAPS[name], selection.ZERO_RESIDUALS, table) for name, table in rows.items()]
    every.append((CONTROL, style.CONTROL, plotted[plotted["as_control"]]))
    shown = [row for row in every if len(row[2])]
    for depth, marker in zip(sorted(plotted["depth"].unique()), MARKERS, strict=False):
        for row, (_, colour, table) in enumerate(shown):
            at = table[table["depth"] == depth]
            bars = at[["effect", "low", "high"]].to_numpy().T
            place = np.full(len(at), row + APART * (MARKERS.index(marker) - 0.6))
            panel.errorbar(
                at["effect"], place, xerr=np.abs(bars[1:] - bars[0]), fmt=marker, color=colour, elinewidth=0.8
            )
        panel.plot([], [], marker, color="0.3", ls="", label=f"{depth} layers")
    for row, (name, colour, table) in enumerate(shown):
        panel.annotate(
            f"{name} (n = {style.span(table['units'])} each)",
            (0.5, row - 0.35),
            ha="center",
            va="center",
            color=style.ink(colour),
        )
    panel.set(
        xlim=(-0.03, 1.03), ylim=(len(shown) - 0.4, -0.6), yticks=[], xlabel="share of runs that arrive at a minimum"
    )
    panel.spines["left"].set_visible(False)
