"""How sharp minima are at each depth, and how flat theory allows them to be (theory I2, I3)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style, theory_selection
from flatminima.figures.claimed import Claimed

MINIMUM = "theory's minimum (median, 5–95 %)"
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "flattest": ("flattest, in closed form", {"marker": "o", "color": style.BLUE}),
    "balanced": ("balanced", {"marker": "D", "color": style.ORANGE, "mfc": "white"}),
    "random": ("random", {"marker": "^", "color": style.VERMILION}),
}
DODGE = 0.17


@style.styled
def least_sharpness(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness of constructed minima against depth, a panel for each kind of inputs.

    Returns:
        The figure, and its minima, one row each.

    Raises:
        EmptyFigureError: if there is no constructed minimum.
    """
    plotted = minima(measures)
    page = style.figure(3.8, message(plotted))
    axes = style.panels(page, plotted, "inputs", theory_selection.INPUTS, draw)
    axes[0].set_ylabel(style.SHARPNESS)
    style.legend_below(page, axes, columns=2, last=[MINIMUM])
    return page, plotted


def minima(measures: pd.DataFrame) -> pd.DataFrame:
    """The constructed minima that have a look.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = theory_selection.constructed(measures)
    rows = rows[rows["construction"].isin(LOOKS)].drop(columns="prescribed_ratio")
    return theory_selection.present(rows, "least-sharpness", "constructed minimum").reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how many minima fall below theory's minimum, and how close each construction comes."""
    below = (plotted["sharpness_ratio"] < 1 - theory_selection.ROUNDING).sum()
    kinds, deep = theory_selection.inputs_of(plotted), plotted[plotted["depth"] > 1]
    medians = deep.groupby(["construction", "inputs"])["sharpness_ratio"].median()
    values = {name: [f"{medians[name, inputs]:.2f}" for inputs in kinds if (name, inputs) in medians] for name in LOOKS}
    found = ", ".join(f"{name} {' / '.join(numbers)}" for name, numbers in values.items() if numbers)
    names = " / ".join(theory_selection.INPUTS[inputs] for inputs in kinds)
    return (
        f"{below} of {len(plotted):,} constructed minima lie below theory's minimum\n"
        f"median sharpness / minimum, {names}:\n{found}"
    )


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw theory's minimum over depth, and beside it the median and interval of every construction."""
    least = selection.quantiles(
        rows.drop_duplicates(["inputs", "depth", "minimal_sharpness"]), ["depth"], "minimal_sharpness"
    )
    panel.fill_between(least["depth"], least["low"], least["high"], color="0.85", lw=0, zorder=0)
    panel.plot(least["depth"], least["median"], color="0.3", ls=style.DASHDOT, lw=1, zorder=1, label=MINIMUM)
    for place, (construction, (label, look)) in enumerate(LOOKS.items()):
        shown = selection.quantiles(rows[rows["construction"] == construction], ["depth"], "sharpness")
        bars = np.abs(shown[["low", "high"]].to_numpy().T - shown["median"].to_numpy())
        panel.errorbar(shown["depth"] + DODGE * (place - 1), shown["median"], bars, ls="", lw=1, label=label, **look)
    panel.set(xlabel="depth m (layers)", yscale="log", xticks=sorted(rows["depth"].unique()))
    style.plain_log(panel.yaxis)
