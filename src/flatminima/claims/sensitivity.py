"""Verdicts on experiments that repeat another one with a choice changed: by its criteria, on the same grid."""

from typing import Any

import pandas as pd

from flatminima.claims.ledger import Claim, Control, Criterion, Ledger
from flatminima.claims.verdicts import judge

GRID = ["depth", "step_fraction"]


def judge_alone(ledger: Ledger, measures: pd.DataFrame, experiment: str, baseline: str) -> list[dict[str, Any]]:
    """Judge one experiment by the criteria that the ledger has for its baseline, unchanged, and by no other's.

    Args:
        ledger: the claims.
        measures: the tidy table of a study.
        experiment: the one to judge; the baseline itself, or a variation of it.
        baseline: the experiment that the ledger names.

    Returns:
        As `flatminima.claims.verdicts.judge`: one mapping for each claim that speaks of the baseline.
    """
    claims = [claim for claim in ledger.claims if any(baseline in c.experiments for c in claim.criteria)]
    return judge(Ledger(claims=[_instead(claim, experiment, baseline) for claim in claims]), measures)


def on_grid(measures: pd.DataFrame, baseline: str, variation: str) -> pd.DataFrame:
    """The networks of a baseline, and of its controls, at the depths and step sizes of one of its variations."""
    grid = measures.loc[measures["experiment"] == variation, GRID].drop_duplicates()
    own = measures["experiment"].str.partition("-")[0] == baseline
    return measures[own].merge(grid, on=GRID)


def _instead(claim: Claim, experiment: str, baseline: str) -> Claim:
    """The claim as if one experiment stood where another does, with its own controls, and no third were there."""
    criteria = [
        criterion.model_copy(update={"experiments": [experiment], "control": _control(criterion, experiment, baseline)})
        for criterion in claim.criteria
        if baseline in criterion.experiments
    ]
    return claim.model_copy(update={"criteria": criteria})


def _control(criterion: Criterion, experiment: str, baseline: str) -> Control | None:
    control = criterion.control
    if control is None or baseline not in control.experiments:
        return control
    controls = [_renamed(name, experiment, baseline) for name in control.experiments[baseline]]
    return control.model_copy(update={"experiments": {experiment: controls}})


def _renamed(control: str, experiment: str, baseline: str) -> str:
    """`relu-unbalanced` for `relu`: the control that is made from the experiment's own networks."""
    name, dash, suffix = control.partition("-")
    return f"{experiment}{dash}{suffix}" if name == baseline else control
