"""What a report is made from: the verdicts in claims.json and the count of networks in measures.parquet."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from flatminima.claims.verdicts import Verdict
from flatminima.errors import UserError
from flatminima.settings.parsing import parse

CONTROL_ENDS = (
    *("-unbalanced", "-planted"),
    *("-tanh", "-trained", "-rotated", "-unminimised"),
    *("-negative", "-other_load", "-far"),
)
CONTROL_STARTS = ("catapult_start", "attack_coloured", "enumerated_typical")
SYMBOLS = {
    Verdict.REPRODUCED: "✓",
    Verdict.PARTIAL: "◐",
    Verdict.NOT_REPRODUCED: "✗",
    Verdict.INCONCLUSIVE: "?",
}
MEANINGS = {
    Verdict.REPRODUCED: "The criteria hold in every case, and the control fails, as it must.",
    Verdict.PARTIAL: "The criteria hold in some cases; in others they fail, or there was no network to judge.",
    Verdict.NOT_REPRODUCED: "The criteria fail in every case that could be judged.",
    Verdict.INCONCLUSIVE: "The measurements cannot decide: there was no network to judge, or the control meets the "
    "criteria as well, so that they prove nothing.",
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Case(_Record):
    """One experiment at one depth, put to a criterion.

    Attributes:
        networks: how many were judged.
        excluded: how many did not meet the condition of the criterion.
        diverged: how many diverged.
        share: fraction of `networks` that meet the criterion; None if there are none.
        required: the smallest share that counts.
        median, low, high: median, 5 % and 95 % quantiles over networks of the worst layer's value.
        holds: None if there was no network to judge.
    """

    experiment: str
    depth: int
    networks: int
    excluded: int = 0
    diverged: int = 0
    share: float | None
    required: float
    median: float | None
    low: float | None
    high: float | None
    holds: bool | None


class Criterion(_Record):
    """A predicate on one statistic, and the networks it was put to."""

    statistic: str
    predicate: str
    selection: str
    cases: list[Case]

    @property
    def held(self) -> int:
        """In how many cases the criterion holds."""
        return sum(case.holds is True for case in self.cases)


class Control(_Record):
    """Networks on which the same criteria must fail, and whether they did."""

    description: str
    criteria: list[Criterion]
    fails: bool


class Claim(_Record):
    """One claim of a paper, in our words, with its verdict and everything that the verdict rests on."""

    id: str
    paper: str
    title: str
    statement: str
    scope: str
    verdict: Verdict
    reason: str
    figures: list[str]
    criteria: list[Criterion]
    control: Control


class Ledger(_Record):
    """The claims.json of one study."""

    study: str
    claims: list[Claim]


@dataclass(frozen=True)
class Population:
    """How many networks of one experiment, or of one control, there are, and how many of them diverged.

    Attributes:
        optimiser: empty for networks that were constructed, `subgradient` for searches over minima.
    """

    experiment: str
    task: str
    family: str
    optimiser: str
    networks: int
    diverged: int

    @property
    def control(self) -> bool:
        """Whether criteria must fail here."""
        return self.experiment.endswith(CONTROL_ENDS) or self.experiment.startswith(CONTROL_STARTS)


def read_ledger(path: Path) -> Ledger:
    """Read the verdicts of one study.

    Raises:
        UserError: if the file is missing, is not JSON, or does not have the expected form.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make reproduce` to compute the verdicts") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and run `make reproduce`") from None
    return parse(Ledger, values, str(path))


def read_populations(measures: Path) -> list[Population]:
    """Count the networks of every experiment and control in measures.parquet, sorted by name.

    Raises:
        UserError: if the file is missing or is not a table of measures.
    """
    keys = ["experiment", "task", "family", "optimiser"]
    try:
        frame = pd.read_parquet(
            measures,
            columns=[*keys, "value"],
            filters=[("statistic", "==", "diverged"), ("final", "==", True), ("layer", "==", 0)],
        )
    except FileNotFoundError:
        raise UserError(f"{measures}: no such file; run `make reproduce` to measure the networks") from None
    except ValueError:
        raise UserError(f"{measures}: not a table of measures; delete it and run `make reproduce`") from None
    counts = frame.groupby(keys)["value"].agg(["size", "sum"]).astype(int)
    return [Population(*key, *count) for key, count in zip(counts.index, counts.to_numpy().tolist(), strict=True)]
