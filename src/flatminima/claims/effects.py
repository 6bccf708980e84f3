"""Values that a criterion measures: one for each unit, seed or instance, of a case of one shape and condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from flatminima.claims.deviations import DEVIATIONS
from flatminima.claims.ledger import Criterion
from flatminima.claims.networks import Networks, Place, diverged, has, settings, whole
from flatminima.claims.ranges import Condition, Settings

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """The units of one case.

    Attributes:
        values: one for each unit, shape (units,).
        diverged: number of networks that diverged, or learned nothing.
        excluded: number of networks that did not meet the conditions of the criterion.
    """

    values: Array
    diverged: int
    excluded: int


def measured(criterion: Criterion, networks: pd.DataFrame) -> bool:
    """Whether the statistic of a criterion was measured, or all networks diverged."""
    return has(networks, criterion.statistic) or bool(diverged(networks).all())


def best_setting(networks: pd.DataFrame) -> float | None:
    """The setting of least mean training loss over seeds, none of which diverged; None if there is none."""
    loss = whole(networks, "loss")
    means = loss.where(~diverged(networks), np.inf).fillna(np.inf).groupby(level="setting").mean()
    return float(cast(float, means.idxmin())) if np.isfinite(means.min()) else None


def units_of(criterion: Criterion, place: Place, networks: Networks, pooled: bool) -> dict[float | None, Units]:
    """The units of a criterion by condition: by setting, or all under None, as those that have none.

    Args:
        criterion: what is measured of each, and which of them count.
        place: where the networks stand.
        networks: all networks.
        pooled: take all settings together, every network being a unit.
    """
    table = asked_of(criterion, place, networks)
    if criterion.contrast is not None:
        return {None: _units(table, _by_seed(table[table["counted"]]))}
    if pooled:
        return {None: _units(table, _values(table))}
    groups = table.groupby(level="setting", sort=False)
    return {float(cast(float, setting)) or None: _units(rows, _values(rows)) for setting, rows in groups}


def asked_of(criterion: Criterion, place: Place, networks: Networks) -> pd.DataFrame:
    """The networks that a criterion asks about, those of its settings, and which of them count.

    Returns:
        One row per network, indexed as in `networks`: value; dose, the statistic that a contrast orders them by (NaN
        without a contrast); diverged; and counted, whether it has a value and meets the conditions.
    """
    own = networks[place]
    values, dose, lost = network_values(criterion, place, networks), whole(own, criterion.contrast), diverged(own)
    counted = _eligible(own, criterion.where) & ~lost & values.notna()
    counted &= dose.notna() | (criterion.contrast is None)
    table = pd.DataFrame({"value": values, "dose": dose, "diverged": lost, "counted": counted})
    return table[_of_settings(settings(own), criterion.settings)]


def network_values(criterion: Criterion, place: Place, networks: Networks) -> pd.Series:
    """The value of each network: its worst layer's, or how much less it deviates than its nulls; NaN without one."""
    own = _worst_layer(criterion, networks[place])
    if criterion.against:
        nulls = [_at(criterion, place._replace(control=null), networks, own.index) for null in criterion.against]
        own = pd.concat(nulls, axis=1).min(axis=1, skipna=False) - own
    if criterion.minus is not None:
        alone = criterion.model_copy(update={"minus": None})
        other = Place(criterion.minus, "" if place.case == criterion.minus else place.control, place.shape)
        own = own - (network_values(alone, other, networks).reindex(own.index) if other in networks else np.nan)
    return own


def _at(criterion: Criterion, place: Place, networks: Networks, index: pd.Index) -> pd.Series:
    """Worst layers of the networks of another place that have the settings and seeds of the index."""
    return _worst_layer(criterion, networks[place]).reindex(index) if place in networks else pd.Series(np.nan, index)


def _worst_layer(criterion: Criterion, networks: pd.DataFrame) -> pd.Series:
    """Per network the largest deviation of a layer, or its value farthest out of the criterion's range."""
    if not has(networks, criterion.statistic):
        return pd.Series(np.nan, networks.index)
    values = networks[criterion.statistic]
    if criterion.relative_to is not None:
        values = values / networks[criterion.relative_to]
    table = values.to_numpy()
    if criterion.deviation:
        return pd.Series(DEVIATIONS[criterion.statistic](table).max(axis=1), networks.index)
    excess = np.maximum(criterion.low - table, table - criterion.high)
    return pd.Series(np.take_along_axis(table, excess.argmax(axis=1)[:, None], axis=1)[:, 0], networks.index)


def _eligible(networks: pd.DataFrame, where: Sequence[Condition]) -> pd.Series:
    eligible = pd.Series(True, networks.index)
    for condition in where:
        values = whole(networks, condition.statistic)
        eligible &= values.notna() & values.between(condition.low, condition.high)
    return eligible


def _of_settings(values: pd.Series, asked: Settings | None) -> pd.Series:
    if asked is None:
        return pd.Series(True, values.index)
    within = values.between(asked.low, asked.high)
    return within & values.isin([values.min(), values.max()]) if asked.ends else within


def _values(table: pd.DataFrame) -> Array:
    values: Array = table.loc[table["counted"], "value"].to_numpy()
    return values


def _by_seed(counted: pd.DataFrame) -> Array:
    """One number for each seed that has two networks: its value at the largest dose less that at the smallest."""
    effects = []
    for _, own in counted.groupby(level="seed"):
        if len(own) > 1:
            values, dose = own["value"].to_numpy(), own["dose"].to_numpy()
            effects.append(values[dose.argmax()] - values[dose.argmin()])
    return np.array(effects)


def _units(table: pd.DataFrame, values: Array) -> Units:
    excluded = ~table["counted"] & ~table["diverged"]
    return Units(values, int(table["diverged"].sum()), int(excluded.sum()))
