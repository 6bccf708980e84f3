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
    loss = networks.get(("loss", 0), pd.Series(np.nan, networks.index))
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
    networks = shapes[experiment, depth]
    diverged = _diverged(networks)
    inside = _within(networks.index.get_level_values("step_fraction").to_series(index=networks.index), criterion.steps)
    eligible = _eligible(networks, criterion.where) & ~diverged & inside
    values = network_values(criterion, experiment, depth, shapes)
    eligible &= values.notna()
    if criterion.contrast is not None:
        dose = networks.get((criterion.contrast, 0), pd.Series(np.nan, networks.index))
        eligible &= dose.notna()
        return {None: _by_seed(values[eligible], dose[eligible], networks[inside].index, diverged[inside])}
    if pooled:
        return {None: _units(values, eligible, diverged & inside, inside)}
    return {
        step or None: _units(values[at], eligible[at], diverged[at], inside[at])
        for step, at in _steps(networks.index[inside], networks.index).items()
    }


def network_values(criterion: Criterion, experiment: str, depth: int, shapes: Shapes) -> pd.Series:
    """The value of each network: its worst layer's, or how much less it deviates than its nulls; NaN without one."""
    own = _worst_layer(criterion, shapes[experiment, depth])
    if criterion.against:
        nulls = [_of(criterion, root(experiment) + ending, depth, shapes, own.index) for ending in criterion.against]
        own = pd.concat(nulls, axis=1).min(axis=1, skipna=False) - own
    if criterion.minus is not None:
        alone = criterion.model_copy(update={"minus": None})
        _, dash, ending = experiment.partition("-")
        other = network_values(alone, criterion.minus + dash + ending, depth, shapes)
        own = own - other.reindex(own.index)
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


def _eligible(networks: pd.DataFrame, where: Sequence[Condition]) -> pd.Series:
    eligible = pd.Series(True, networks.index)
    for condition in where:
        values = networks.get((condition.statistic, 0), pd.Series(np.nan, networks.index))
        eligible &= values.notna() & _within(values, condition)
    return eligible


def _within(values: pd.Series, bounds: Condition | Steps | None) -> pd.Series:
    low = -np.inf if bounds is None or bounds.at_least is None else bounds.at_least
    high = np.inf if bounds is None or bounds.at_most is None else bounds.at_most
    return values.between(low, high)


def _units(values: pd.Series, eligible: pd.Series, diverged: pd.Series, inside: pd.Series) -> Units:
    excluded = inside & ~eligible & ~diverged
    return Units(values[eligible].to_numpy(), int(diverged.sum()), int(excluded.sum()))


def _steps(present: pd.Index, index: pd.Index) -> dict[float, npt.NDArray[np.bool_]]:
    """Which networks have each of the step sizes."""
    all_steps = index.get_level_values("step_fraction")
    return {float(step): np.asarray(all_steps == step) for step in present.get_level_values("step_fraction").unique()}


def _by_seed(values: pd.Series, dose: pd.Series, index: pd.Index, diverged: pd.Series) -> Units:
    """One number for each seed that has two networks: its value at the largest dose less that at the smallest."""
    effects = []
    for _, own in dose.groupby(level="seed"):
        if len(own) > 1:
            at_seed = values.loc[own.index].to_numpy()
            effects.append(at_seed[own.to_numpy().argmax()] - at_seed[own.to_numpy().argmin()])
    excluded = len(index) - len(values) - int(diverged.sum())
    return Units(np.array(effects), int(diverged.sum()), excluded)
