"""What statistics of coupling and balance see as a minimum gets flatter (theory I4, I8)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

NEAR = 0.1
"""Largest sharpness ratio - 1 from which powers are estimated."""
FALLS = 0.5
"""Power of sharpness ratio - 1 from which on a statistic falls with it."""
KEY = ["inputs", "depth", "setting", "seed"]
ROOM = 5e3
"""How far the axis goes below the flattest minima, for the names of lines."""


class Witness(NamedTuple):
    """A statistic, how far it is from its value at a flattest minimum, and its look."""

    name: str
    distance: Callable[[pd.Series], pd.Series]
    look: dict[str, Any]


WITNESSES = {
    "path_cosine": Witness("path cosine", lambda cosine: 1 - cosine, {"color": style.BLUE, "marker": "o"}),
    "path_gain": Witness("path gain", lambda gain: np.log(gain).abs(), {"color": style.ORANGE, "marker": "^"}),
    "path_residual": Witness("path residual", lambda residual: residual, {"color": style.GREEN, "marker": "D"}),
    "singular_overlap": Witness("singular overlap", lambda value: 1 - value, {"color": style.PINK, "marker": "v"}),
    "balance_defect": Witness("balance defect", lambda defect: defect, {"color": style.GREY, "marker": "s"}),
}


@style.styled
def witnesses(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Distance of each statistic from its value at a flattest minimum against sharpness ratio - 1.

    Returns:
        The figure, and its values: the worst layer of every minimum of prescribed sharpness, a row per statistic.

    Raises:
        EmptyFigureError: if there is no minimum of prescribed sharpness.
    """
    plotted = distances(measures)
    page = style.figure(4.2, message(plotted), style.NARROW)
    panel = page.subplots()
    _draw(panel, plotted)
    panel.set(xlabel="sharpness / least sharpness − 1", ylabel="distance from the value\nat a flattest minimum")
    minima = plotted.drop_duplicates(["inputs", "depth", "excess", "seed"])
    panel.annotate(f"n = {len(minima):,} minima", (0.98, 0.03), xycoords="axes fraction", ha="right")
    return page, plotted


def distances(measures: pd.DataFrame) -> pd.DataFrame:
    """The worst layer of every minimum of prescribed sharpness, for each statistic.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.of_theory(measures)
    rows = rows[rows["start"].eq("prescribed") & rows["statistic"].isin(WITNESSES)]
    rows = selection.present(rows, "witnesses", "minimum of prescribed sharpness")
    parts = [
        part.assign(distance=WITNESSES[str(name)].distance(part["value"])) for name, part in rows.groupby("statistic")
    ]
    worst = pd.concat(parts).groupby([*KEY, "statistic"])["distance"].max().reset_index()
    excess = worst.pop("setting") - 1
    worst.insert(2, "excess", excess)
    return worst


def power(rows: pd.DataFrame) -> float:
    """The power of sharpness ratio - 1 with which the median distance falls near the minimum."""
    near = rows[rows["excess"].between(0, NEAR * (1 + 1e-9), inclusive="right") & (rows["distance"] > 0)]
    medians = near.groupby("excess")["distance"].median()
    return float(np.polyfit(np.log(medians.index), np.log(medians), 1)[0]) if len(medians) > 1 else np.nan


def powers(plotted: pd.DataFrame) -> dict[str, float]:
    """The power of every statistic that was measured, in the order of WITNESSES."""
    found = {name: plotted[plotted["statistic"] == name] for name in WITNESSES}
    return {name: power(rows) for name, rows in found.items() if len(rows)}


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: which statistics fall towards a flattest minimum, and which do not."""
    found = {name: exponent for name, exponent in powers(plotted).items() if not np.isnan(exponent)}
    if not found:
        return "Too few minima near the least sharpness to tell which statistics see a flat one"
    shown = [WITNESSES[name].name for name in found if found[name] > FALLS]
    hidden = [WITNESSES[name].name for name in found if not found[name] > FALLS]
    if not shown:
        return f"How flat a minimum is does not show in its {_listed(hidden)}"
    rest = f", but not in its {_listed(hidden)}" if hidden else ""
    return f"How flat a minimum is shows in its {_listed(shown)}{rest}"


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    exponents = powers(plotted)
    for name, exponent in exponents.items():
        witness = WITNESSES[name]
        shown = frames.quantiles(plotted[plotted["statistic"] == name], ["excess"], "distance")
        panel.fill_between(shown["excess"], shown["low"], shown["high"], color=witness.look["color"], alpha=0.13, lw=0)
        panel.plot(shown["excess"], shown["median"], **witness.look)
        place = shown["excess"].iloc[0], shown["median"].iloc[0]
        text = f"{witness.name}: power {exponent:.1f}".replace("-0.0", "0.0")
        panel.annotate(
            text,
            place,
            (-6, 0),
            ha="right",
            va="center",
            textcoords="offset points",
            color=style.ink(witness.look["color"]),
        )
    panel.set(xscale="log", yscale="log", xlim=(plotted["excess"].min() / ROOM, None))
    panel.xaxis.set_major_locator(FixedLocator([10.0**k for k in range(-4, 1)]))
    panel.xaxis.set_minor_locator(NullLocator())
