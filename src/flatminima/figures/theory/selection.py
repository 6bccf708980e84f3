"""The rows that figures and tables of a theory study are made of: constructed minima, training runs, attempts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from flatminima.claims.findings import Case
from flatminima.claims.ledger import Class
from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed

ROUNDING = 1e-9
"""How far left side / right side of a true inequality may fall below one before it counts as a violation."""
REACHED = {"excess_loss": 0.02, "gradient_norm": 1e-4}
"""Largest excess loss and gradient (relative to its start) at which a run counts as at a minimum."""
PLANTED = "-planted"
ZERO_RESIDUALS = style.FAMILY_COLOUR["residual_linear"]
"""Colour of balanced minima, too: there zero residuals end."""
INPUTS = {"white": "white inputs", "coloured": "inputs not white"}
MAPS = {
    "positive": "symmetric maps with positive eigenvalues",
    "turned": "maps turned by moderate angles",
    "labels": "label tasks of handwritten digits",
    "reflected": "symmetric maps with a negative eigenvalue",
}
"""The end-to-end maps that networks are trained on."""
CONSTRUCTIONS = ("flattest", "balanced", "random", "prescribed")
STARTS = ("residual", "default", "flow", "catapult")
FOUND = [
    *("control", "start", "map", "inputs", "depth"),
    *("step", "effect", "low", "high"),
    *("units", "excluded", "diverged"),
    *("holds", "refutes", "decided"),
]
present = partial(frames.present, cure="run a study of kind theory")


def constructed(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per constructed global minimum.

    Returns:
        Columns construction, inputs, depth, prescribed_ratio, seed, sharpness, minimal_sharpness, sharpness_ratio and
        certificate_gap, the last relative to the minimal sharpness.
    """
    rows = _named(measures[measures["layer"] == 0], CONSTRUCTIONS)
    key = ["initialisation", "task", "depth", "step_fraction", "seed"]
    minima = frames.pivot(rows, ["sharpness", "minimal_sharpness", "sharpness_ratio"], key)
    gaps = rows.loc[rows["statistic"] == "minimal_sharpness", [*key, "error_bound"]]
    minima = minima.merge(gaps, on=key, validate="one_to_one")
    minima["certificate_gap"] = minima.pop("error_bound") / minima["minimal_sharpness"]
    names = {"initialisation": "construction", "task": "inputs", "step_fraction": "prescribed_ratio"}
    return minima.rename(columns=names)


def runs(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per training run, controls left out.

    Returns:
        Columns start, map, inputs, depth, step (in units of 2 / minimal sharpness, NaN for gradient flow), seed,
        diverged, reached (whether the run ended at a minimum, see REACHED) and sharpness_ratio, NaN unless reached.
    """
    rows = _named(measures[measures["layer"] == 0], STARTS)
    key = ["initialisation", "task", "depth", "step_fraction", "seed"]
    table = frames.pivot(rows, ["diverged", "sharpness_ratio", *REACHED], key)
    table = table.rename(columns={"initialisation": "start", "step_fraction": "step"})
    table[["map", "inputs"]] = table.pop("task").str.extract(r"(\w+)_(\w+)").to_numpy()
    reached = pd.concat([table[name] <= limit for name, limit in REACHED.items()], axis=1).all(axis=1)
    ratio = table["sharpness_ratio"].where(reached)
    columns = ["start", "map", "inputs", "depth", "step", "seed", "diverged", "reached", "sharpness_ratio"]
    return table.assign(diverged=table["diverged"] == 1, reached=reached, sharpness_ratio=ratio)[columns]


def attempts(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per attempt to break a statement.

    Returns:
        Columns statement, planted (whether it is the false statement near it), condition, start, depth, seed,
        and approach: left side / right side - 1 at its least.
    """
    chosen = measures["experiment"].str.startswith("attack_") & (measures["statistic"] == "inequality_ratio")
    rows = measures.loc[chosen, ["experiment", "task", "initialisation", "depth", "seed", "value"]]
    rows = rows.assign(approach=rows.pop("value") - 1, planted=rows["experiment"].str.endswith(PLANTED))
    rows.insert(0, "statement", rows.pop("experiment").str.removesuffix(PLANTED))
    return rows.rename(columns={"task": "condition", "initialisation": "start"}).reset_index(drop=True)


def searches(measures: pd.DataFrame) -> pd.DataFrame:
    """The attempts by statement, planted or not, and condition.

    Returns:
        Columns statement, planted, condition, attempts, violations (beyond ROUNDING) and closest, the least approach.
    """
    rows = attempts(measures)
    rows = rows.assign(violation=rows["approach"] < -ROUNDING)
    groups = rows.groupby(["statement", "planted", "condition"])
    return groups.agg(
        attempts=("seed", "size"), violations=("violation", "sum"), closest=("approach", "min")
    ).reset_index()


def selected(claimed: Claimed, measures: pd.DataFrame, claim: str, statistic: str) -> pd.DataFrame:
    """The networks of a claim's criteria on one statistic and of their controls that count, of the measures' tasks.

    Returns:
        Rows of `Claimed.networks`, a network once as case and once as control at most; none of criteria by symmetry.
    """
    rows, known = claimed.networks(claim, statistic), claimed.claim(claim)
    asked = [k for k, criterion in enumerate(known.criteria) if known.class_of(criterion) is not Class.SYMMETRY]
    rows = rows[rows["counted"] & rows["task"].isin(measures["task"].unique())]
    rows = rows[rows["criterion"].isin(asked)]
    network = ["control", "experiment", "depth", "step_fraction", "seed", "task", "initialisation"]
    return rows.drop_duplicates(network).reset_index(drop=True)


def findings(claimed: Claimed, measures: pd.DataFrame, claim: str) -> pd.DataFrame:
    """What the first criterion of a claim on training runs found, and what it found on its control.

    Returns:
        A row for each case of the measures' tasks that decides the verdict, or that is a control: columns control,
        start, map, inputs, depth, step (NaN for gradient flow), effect, low, high (NaN where there are none), units,
        excluded, diverged, and holds, refutes and decided, which are boolean.
    """
    tasks, cases = measures["task"].unique(), [case for case in claimed.cases(claim) if case.counted]
    rows = [_found(case, False) for case in cases] + [_found(case, True) for case in claimed.controls(claim, 0)]
    known = [row for row in rows if f"{row['map']}_{row['inputs']}" in tasks]
    kinds = dict.fromkeys(FOUND[5:9], float) | dict.fromkeys(("control", *FOUND[-3:]), bool)
    return pd.DataFrame(known, columns=FOUND).astype(kinds)


def _found(case: Case, control: bool) -> dict[str, Any]:
    """A row of `findings`."""
    found = next(finding for finding in case.findings if finding.criterion == 0)
    start, kind, inputs = case.case.split("_")
    row = {name: getattr(found, name) for name in ("effect", "low", "high", "excluded", "diverged", "refutes")}
    row |= {
        "control": control,
        "start": start,
        "map": kind,
        "inputs": inputs,
        "depth": case.shape,
        "step": case.setting,
    }
    return row | {"units": found.units, "holds": found.holds is True, "decided": found.holds is not None}


def settled(cases: Sequence[Case]) -> bool | None:
    """Whether all cases hold, or some case refutes what is asked; None where there is no case, or neither is so."""
    if any(case.refutes and case.holds is not None for case in cases):
        return False
    return True if cases and all(case.holds for case in cases) else None


def _named(measures: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The rows of experiments `<name>_<task>`: neither controls nor the starts of catapults."""
    rows = measures[measures["initialisation"].isin(names)]
    return rows[rows["experiment"] == rows["initialisation"] + "_" + rows["task"]]
