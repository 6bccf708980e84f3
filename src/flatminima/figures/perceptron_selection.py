"""The rows that figures and tables of a perceptron study are made of: curves, thresholds, attempts of solvers."""

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from numpy.typing import NDArray
from scipy.special import entr

from flatminima.figures import selection, style

ENTROPY = "entropy (nats per weight)"
LOCAL_ENTROPY = "local entropy (nats per weight)"
DISTANCE = r"distance $d$ (share of weights that differ)"
MARGIN = r"margin $\kappa$"
ALPHA = r"$\alpha$ (patterns per weight)"


class Solver(NamedTuple):
    """Name and look of a solver."""

    label: str
    look: dict[str, Any]


SOLVERS = {
    "reinforced-bp": Solver("reinforced BP", {"color": style.BLUE, "marker": "o"}),
    "focusing-bp": Solver("focusing BP", {"color": style.ORANGE, "marker": "D", "ls": style.DASHED}),
    "sbpi": Solver("SBPI", {"color": style.GREEN, "marker": "^", "ls": style.DASHDOT}),
    "replicated-sgd": Solver("replicated SGD", {"color": style.VERMILION, "marker": "s"}),
    "sgd": Solver("SGD", {"color": style.PINK, "marker": "v", "ls": style.DOTTED}),
    "straight-through-sgd": Solver("straight-through SGD", {"color": style.BROWN, "marker": "P", "ls": style.DASHED}),
    "annealing": Solver("annealing", {"color": style.GREY, "marker": "X", "ls": style.DASHDOT}),
    "error-annealing": Solver("annealing of errors", {"color": "0.3", "marker": "*", "ls": style.DOTTED}),
}
THRESHOLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "monotone_load": ("last monotone local entropy", {"color": "0.35", "ls": style.DOTTED}),
    "connected_load": ("last local entropy without a gap", {"color": "0.35", "ls": style.DASHED}),
    "capacity": ("capacity", {"color": "0.35", "ls": style.DASHDOT}),
}
ATTEMPT = ["solved", "iterations", "minimal_margin"]
SURROUNDING = ["flip_error_ratio", "local_entropy_excess"]
present = partial(selection.present, cure="run a study of kind perceptron")


def curves(details: pd.DataFrame, figure: str, *names: str) -> pd.DataFrame:
    """The curves of some names.

    Returns:
        Columns curve, x, y, value and error_bound.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = present(details[details["experiment"].isin(names)], figure, f"curve {' or '.join(names)}")
    rows = rows.rename(columns={"experiment": "curve"})
    return rows[["curve", "x", "y", "value", "error_bound"]].reset_index(drop=True)


def of_solvers(details: pd.DataFrame, figure: str, quantity: str) -> pd.DataFrame:
    """The curves of one quantity of every solver's solutions.

    Returns:
        Columns solver, alpha, distance and value.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = curves(details, figure, *(f"{quantity}_{name}" for name in SOLVERS))
    rows.insert(0, "solver", rows.pop("curve").str.removeprefix(f"{quantity}_"))
    return rows.rename(columns={"x": "distance", "y": "alpha"}).drop(columns="error_bound")


def thresholds(measures: pd.DataFrame, figure: str) -> dict[str, float]:
    """The loads of THRESHOLDS, in its order.

    Raises:
        EmptyFigureError: if they were not computed.
    """
    rows = measures[(measures["experiment"] == "thresholds") & measures["statistic"].isin(THRESHOLDS)]
    values = present(rows, figure, "threshold").set_index("statistic")["value"]
    return {name: float(values[name]) for name in THRESHOLDS}


def chosen_load(measures: pd.DataFrame, figure: str) -> float:
    """The alpha at which local entropies were followed for all margins.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = present(measures[measures["experiment"] == "ordering"], figure, "local entropy of several margins")
    return float(rows["step_fraction"].iloc[0])


def isolation(measures: pd.DataFrame, figure: str, load: float) -> float:
    """Distance up to which solutions of margin zero have no others around.

    Raises:
        EmptyFigureError: if it was not computed.
    """
    of_load = (measures["experiment"] == "zero_margin") & (measures["step_fraction"] == load)
    rows = measures[of_load & (measures["statistic"] == "isolation")]
    return float(present(rows, figure, "distance of isolation")["value"].iloc[0])


def attempts(measures: pd.DataFrame, figure: str) -> pd.DataFrame:
    """One row per solver and instance.

    Returns:
        Columns solver, alpha, seed, solved (boolean), iterations and minimal_margin, the last NaN unless solved.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = _attempts(measures, figure)
    table = selection.pivot(rows[rows["layer"] == 0], ATTEMPT, ["optimiser", "step_fraction", "seed"])
    return _named(table.assign(solved=table["solved"] == 1))


def surroundings(measures: pd.DataFrame, details: pd.DataFrame, figure: str) -> pd.DataFrame:
    """What surrounds the solutions found: one row per solver, instance and distance.

    Returns:
        Columns solver, alpha, seed, distance, flip_error_ratio and local_entropy_excess, NaN where not measured.

    Raises:
        EmptyFigureError: if no instance was solved.
    """
    places = of_solvers(details, figure, "bp_entropy")["distance"].unique()
    rows = _attempts(measures, figure)
    table = selection.pivot(rows[rows["layer"] > 0], SURROUNDING, ["optimiser", "step_fraction", "seed", "layer"])
    table.insert(3, "distance", places[table.pop("layer") - 1])
    return _named(table)


def nearest(values: Iterable[float], load: float) -> float:
    """The value nearest a load."""
    return min(values, key=lambda value: (abs(value - load), value))


def middle(values: pd.Series) -> float:
    """The middle one of the distinct values, the lower of two."""
    distinct = np.sort(values.unique())
    return float(distinct[(len(distinct) - 1) // 2])


def some(values: pd.Series, count: int) -> list[float]:
    """At most `count` of the distinct values, evenly spread from the smallest to the largest."""
    distinct = np.sort(values.unique())
    return [float(distinct[place]) for place in selection.spread(pd.Series(range(len(distinct))), count)]


def shades(values: Iterable[float]) -> list[tuple[float, dict[str, Any]]]:
    """The values in ascending order, with colours from light to dark and lines that differ."""
    ordered = sorted(values)
    colours = sns.color_palette("crest", len(ordered))
    lines = [style.LINES[place % len(style.LINES)] for place in range(len(ordered))]
    looks = [{"color": colour, "ls": line} for colour, line in zip(colours, lines, strict=True)]
    return list(zip(ordered, looks, strict=True))


def all_weights(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy of all weights at a distance, in nats per weight: -d ln d - (1 - d) ln(1 - d)."""
    entropy: NDArray[np.float64] = entr(distance) + entr(1 - distance)
    return entropy


def shown(load: float) -> str:
    """A load in the label of a line."""
    return rf"$\alpha$ = {load:.3g}"


def _attempts(measures: pd.DataFrame, figure: str) -> pd.DataFrame:
    known = [f"attempts_{name}" for name in SOLVERS]
    return present(measures[measures["experiment"].isin(known)], figure, "attempt of a solver")


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.rename(columns={"optimiser": "solver", "step_fraction": "alpha"})
