"""The rows that figures and tables of a perceptron study are made of: curves, thresholds, published estimates."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.special import entr

from flatminima.figures import frames, style

ENTROPY = "entropy (nats per weight)"
LOCAL_ENTROPY = "local entropy (nats per weight)"
DISTANCE = r"distance $d$"
MARGIN = r"margin $\kappa$"
ALPHA = r"$\alpha$ (patterns per weight)"
CURVE = ["curve", "size", "x", "y", "value", "error_bound"]
"""Columns of the table of curves without the study; size is N, or 0 in theory."""
THRESHOLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "monotone_load": ("last monotone local entropy", {"color": "0.35", "ls": style.DOTTED}),
    "connected_load": ("last local entropy without a gap", {"color": "0.35", "ls": style.DASHED}),
    "capacity": ("capacity", {"color": "0.35", "ls": style.DASHDOT}),
}
present = partial(frames.present, cure="run a study of kind perceptron")


def curves(details: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The curves of some names.

    Returns:
        Columns CURVE.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = details.reindex(columns=CURVE)
    return present(rows[rows["curve"].isin(names)], f"curve {' or '.join(names)}").reset_index(drop=True)


def thresholds(measures: pd.DataFrame) -> dict[str, float]:
    """The loads of THRESHOLDS, in its order.

    Raises:
        EmptyFigureError: if they were not computed.
    """
    rows = measures[(measures["case"] == "thresholds") & measures["statistic"].isin(THRESHOLDS)]
    values = present(rows, "threshold").set_index("statistic")["value"]
    return {name: float(values[name]) for name in THRESHOLDS}


def chosen_load(measures: pd.DataFrame) -> float:
    """The alpha at which local entropies were followed for all margins.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = present(measures[measures["case"] == "ordering"], "local entropy of several margins")
    return float(rows["alpha"].iloc[0])


def isolation(measures: pd.DataFrame, load: float) -> float:
    """Distance up to which solutions of margin zero have no others around.

    Raises:
        EmptyFigureError: if it was not computed.
    """
    rows = measures[(measures["case"] == "zero_margin") & (measures["statistic"] == "isolation")]
    rows = rows[rows["setting"] == load]
    return float(present(rows, "distance of isolation")["value"].iloc[0])


def nearest(values: Iterable[float], load: float) -> float:
    """The value nearest a load."""
    return min(values, key=lambda value: (abs(value - load), value))


def middle(values: pd.Series) -> float:
    """The middle one of the distinct values, the lower of two."""
    distinct = np.sort(values.unique())
    return float(distinct[(len(distinct) - 1) // 2])


def some(values: pd.Series, count: int) -> list[float]:
    """Choose at most `count` of the distinct values, evenly spread from the smallest to the largest."""
    distinct = np.sort(values.unique())
    return [float(distinct[place]) for place in frames.spread(pd.Series(range(len(distinct))), count)]


def all_weights(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy of all weights at a distance, in nats per weight: -d ln d - (1 - d) ln(1 - d)."""
    entropy: NDArray[np.float64] = entr(distance) + entr(1 - distance)
    return entropy


def name_line(panel: Axes, x: float, y: float, load: float, look: dict[str, Any]) -> None:
    """Write the load of a line beside its left end."""
    place = {"textcoords": "offset points", "ha": "right", "va": "center", "color": look["color"]}
    panel.annotate(shown(load), (x, y), (-4, 0), **place)


def with_room(values: pd.Series) -> tuple[float, float]:
    """Ends of an axis with room for names beside the left ends of lines."""
    return values.min() - 0.42 * np.ptp(values), values.max() + 0.03 * np.ptp(values)


def shown(load: float) -> str:
    """A load in the label of a line."""
    return rf"$\alpha$ = {load:.3g}"
