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
Mask = npt.NDArray[np.bool_]


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
    asked = _asked(criterion, place, networks)
    if criterion.contrast is not None:
        return {None: asked.units(asked.by_seed())}
    if pooled:
        return {None: asked.units(asked.value[asked.counted])}
    values = settings(asked.index)
    found = {float(setting): asked.select(values == setting) for setting in dict.fromkeys(values)}
    return {setting or None: own.units(own.value[own.counted]) for setting, own in found.items()}


def asked_of(criterion: Criterion, place: Place, networks: Networks) -> pd.DataFrame:
    """The networks that a criterion asks about, those of its settings, and which of them count.

    Returns:
        One row per network, indexed as in `networks`: value; dose, the statistic that a contrast orders them by (NaN
        without a contrast); diverged; and counted, whether it has a value and meets the conditions.
    """
    asked = _asked(criterion, place, networks)
    columns = {"value": asked.value, "dose": asked.dose, "diverged": asked.diverged, "counted": asked.counted}
    return pd.DataFrame(columns, asked.index)


@dataclass(frozen=True)
class _Asked:
    """Columns of `asked_of`, and its index."""

    index: pd.Index
    value: Array
    dose: Array
    diverged: Mask
    counted: Mask

    def select(self, chosen: Mask) -> "_Asked":
        diverged, counted = self.diverged[chosen], self.counted[chosen]
        return _Asked(self.index[chosen], self.value[chosen], self.dose[chosen], diverged, counted)

    def units(self, values: Array) -> Units:
        return Units(values, int(self.diverged.sum()), int((~self.counted & ~self.diverged).sum()))

    def by_seed(self) -> Array:
        """One number for each seed that has two networks: its value at the largest dose less that at the smallest."""
        seeds = self.index.get_level_values("seed").to_numpy()[self.counted]
        values, dose = self.value[self.counted], self.dose[self.counted]
        own = [(values[seeds == seed], dose[seeds == seed]) for seed in np.unique(seeds)]
        return np.array([value[by.argmax()] - value[by.argmin()] for value, by in own if len(value) > 1])


def _asked(criterion: Criterion, place: Place, networks: Networks) -> _Asked:
    own = networks[place]
    values = network_values(criterion, place, networks).to_numpy()
    dose, lost = whole(own, criterion.contrast).to_numpy(), diverged(own).to_numpy()
    counted = _eligible(own, criterion.where) & ~lost & ~np.isnan(values)
    counted &= ~np.isnan(dose) | (criterion.contrast is None)
    asked = _Asked(own.index, values, dose, lost, counted)
    return asked.select(_of_settings(settings(own.index), criterion.settings))


def network_values(criterion: Criterion, place: Place, networks: Networks) -> pd.Series:
    """The value of each network: its worst layer's, or how much less it deviates than its nulls; NaN without one."""
    own = _worst_layer(criterion, networks[place])
    if criterion.against:
        nulls = [_at(criterion, place._replace(control=null), networks, own.index) for null in criterion.against]
        own = pd.Series(np.min(nulls, axis=0), own.index) - own
    if criterion.minus is not None:
        alone = criterion.model_copy(update={"minus": None})
        other = Place(criterion.minus, "" if place.case == criterion.minus else place.control, place.shape)
        own = own - (network_values(alone, other, networks).reindex(own.index) if other in networks else np.nan)
    return own


def _at(criterion: Criterion, place: Place, networks: Networks, index: pd.Index) -> Array:
    """Worst layers of the networks of another place that have the settings and seeds of the index."""
    if place not in networks:
        return np.full(len(index), np.nan)
    values: Array = _worst_layer(criterion, networks[place]).reindex(index).to_numpy()
    return values


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


def _eligible(networks: pd.DataFrame, where: Sequence[Condition]) -> Mask:
    eligible = np.ones(len(networks), np.bool_)
    for condition in where:
        values = whole(networks, condition.statistic).to_numpy()
        eligible &= (values >= condition.low) & (values <= condition.high)
    return eligible


def _of_settings(values: Array, asked: Settings | None) -> Mask:
    if asked is None:
        return np.ones(len(values), np.bool_)
    within = (values >= asked.low) & (values <= asked.high)
    return within & ((values == values.min()) | (values == values.max())) if asked.ends else within
