"""What a criterion measures: a number for every unit, seed or instance, of an experiment at one depth and condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from flatminima.claims.deviations import DEVIATIONS
from flatminima.claims.ledger import Condition, Criterion, Steps

Array = npt.NDArray[np.float64]
Shapes = Mapping[tuple[str, int], pd.DataFrame]
"""By (experiment, depth): one row per network, indexed by NETWORK; columns (statistic, layer)."""

NETWORK = ["step_fraction", "seed", "task", "initialisation"]
"""What tells the networks of an experiment and depth apart; a network and its nulls have the same."""


@dataclass(frozen=True)
class Units:
    """The units of one case.

    Attributes:
        values: one for each unit, shape (units,).
        diverged: networks that diverged, or learned nothing.
        excluded: networks that did not meet the conditions of the criterion.
    """

    values: Array
    diverged: int
    excluded: int


def shapes_of(measures: pd.DataFrame) -> Shapes:
    """The final networks of a table of record, by experiment and depth."""
    final = measures[measures["final"]].fillna({"step_fraction": 0.0})
    keys = ["experiment", "depth", *NETWORK, "statistic", "layer"]
    values = final.set_index(keys)["value"]
    shapes: dict[tuple[str, int], pd.DataFrame] = {}
    for shape, rows in values.groupby(["experiment", "depth"]):
        experiment, depth = cast(tuple[str, int], shape)
        networks = rows.droplevel(["experiment", "depth"]).unstack(["statistic", "layer"])  # noqa: PD010
        shapes[experiment, int(depth)] = networks
    return shapes


def root(experiment: str) -> str:
    """The experiment that a control or null is made from: `relu` of `relu-permuted`."""
    return experiment.partition("-")[0]


def measured(criterion: Criterion, experiment: str, depth: int, shapes: Shapes) -> bool:
    """Whether the statistic of a criterion was measured on networks that did not all diverge."""
    networks = shapes.get((experiment, depth))
    if networks is None:
        return False
    return criterion.statistic in networks.columns.unique("statistic") or bool(_diverged(networks).all())


def best_step(experiment: str, depth: int, shapes: Shapes) -> float | None:
    """The step of least mean training loss over seeds, none of which diverged; None if there is none."""
    networks = shapes[root(experiment), depth]
    loss = _whole(networks, "loss")
    means = loss.where(~_diverged(networks), np.inf).fillna(np.inf).groupby(level="step_fraction").mean()
    return float(cast(float, means.idxmin())) if np.isfinite(means.min()) else None


def units_of(
    criterion: Criterion, experiment: str, depth: int, shapes: Shapes, pooled: bool
) -> dict[float | None, Units]:
    """The units of a criterion by condition: by step size, or all under None, as those that take no steps.

    Args:
        criterion: what is measured of each, and which of them count.
        experiment: of the networks.
        depth: of the networks.
        shapes: all networks.
        pooled: take all step sizes together, every network being a unit.
    """
    networks = asked_of(criterion, experiment, depth, shapes)
    if criterion.contrast is not None:
        return {None: _units(networks, _by_seed(networks[networks["counted"]]))}
    if pooled:
        return {None: _units(networks, _values(networks))}
    steps = networks.groupby(level="step_fraction", sort=False)
    return {float(cast(float, step)) or None: _units(rows, _values(rows)) for step, rows in steps}


def asked_of(criterion: Criterion, experiment: str, depth: int, shapes: Shapes) -> pd.DataFrame:
    """The networks that a criterion asks about, those of its step sizes, and which of them count.

    Returns:
        One row per network, indexed by NETWORK: value; dose, the statistic that a contrast orders them by (NaN without
        a contrast); diverged; and counted, whether it has a value and meets the conditions.
    """
    networks = shapes[experiment, depth]
    steps = networks.index.get_level_values("step_fraction").to_series(index=networks.index)
    diverged = _diverged(networks)
    values = network_values(criterion, experiment, depth, shapes)
    dose = _whole(networks, criterion.contrast)
    counted = _eligible(networks, criterion.where) & ~diverged & values.notna()
    counted &= dose.notna() | (criterion.contrast is None)
    table = pd.DataFrame({"value": values, "dose": dose, "diverged": diverged, "counted": counted})
    return table[_within(steps, criterion.steps)]


def network_values(criterion: Criterion, experiment: str, depth: int, shapes: Shapes) -> pd.Series:
    """The value of each network: its worst layer's, or how much less it deviates than its nulls; NaN without one."""
    own = _worst_layer(criterion, shapes[experiment, depth])
    if criterion.against:
        nulls = [_of(criterion, root(experiment) + ending, depth, shapes, own.index) for ending in criterion.against]
        own = pd.concat(nulls, axis=1).min(axis=1, skipna=False) - own
    if criterion.minus is not None:
        alone = criterion.model_copy(update={"minus": None})
        _, dash, ending = experiment.partition("-")
        less = criterion.minus + dash + ending
        measured_there = (less, depth) in shapes
        own = own - (network_values(alone, less, depth, shapes).reindex(own.index) if measured_there else np.nan)
    return own


def _of(criterion: Criterion, experiment: str, depth: int, shapes: Shapes, index: pd.Index) -> pd.Series:
    """Worst layers of another experiment's networks, those of the same steps and seeds."""
    networks = shapes.get((experiment, depth))
    return pd.Series(np.nan, index) if networks is None else _worst_layer(criterion, networks).reindex(index)


def _worst_layer(criterion: Criterion, networks: pd.DataFrame) -> pd.Series:
    """Per network the largest deviation of a layer, or its value farthest out of the criterion's range."""
    if criterion.statistic not in networks.columns.unique("statistic"):
        return pd.Series(np.nan, networks.index)
    values = networks[criterion.statistic]
    if criterion.relative_to is not None:
        values = values / networks[criterion.relative_to]
    table = values.to_numpy()
    if criterion.deviation:
        return pd.Series(DEVIATIONS[criterion.statistic](table).max(axis=1), networks.index)
    low = -np.inf if criterion.at_least is None else criterion.at_least
    high = np.inf if criterion.at_most is None else criterion.at_most
    excess = np.maximum(low - table, table - high)
    return pd.Series(np.take_along_axis(table, excess.argmax(axis=1)[:, None], axis=1)[:, 0], networks.index)


def _diverged(networks: pd.DataFrame) -> pd.Series:
    return networks["diverged", 0] > 0


def _whole(networks: pd.DataFrame, statistic: str | None) -> pd.Series:
    """A statistic of whole networks; NaN where it was not measured."""
    values: pd.Series = networks.get((statistic, 0), pd.Series(np.nan, networks.index))
    return values


def _eligible(networks: pd.DataFrame, where: Sequence[Condition]) -> pd.Series:
    eligible = pd.Series(True, networks.index)
    for condition in where:
        values = _whole(networks, condition.statistic)
        eligible &= values.notna() & _within(values, condition)
    return eligible


def _within(values: pd.Series, bounds: Condition | Steps | None) -> pd.Series:
    low = -np.inf if bounds is None or bounds.at_least is None else bounds.at_least
    high = np.inf if bounds is None or bounds.at_most is None else bounds.at_most
    return values.between(low, high)


def _values(networks: pd.DataFrame) -> Array:
    values: Array = networks.loc[networks["counted"], "value"].to_numpy()
    return values


def _by_seed(counted: pd.DataFrame) -> Array:
    """One number for each seed that has two networks: its value at the largest dose less that at the smallest."""
    effects = []
    for _, own in counted.groupby(level="seed"):
        if len(own) > 1:
            values, dose = own["value"].to_numpy(), own["dose"].to_numpy()
            effects.append(values[dose.argmax()] - values[dose.argmin()])
    return np.array(effects)


def _units(networks: pd.DataFrame, values: Array) -> Units:
    excluded = ~networks["counted"] & ~networks["diverged"]
    return Units(values, int(networks["diverged"].sum()), int(excluded.sum()))
