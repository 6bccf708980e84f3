"""What statistics of coupling and balance see as a minimum gets flatter (theory I4, I8)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style, theory_selection
from flatminima.figures.claimed import Claimed

NEAR = 0.1
"""Largest sharpness ratio - 1 from which powers are estimated."""
KEY = ["task", "depth", "step_fraction", "seed"]


class Witness(NamedTuple):
    """A statistic, how far it is from its value at a flattest minimum, and its look."""

    label: str
    distance: Callable[[pd.Series], pd.Series]
    look: dict[str, Any]


WITNESSES = {
    "balance_defect": Witness("balance defect", lambda defect: defect, {"color": style.GREY, "marker": "s"}),
    "singular_overlap": Witness(
        "1 − singular overlap", lambda overlap: 1 - overlap, {"color": style.PINK, "marker": "v"}
    ),
    "path_residual": Witness("path residual", lambda residual: residual, {"color": style.GREEN, "marker": "D"}),
    "path_gain": Witness("|log path gain|", lambda gain: np.log(gain).abs(), {"color": style.ORANGE, "marker": "^"}),
    "path_cosine": Witness("1 − path cosine", lambda cosine: 1 - cosine, {"color": style.BLUE, "marker": "o"}),
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
    page = style.figure(4.2, message(plotted))
    axes = style.panels(page, plotted, "inputs", theory_selection.INPUTS, _draw)
    axes[0].set_ylabel("distance from a flattest minimum's value\n(worst layer)")
    style.legend_below(page, axes, columns=3)
    return page, plotted


def distances(measures: pd.DataFrame) -> pd.DataFrame:
    """The worst layer of every minimum of prescribed sharpness, for each statistic.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = measures[measures["initialisation"].eq("prescribed") & measures["statistic"].isin(WITNESSES)]
    rows = theory_selection.present(rows, "witnesses", "minimum of prescribed sharpness")
    parts = [
        part.assign(distance=WITNESSES[str(name)].distance(part["value"])) for name, part in rows.groupby("statistic")
    ]
    worst = pd.concat(parts).groupby([*KEY, "statistic"])["distance"].max().reset_index()
    excess = worst.pop("step_fraction") - 1
    worst.insert(2, "excess", excess)
    return worst.rename(columns={"task": "inputs"})


def power(rows: pd.DataFrame) -> float:
    """The power of sharpness ratio - 1 with which the median distance falls near the minimum."""
    near = rows[rows["excess"].between(0, NEAR * (1 + 1e-9), inclusive="right") & (rows["distance"] > 0)]
    medians = near.groupby("excess")["distance"].median()
    return float(np.polyfit(np.log(medians.index), np.log(medians), 1)[0]) if len(medians) > 1 else np.nan


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: the power of sharpness ratio - 1 with which each statistic falls."""
    powers = plotted.groupby("statistic")[["excess", "distance"]].apply(power)
    words = [f"{WITNESSES[name].label} {round(powers[name], 1) + 0:.1f}" for name in reversed(WITNESSES)]
    return (
        "What tells a flat minimum: power of (sharpness / minimum − 1) with which it falls\n"
        f"{', '.join(words[:3])};\n{', '.join(words[3:])}"
    )


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    for name, witness in WITNESSES.items():
        shown = selection.quantiles(rows[rows["statistic"] == name], ["excess"], "distance")
        panel.fill_between(shown["excess"], shown["low"], shown["high"], color=witness.look["color"], alpha=0.13, lw=0)
        panel.plot(shown["excess"], shown["median"], label=witness.label, **witness.look)
    panel.set(xlabel="sharpness / minimum − 1", xscale="log", yscale="log")
