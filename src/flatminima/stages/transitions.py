"""Margins and loads at which the local entropy of the binary perceptron changes its shape (theory.md 3.3)."""

from pathlib import Path

import pandas as pd
from numpy.typing import ArrayLike

from flatminima.perceptron.replica import capacity, maximal_margin
from flatminima.perceptron.rows import curve, rows
from flatminima.perceptron.thresholds import (
    connected_load,
    connected_margins,
    isolation_distance,
    monotone_load,
    monotone_margins,
)
from flatminima.perceptron.typical import Tables
from flatminima.settings.perceptron import ReplicaTheory
from flatminima.stages.files import write_tables


def transitions(study: str, settings: ReplicaTheory, measures: Path, curves: Path) -> None:
    """Compute the thresholds of the local entropy.

    Args:
        study: the study's name.
        settings: loads.
        measures: table to write.
        curves: table to write.
    """
    write_tables((measures, curves), thresholds(study, settings))


def thresholds(study: str, settings: ReplicaTheory) -> Tables:
    """Thresholds by load, and the loads at which even solutions of maximal margin lose a property.

    Returns:
        Rows of case `thresholds` with statistics connected_load, monotone_load and capacity, and curves
        `isolation_distance`, `connected_margin`, `monotone_margin` and `maximal_margin` over x = alpha, and
        `connected_load` and `monotone_load`, one point each: x = alpha, value = margin.
    """
    loads = settings.loads
    gap, kink = connected_load(), monotone_load()
    found: dict[str, ArrayLike] = {
        "isolation_distance": [isolation_distance(load) for load in loads],
        "connected_margin": [tangency.margin for tangency in connected_margins(loads)],
        "monotone_margin": [tangency.margin for tangency in monotone_margins(loads)],
        "maximal_margin": maximal_margin(loads),
    }
    curves = [curve(study, name, loads, values) for name, values in found.items()]
    curves += [
        curve(study, name, [t.alpha], [t.margin]) for name, t in (("connected_load", gap), ("monotone_load", kink))
    ]
    values = {"connected_load": [gap.alpha], "monotone_load": [kink.alpha], "capacity": [float(capacity())]}
    return rows(study, "thresholds", gap.alpha, values), pd.concat(curves, ignore_index=True)
