"""Networks of a table of record as claims take them: one row for each, by case, control and shape."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from flatminima.record import IDENTITY, WITHIN, final


class Place(NamedTuple):
    """Place of networks: their case and control, and their number of layers, or of weights of a perceptron."""

    case: str
    control: str
    shape: int


Networks = Mapping[Place, pd.DataFrame]
"""Networks by place: one row each, indexed by those of IDENTITY that the table has; columns (statistic, *WITHIN)."""


def shape_column(measures: pd.DataFrame) -> str:
    """The column by which the cases of a table are told apart: size where there is one, else depth."""
    return "size" if "size" in measures else "depth"


def networks_of(measures: pd.DataFrame) -> Networks:
    """The final networks of a table of record, by place; settings and distances that are missing are 0."""
    rows = final(measures).fillna(dict.fromkeys({"setting", "distance"} & {*measures.columns}, 0.0))
    place = ["case", "control", shape_column(rows)]
    identity, within = ([name for name in names if name in rows] for names in (IDENTITY, WITHIN))
    values = rows.set_index([*place, *identity, "statistic", *within])["value"]
    networks: dict[Place, pd.DataFrame] = {}
    for key, own in values.groupby(place):
        case, control, shape = cast(tuple[str, str, int], key)
        wide = own.reset_index(place, drop=True).unstack(["statistic", *within])  # noqa: PD010
        networks[Place(case, control, int(shape))] = wide
    return networks


def has(networks: pd.DataFrame, statistic: str) -> bool:
    """Whether a statistic was measured on some of the networks."""
    return statistic in networks.columns.unique("statistic")


def whole(networks: pd.DataFrame, statistic: str | None) -> pd.Series:
    """A statistic of whole networks; NaN where it was not measured."""
    of_no_layer = (statistic, *[0] * (networks.columns.nlevels - 1))
    values: pd.Series = networks.get(of_no_layer, pd.Series(np.nan, networks.index))
    return values


def diverged(networks: pd.DataFrame) -> pd.Series:
    """Mask of networks that diverged, or learned nothing."""
    return whole(networks, "diverged") > 0


def settings(networks: pd.Index) -> npt.NDArray[np.float64]:
    """The setting of each network, from their index."""
    values: npt.NDArray[np.float64] = networks.get_level_values("setting").to_numpy()
    return values
