"""The rows that figures and tables of a rescaling study are made of: networks before and after, controls, curves."""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from flatminima.figures import frames
from flatminima.figures.claimed import Claimed

KEY = ["family", "depth", "seed"]
"""Tells networks apart; column seed numbers the networks of a file."""
CURVE = ["experiment", "depth", "seed", "x", "y", "value", "error_bound"]
present = partial(frames.present, cure="run a study of kind rescaling")


def networks(
    measures: pd.DataFrame,
    experiments: Mapping[str, str],
    statistics: Sequence[str],
    setting: str = "setting",
) -> pd.DataFrame:
    """One row per network, setting and kind: rescaled or as trained, rectifier or tanh.

    Args:
        measures: the long table measures.parquet.
        experiments: the experiments and the kind that each stands for.
        statistics: of whole networks.
        setting: what column step_fraction holds.

    Returns:
        Columns kind, KEY, the setting, detailed (whether this network was measured at most settings of its depth) and
        the statistics.

    Raises:
        EmptyFigureError: if no network was measured in the first experiment.
    """
    rows, first = measures[measures["layer"] == 0], next(iter(experiments))
    tables = [
        frames.pivot(rows[rows["experiment"] == name], statistics, [*KEY, "step_fraction"]).assign(kind=kind)
        for name, kind in experiments.items()
    ]
    present(tables[0].dropna(subset=[statistics[0]]), f"network of experiment {first}")
    table = pd.concat(tables, ignore_index=True).rename(columns={"step_fraction": setting})
    table["detailed"] = _detailed(table, setting)
    return table[["kind", *KEY, setting, "detailed", *statistics]]


def both_families(experiments: Mapping[str, str]) -> dict[str, str]:
    """The experiments, and those on convolutional networks: `boxes_convolutional-tanh` belongs to `boxes-tanh`."""
    stems = {name: name.partition("-") for name in experiments}
    convolutional = {f"{stem}_convolutional{dash}{control}": name for name, (stem, dash, control) in stems.items()}
    return dict(experiments) | {name: experiments[known] for name, known in convolutional.items()}


def curves(details: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The curves of some names.

    Returns:
        Columns experiment (the curve's name), depth, seed, x, y, value and error_bound.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = details.reindex(columns=CURVE)
    return present(rows[rows["experiment"].isin(names)], f"curve {' or '.join(names)}").reset_index(drop=True)


def holds(claimed: Claimed, name: str, *statistics: str) -> bool:
    """Whether the criteria of a claim on some statistics hold in all of its cases, of which there is at least one."""
    numbers = [k for k, criterion in enumerate(claimed.claim(name).criteria) if criterion.statistic in statistics]
    found = [finding.holds for case in claimed.cases(name) for finding in case.findings if finding.criterion in numbers]
    return bool(found) and all(found)


def _detailed(rows: pd.DataFrame, setting: str) -> pd.Series:
    settings = rows.groupby(["depth", "seed"])[setting].nunique()
    chosen = settings.groupby("depth").idxmax()
    return pd.Series(pd.MultiIndex.from_frame(rows[["depth", "seed"]]).isin(chosen), rows.index)
