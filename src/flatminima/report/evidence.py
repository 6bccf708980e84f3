"""What a report is made from: the verdicts in claims.json and the count of networks in measures.parquet."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from flatminima.claims.controls import is_control
from flatminima.claims.intervals import Interval
from flatminima.claims.ledger import COUNTED, Class
from flatminima.claims.verdicts import Verdict
from flatminima.errors import UserError
from flatminima.report.formats import plural
from flatminima.settings.parsing import parse


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Finding(_Record):
    """One criterion in one case.

    Attributes:
        criterion: its place among the criteria of the claim; 0 in the cases of a control.
        units: how many seeds or instances have a value.
        effect, low, high: mean over units, or share of them within the range, with its 95 % interval.
        worst: the value nearest to failing, or farthest out.
        holds: None where it could not be tested.
        diverged, excluded: networks left out.
    """

    criterion: int
    units: int
    effect: float | None
    low: float | None
    high: float | None
    worst: float | None
    holds: bool | None
    diverged: int
    excluded: int


class Case(_Record):
    """All criteria in one experiment at one depth under one condition: a step fraction, or None for all together."""

    experiment: str
    depth: int
    step: float | None
    class_: Class = Field(alias="class")
    counted: bool
    holds: bool | None
    findings: list[Finding]

    def finding(self, criterion: int) -> Finding | None:
        """What a criterion finds here, if it was put to this case."""
        return next((finding for finding in self.findings if finding.criterion == criterion), None)

    def counts(self, name: str) -> str:
        """`units`, `diverged` or `excluded`: one number, or several where the criteria differ."""
        found = dict.fromkeys(getattr(finding, name) for finding in self.findings)
        return ", ".join(f"{count:,}" for count in found)


class Control(_Record):
    """Networks on which one criterion must fail, and why it proves nothing where it does not."""

    description: str
    condition: str | None
    fails: bool
    broken: str | None
    cases: list[Case]


class Criterion(_Record):
    """A predicate in words.

    Attributes:
        share: whether its effects are shares of units within the range; else means over units.
        smallest: the smallest effect worth naming.
        condition: which networks it is put to.
    """

    name: str
    class_: Class = Field(alias="class")
    statistic: str
    predicate: str
    share: bool
    smallest: float | None
    condition: str | None
    control: Control | None


class Characteristics(_Record):
    """Size and power of a claim's predicate on planted populations, and the criterion that gives the size."""

    populations: int
    size: Interval
    power: Interval
    criterion: str
    sound: bool


class Decisive(Finding):
    """The finding with the least to spare, where it was made, and among how many cases."""

    experiment: str
    depth: int
    step: float | None
    cases: int
    name: str
    share: bool


@dataclass(frozen=True)
class Group:
    """Cases of one claim that count alike."""

    title: str
    cases: Sequence[Case]

    @property
    def criteria(self) -> list[int]:
        """The criteria that were put to some of them."""
        return sorted({finding.criterion for case in self.cases for finding in case.findings})

    @property
    def tally(self) -> str:
        """How many hold, fail and could not be tested."""
        held, failed = (sum(case.holds is answer for case in self.cases) for answer in (True, False))
        untested = len(self.cases) - held - failed
        text = f"{held} of {plural(len(self.cases), 'case')} hold{'s' * (len(self.cases) == 1)}"
        return text + f", {failed} fail{'s' * (failed == 1)}" * bool(failed) + f", {untested} untested" * bool(untested)


class Claim(_Record):
    """One claim, in our words, with its verdict and everything that the verdict rests on."""

    id: str
    paper: str
    title: str
    statement: str
    scope: str
    caveat: str | None
    class_: Class = Field(alias="class")
    verdict: Verdict
    reason: str
    figures: list[str]
    criteria: list[Criterion]
    cases: list[Case]
    decisive: Decisive | None
    characteristics: Characteristics | None

    def groups(self) -> Iterator[Group]:
        """The cases that decide first, then those that are shown beside them."""
        can_fail = [case for case in self.cases if case.class_ in COUNTED]
        of_class = {c: [case for case in self.cases if case.class_ is c] for c in (Class.THEOREM, Class.SYMMETRY)}
        groups = (
            Group("Cases that decide", [case for case in can_fail if case.counted]),
            Group("Checks of theorems", of_class[Class.THEOREM]),
            Group("Other steps, shown and not counted", [case for case in can_fail if not case.counted]),
            Group("By symmetry, shown and not counted", of_class[Class.SYMMETRY]),
        )
        return (group for group in groups if group.cases)


class Ledger(_Record):
    """The claims.json of one study."""

    study: str
    claims: list[Claim]

    def of_class(self, class_: Class) -> Self:
        """With the claims of one class alone."""
        return self.model_copy(update={"claims": [claim for claim in self.claims if claim.class_ is class_]})


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
        return is_control(self.experiment)


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
    try:
        return parse(Ledger, values, str(path))
    except UserError as error:
        raise UserError(f"{error}; if an earlier version made it, run `make reproduce`") from None


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
