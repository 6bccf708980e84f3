"""Results of judging the claims of a study: verdicts, cases and findings; claims.json holds them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Self

from flatminima.claims.findings import Case, ClassKey, Finding, Record
from flatminima.claims.intervals import Interval
from flatminima.claims.ledger import Class
from flatminima.claims.words import Words
from flatminima.errors import UserError
from flatminima.settings.parsing import parse


class Verdict(StrEnum):
    """Verdict on a claim, in the words of its class."""

    REPRODUCED = "REPRODUCED"
    PARTIAL = "PARTIAL"
    NOT_REPRODUCED = "NOT REPRODUCED"
    REFUTED = "REFUTED"
    CONFIRMED = "CONFIRMED"
    REFUTED_AS_PREDICTED = "REFUTED AS PREDICTED"
    NOT_CONFIRMED = "NOT CONFIRMED"
    CHECKED = "CHECKED"
    VIOLATED = "VIOLATED"
    BY_SYMMETRY = "BY SYMMETRY"
    INCONCLUSIVE = "INCONCLUSIVE"


class Outcome(Record):
    """Outcome of one criterion on its control, on which it must fail; `broken` says why it proves nothing if not."""

    description: str
    condition: str | None
    fails: bool
    broken: str | None
    cases: list[Case]


class Question(Record):
    """One criterion in words.

    Attributes:
        share: whether its effects are shares of units within the range; else means over units.
        smallest: the smallest effect worth naming.
        condition: which networks it is put to.
    """

    name: str
    class_: ClassKey
    statistic: str
    predicate: str
    share: bool
    smallest: float | None
    condition: str | None
    control: Outcome | None


class Characteristics(Record):
    """Shares of planted populations that a predicate accepts, each with its exact interval.

    Attributes:
        populations: number of populations of each kind.
        size: share, low, high where the property is absent by the criterion that is then accepted most often.
        power: share, low, high where all criteria have the smallest effect worth naming.
        criterion: name of the criterion that gives the size.
        sound: whether the predicate accepts few populations without the property, and most with it.
    """

    populations: int
    size: Interval
    power: Interval
    criterion: str
    sound: bool


class Decisive(Finding):
    """The finding with the least to spare, where it was made, and among how many cases.

    Attributes:
        name: that of the criterion.
        share: whether the effect is the share of units within the range.
    """

    case: str
    shape: int
    setting: float | None
    cases: int
    name: str
    share: bool


class Judgement(Record):
    """One claim, in our words, with its verdict and everything that the verdict rests on."""

    id: str
    paper: str
    title: str
    statement: str
    scope: str
    caveat: str | None
    class_: ClassKey
    figures: list[str]
    verdict: Verdict
    reason: str
    words: Words
    criteria: list[Question]
    cases: list[Case]
    decisive: Decisive | None
    characteristics: Characteristics | None


class Results(Record):
    """Judgements of all claims that speak of one study: the content of its claims.json."""

    study: str
    claims: list[Judgement]

    def of_class(self, class_: Class) -> Self:
        """Judgements of the claims of one class alone."""
        return self.model_copy(update={"claims": [claim for claim in self.claims if claim.class_ is class_]})

    def to_json(self) -> str:
        """Text of claims.json; `read_results` reads it."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, allow_nan=False) + "\n"


def read_results(path: Path) -> Results:
    """Read the claims.json of one study.

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
        return parse(Results, values, str(path))
    except UserError as error:
        raise UserError(f"{error}; if an earlier version made it, run `make reproduce`") from None
