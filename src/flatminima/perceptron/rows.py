"""Rows of the two tables of record of a perceptron study: measures and curves."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from flatminima.record import long_table

DEPTH = 1
"""Layers of a perceptron."""


class Profile(NamedTuple):
    """A statistic by the distance from a solution, or by the number of its weights that were flipped.

    Attributes:
        along: the column that holds the places.
        places: distances as shares of weights, or numbers of flips; shape (places,).
        measured: shape (entries, places).
    """

    along: Literal["distance", "flips"]
    places: ArrayLike
    measured: ArrayLike


Values = Mapping[str, ArrayLike | Profile]
"""Statistics by name: one number for each entry, shape (entries,), or a profile."""


def rows(
    study: str,
    case: str,
    alpha: float,
    values: Values,
    *,
    control: str = "",
    size: int = 0,
    solver: str = "",
    margin: ArrayLike = np.nan,
) -> pd.DataFrame:
    """Rows of the table of measures: one perceptron, or one typical solution, for each entry.

    Args:
        study: its name.
        case: its name.
        alpha: patterns per weight, in column setting too.
        values: statistics by name; column seed numbers their entries.
        control: name of the control, empty for the case itself.
        size: number N of weights; 0 in theory for large N.
        solver: what found the solutions; empty for none.
        margin: fraction of the maximal margin, one for all entries or one for each; NaN for none.
    """
    profiles = {name: value for name, value in values.items() if isinstance(value, Profile)}
    whole = {name: value for name, value in values.items() if not isinstance(value, Profile)}
    entries = len(np.asarray([*whole.values(), *(profile.measured for profile in profiles.values())][0]))
    labels: dict[str, Any] = {"study": study, "case": case, "control": control, "setting": alpha, "depth": DEPTH}
    labels |= {"alpha": alpha, "size": size, "solver": solver, "margin": margin, "distance": np.nan, "flips": 0}
    table = pd.DataFrame({"seed": np.arange(entries)}).assign(**labels)
    tables = [long_table(table, {"diverged": np.zeros(entries), **whole})]
    for name, (along, places, measured) in profiles.items():
        for place, column in zip(np.asarray(places), np.asarray(measured).T, strict=True):
            tables.append(long_table(table.assign(**{along: place}), {name: column}))
    return pd.concat(tables, ignore_index=True)


def curve(
    study: str, name: str, x: ArrayLike, value: ArrayLike, y: ArrayLike = 0.0, error: ArrayLike = np.nan, size: int = 0
) -> pd.DataFrame:
    """Rows of the table of curves: study, curve (its name), size (N, 0 in theory), x, y, value, error_bound."""
    table = pd.DataFrame({"x": np.asarray(x, float), "y": y, "value": np.asarray(value, float), "error_bound": error})
    names = pd.DataFrame({"study": study, "curve": name, "size": size}, table.index)
    return pd.concat([names, table], axis=1)
