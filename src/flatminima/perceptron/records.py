"""Rows of the tidy tables of a perceptron study."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from flatminima.record import long_table

Values = Mapping[str, ArrayLike]


def rows(
    study: str, experiment: str, load: float, values: Values, *, first: int = 0, size: int = 1, solver: str = ""
) -> pd.DataFrame:
    """Rows of the table of measures: one perceptron, or one typical solution, for each entry of the first axis.

    Column step_fraction holds alpha, column depth the number of weights, column seed the number of the entry.
    Statistics of shape (entries, distances) have distances for layers, or numbers of flips.

    Args:
        study: its name.
        experiment: its name.
        load: alpha.
        values: statistics by name.
        first: number of the first entry.
        size: N; one where it does not matter, as in theory for large N.
        solver: what found the solutions.
    """
    entries = len(np.asarray(next(iter(values.values()))))
    labels: dict[str, Any] = {
        "study": study,
        "experiment": experiment,
        "family": "binary perceptron",
        "task": "storage",
    }
    labels |= {"initialisation": "", "optimiser": solver, "depth": size, "step_size": np.nan, "step": 0}
    labels["final"] = True
    table = pd.DataFrame({"seed": np.arange(entries) + first, "step_fraction": load}).assign(**labels)
    return long_table(table, {"diverged": np.zeros(entries), **values})


def curve(
    study: str,
    experiment: str,
    x: ArrayLike,
    value: ArrayLike,
    y: ArrayLike = 0.0,
    error: ArrayLike = np.nan,
    *,
    size: int = 1,
) -> pd.DataFrame:
    """Rows of the table of curves: study, experiment (the curve's name), depth (N), seed, x, y, value, error_bound."""
    columns: dict[str, Any] = {"study": study, "experiment": experiment, "depth": size, "seed": 0}
    table = pd.DataFrame({"x": np.asarray(x, float), "y": y, "value": np.asarray(value, float), "error_bound": error})
    return table.assign(**columns)
