"""The rows that figures and tables of a rescaling study are made of: networks before and after, controls, curves."""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from flatminima.figures import frames
from flatminima.figures.claimed import Claimed

KEY = ["family", "depth", "seed"]
"""Columns that tell networks apart; seed numbers the networks of a file."""
CURVE = ["curve", "control", "depth", "seed", "x", "y", "value", "error_bound"]
"""Columns of the table of curves without the study."""
Kinds = Mapping[tuple[str, str], str]
"""Names of networks in a figure, by case and control."""
present = partial(frames.present, cure="run a study of kind rescaling")


def networks(
    measures: pd.DataFrame,
    kinds: Kinds,
    statistics: Sequence[str],
    setting: str = "setting",
) -> pd.DataFrame:
    """One row per network, setting and kind: rescaled or as trained, rectifier or tanh.

    Args:
        measures: the long table measures.parquet.
        kinds: the cases and controls, and the kind that each stands for.
        statistics: of whole networks.
        setting: the column that tells the settings of a network apart.

    Returns:
        Columns kind, KEY, the setting, detailed (whether this network was measured at most settings of its depth) and
        the statistics.

    Raises:
        EmptyFigureError: if no network was measured in the first case.
    """
    whole = measures[measures["layer"] == 0]
    tables = [whole[(whole["case"] == case) & (whole["control"] == control)] for case, control in kinds]
    measured = tables[0][tables[0]["statistic"] == statistics[0]].dropna(subset="value")
    present(measured, f"network of case {next(iter(kinds))[0]}")
    named = zip(tables, kinds.values(), strict=True)
    wide = [frames.pivot(rows, statistics, [*KEY, setting]).assign(kind=kind) for rows, kind in named]
    table = pd.concat(wide, ignore_index=True)
    table["detailed"] = _detailed(table, setting)
    return table[["kind", *KEY, setting, "detailed", *statistics]]


def both_families(kinds: Kinds) -> dict[tuple[str, str], str]:
    """The cases and controls, and those of convolutional networks: `boxes_convolutional` belongs to `boxes`."""
    convolutional = {(f"{case}_convolutional", control): kind for (case, control), kind in kinds.items()}
    return dict(kinds) | convolutional


def curves(details: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The curves of some names.

    Returns:
        Columns CURVE.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = details.reindex(columns=CURVE)
    return present(rows[rows["curve"].isin(names)], f"curve {' or '.join(names)}").reset_index(drop=True)


def holds(claimed: Claimed, name: str, *statistics: str) -> bool:
    """Whether the criteria of a claim on some statistics hold in all of its cases, of which there is at least one."""
    numbers = [k for k, criterion in enumerate(claimed.claim(name).criteria) if criterion.statistic in statistics]
    found = [finding.holds for case in claimed.cases(name) for finding in case.findings if finding.criterion in numbers]
    return bool(found) and all(found)


def _detailed(rows: pd.DataFrame, setting: str) -> pd.Series:
    settings = rows.groupby(["depth", "seed"])[setting].nunique()
    chosen = settings.groupby("depth").idxmax()
    return pd.Series(pd.MultiIndex.from_frame(rows[["depth", "seed"]]).isin(chosen), rows.index)
