"""The rows that figures and tables of a theory study are made of: constructed minima, training runs, attempts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from flatminima.claims.findings import Case
from flatminima.claims.ledger import Class
from flatminima.errors import EmptyFigureError
from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed

ROUNDING = 1e-9
"""How far left side / right side of a true inequality may fall below one before it counts as a violation."""
REACHED = {"excess_loss": 0.02, "gradient_norm": 1e-4}
"""Largest excess loss and gradient (relative to its start) at which a run counts as at a minimum."""
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
ATTACKS = ("near", "far")
KICKED = "catapult_start"
"""Beginning of the names of cases that hold the minima from which a catapult starts."""
FOUND = [
    *("as_control", "start", "map", "inputs", "depth"),
    *("step", "effect", "low", "high"),
    *("units", "excluded", "diverged"),
    *("holds", "refutes", "decided"),
]
PROBLEM = ("start", "map", "inputs")
"""Columns of FOUND that the case says."""
present = partial(frames.present, cure="run a study of kind theory")


def of_theory(measures: pd.DataFrame) -> pd.DataFrame:
    """The measures, if they are those of a theory study.

    Raises:
        EmptyFigureError: if they are not.
    """
    if "start" not in measures:
        raise EmptyFigureError("the measures hold no random problems; run a study of kind theory")
    return measures


def whole(measures: pd.DataFrame, starts: Sequence[str]) -> pd.DataFrame:
    """Statistics of whole networks from some starts."""
    rows = of_theory(measures)
    return rows[(rows["layer"] == 0) & rows["start"].isin(starts)]


def constructed(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per constructed global minimum.

    Returns:
        Columns start (how it was constructed), inputs, depth, setting (the prescribed ratio), seed, sharpness,
        minimal_sharpness, sharpness_ratio and certificate_gap, the last relative to the minimal sharpness.
    """
    rows = whole(measures, CONSTRUCTIONS)
    key = ["start", "inputs", "depth", "setting", "seed"]
    minima = frames.pivot(rows, ["sharpness", "minimal_sharpness", "sharpness_ratio"], key)
    gaps = rows.loc[rows["statistic"] == "minimal_sharpness", [*key, "error_bound"]]
    minima = minima.merge(gaps, on=key, validate="one_to_one")
    minima["certificate_gap"] = minima.pop("error_bound") / minima["minimal_sharpness"]
    return minima


def runs(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per training run, controls left out.

    Returns:
        Columns start, map, inputs, depth, setting (the step size in units of 2 / minimal sharpness, NaN for gradient
        flow), seed, diverged, reached (whether the run ended at a minimum, within REACHED) and sharpness_ratio, NaN
        unless reached.
    """
    ends = frames.trained(whole(measures, STARTS))
    ends = ends[~ends["case"].str.startswith(KICKED)]
    key = ["start", "map", "inputs", "depth", "setting", "seed"]
    table = frames.pivot(ends, ["diverged", "sharpness_ratio", *REACHED], key)
    reached = pd.concat([table[name] <= limit for name, limit in REACHED.items()], axis=1).all(axis=1)
    ratio = table["sharpness_ratio"].where(reached)
    table = table.assign(diverged=table["diverged"] == 1, reached=reached, sharpness_ratio=ratio)
    return table[[*key, "diverged", "reached", "sharpness_ratio"]]


def attempts(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per attempt to break a statement.

    Returns:
        Columns case (the statement), control (`planted` for the false one near it), condition, start, depth, seed, and
        approach: left side / right side - 1 at its least.
    """
    rows = whole(measures, ATTACKS)
    rows = rows[rows["statistic"] == "inequality_ratio"]
    rows = rows.assign(approach=rows["value"] - 1)
    return rows[["case", "control", "condition", "start", "depth", "seed", "approach"]].reset_index(drop=True)


def searches(measures: pd.DataFrame) -> pd.DataFrame:
    """The attempts by statement, control and condition.

    Returns:
        Columns case, control, condition, attempts, violations (beyond ROUNDING) and closest, the least approach.
    """
    rows = attempts(measures)
    rows = rows.assign(violation=rows["approach"] < -ROUNDING)
    groups = rows.groupby(["case", "control", "condition"])
    return groups.agg(
        attempts=("seed", "size"), violations=("violation", "sum"), closest=("approach", "min")
    ).reset_index()


def selected(claimed: Claimed, measures: pd.DataFrame, claim: str, statistic: str) -> pd.DataFrame:
    """The networks of a claim's criteria on one statistic and of their controls that count, of the measures' cases.

    Returns:
        Rows of `Claimed.networks` with the map and inputs of their case, a network once as case and once as control at
        most; none of criteria by symmetry.
    """
    cases = problems(measures)[["case", "map", "inputs"]]
    rows, known = claimed.networks(claim, statistic), claimed.claim(claim)
    asked = [k for k, criterion in enumerate(known.criteria) if known.class_of(criterion) is not Class.SYMMETRY]
    rows = rows[rows["counted"] & rows["criterion"].isin(asked)]
    rows = rows.drop_duplicates(["as_control", "case", "control", "depth", "setting", "seed", "start", "condition"])
    return rows.merge(cases, on="case")


def problems(measures: pd.DataFrame) -> pd.DataFrame:
    """What each case is about: columns case, start, map and inputs; the start of one network where it has several."""
    return of_theory(measures)[["case", "start", "map", "inputs"]].drop_duplicates("case")


def findings(claimed: Claimed, measures: pd.DataFrame, claim: str) -> pd.DataFrame:
    """What the first criterion of a claim on training runs found, and what it found on its control.

    Returns:
        A row for each case of the measures that decides the verdict, or that is a control: columns as_control, start,
        map, inputs, depth, step (NaN for gradient flow), effect, low, high (NaN where there are none), units, excluded,
        diverged, and holds, refutes and decided, which are boolean.
    """
    cases = [case for case in claimed.cases(claim) if case.counted]
    rows = [_found(case, False) for case in cases] + [_found(case, True) for case in claimed.controls(claim, 0)]
    found = pd.DataFrame(rows, columns=["case", *(name for name in FOUND if name not in PROBLEM)])
    kinds = dict.fromkeys(FOUND[5:9], float) | dict.fromkeys(("as_control", *FOUND[-3:]), bool)
    return found.merge(problems(measures), on="case")[FOUND].astype(kinds)


def _found(case: Case, as_control: bool) -> dict[str, Any]:
    """A row of `findings`."""
    found = next(finding for finding in case.findings if finding.criterion == 0)
    row = {name: getattr(found, name) for name in ("effect", "low", "high", "units", "excluded", "diverged", "refutes")}
    row |= {"as_control": as_control, "case": case.case, "depth": case.shape, "step": case.setting}
    return row | {"holds": found.holds is True, "decided": found.holds is not None}


def settled(cases: Sequence[Case]) -> bool | None:
    """Whether all cases hold, or some case refutes what is asked; None where there is no case, or neither is so."""
    if any(case.refutes and case.holds is not None for case in cases):
        return False
    return True if cases and all(case.holds for case in cases) else None
