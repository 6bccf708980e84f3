"""Verdicts on variations: cases that repeat a baseline with one choice changed, judged by its criteria on its grid."""

import pandas as pd

from flatminima.claims.ledger import Ledger
from flatminima.claims.results import Judgement
from flatminima.claims.verdicts import judge

GRID = ["depth", "setting"]


def judge_alone(ledger: Ledger, measures: pd.DataFrame, case: str, baseline: str) -> list[Judgement]:
    """Judge one case by the criteria that the ledger has for its baseline, unchanged, and by no other's.

    Args:
        ledger: the claims.
        measures: the table of record of a study.
        case: the one to judge; the baseline itself, or a variation of it.
        baseline: the case that the ledger names.

    Returns:
        One judgement for each claim that speaks of the baseline.
    """
    claims = []
    for claim in ledger.claims:
        own = [c.model_copy(update={"cases": [case]}) for c in claim.criteria if c.speaks_of(baseline)]
        claims.append(claim.model_copy(update={"criteria": own}))
    return judge(Ledger(claims=[claim for claim in claims if claim.criteria]), measures)


def on_grid(measures: pd.DataFrame, baseline: str, variation: str) -> pd.DataFrame:
    """The networks of a baseline, and of its controls, at the depths and settings of one of its variations."""
    grid = measures.loc[measures["case"] == variation, GRID].drop_duplicates()
    return measures[measures["case"] == baseline].merge(grid, on=GRID)
