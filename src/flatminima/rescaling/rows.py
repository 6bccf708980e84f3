"""Rows of the two tables of record of a rescaling study: measures and curves."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from flatminima.record import long_table

CONVOLUTIONAL = "convolutional"
"""Family of networks whose cases have it in their names, after an underscore."""
NETWORK = ("family", "task", "initialisation", "optimiser", "depth", "step_size")
"""Labels of a trained network that its rows have."""
SETTINGS = ("alpha", "radius", "offset", "range")
"""Columns of the numbers that condition a case: each holds column setting for the cases that it conditions."""
Setting = tuple[Literal["alpha", "radius", "offset", "range"], float]
"""One of SETTINGS, and its value."""
CURVES = ["study", "curve", "control", "depth", "seed", "x", "y", "value", "error_bound"]
"""Columns of the table of curves; curve is the name."""


class Measured(NamedTuple):
    """Statistics of one network in one case.

    Attributes:
        case: its name, without the family.
        statistics: by name: a number, or one for each layer.
        control: name of the control, empty for the case itself.
        setting: the number that conditions the case, under the name of its column; None for none.
    """

    case: str
    statistics: Mapping[str, ArrayLike]
    control: str = ""
    setting: Setting | None = None


class Curve(NamedTuple):
    """Points of a curve of one network.

    Attributes:
        name: of the curve.
        x: shape (points,).
        value: shape (points,).
        y: shape (points,), or one number for all.
        error_bound: shape (points,), or one number for all.
        control: name of the control, empty for the curve itself.
    """

    name: str
    x: ArrayLike
    value: ArrayLike
    y: ArrayLike = 0.0
    error_bound: ArrayLike = np.nan
    control: str = ""


def rows(study: str, labels: Mapping[str, Any], measured: Iterable[Measured]) -> pd.DataFrame:
    """Rows of the table of measures, for one network that did not diverge unless a case says so.

    Args:
        study: its name.
        labels: those named in NETWORK, and replica, the number of the network in its file: column seed.
        measured: statistics by case.
    """
    return pd.concat([_case(study, labels, case) for case in measured], ignore_index=True)


def curves(study: str, labels: Mapping[str, Any], drawn: Iterable[Curve]) -> pd.DataFrame:
    """Rows of the table of curves, columns CURVES, for the curves of one network; seed is its number in its file."""
    names = {"study": study, "depth": labels["depth"], "seed": labels["replica"]}
    tables = [_points(curve).assign(curve=curve.name, control=curve.control, **names) for curve in drawn]
    return pd.concat(tables, ignore_index=True)[CURVES] if tables else pd.DataFrame(columns=CURVES)


def _case(study: str, labels: Mapping[str, Any], measured: Measured) -> pd.DataFrame:
    name = f"{measured.case}_{CONVOLUTIONAL}" if labels["family"] == CONVOLUTIONAL else measured.case
    known = {"study": study, "case": name, "control": measured.control, "seed": labels["replica"], "setting": np.nan}
    known |= {key: labels[key] for key in NETWORK} | dict.fromkeys(SETTINGS, np.nan)
    if measured.setting:
        column, value = measured.setting
        known |= {"setting": value, column: value}
    values = {"diverged": 0.0, **measured.statistics}
    return long_table(pd.DataFrame([known]), {name: np.asarray(value)[None] for name, value in values.items()})


def _points(curve: Curve) -> pd.DataFrame:
    x, value = np.asarray(curve.x, float), np.asarray(curve.value, float)
    return pd.DataFrame({"x": x, "y": curve.y, "value": value, "error_bound": curve.error_bound})
