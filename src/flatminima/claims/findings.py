"""Findings: outcomes of criteria in cases, in memory and in claims.json."""

import math
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PlainSerializer, computed_field

from flatminima.claims.ledger import Class
from flatminima.record import full_name


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


Number = Annotated[float | None, PlainSerializer(_finite)]
"""A number, or None; JSON cannot hold infinities and has null in their place."""
ClassKey = Annotated[Class, Field(validation_alias=AliasChoices("class", "class_"), serialization_alias="class")]
"""A class, under the key `class`, which Python keeps for itself."""


class Record(BaseModel):
    """Base of all that claims.json holds."""

    model_config = ConfigDict(frozen=True)


class Finding(Record):
    """Outcome of one criterion in one case.

    Attributes:
        criterion: its place among the criteria of the claim; 0 in the cases of a control.
        by_unit: one value for each unit, in memory alone: empty when read from claims.json.
        units: number of seeds or instances with a value.
        effect, low, high: mean over units or share of them within the range, and its 95 % interval; None without units.
        worst: the unit's value nearest to failing, or farthest out; None without units.
        holds: None where it cannot be decided.
        refutes: whether the interval lies wholly outside what is asked.
        diverged, excluded: numbers of networks left out.
    """

    criterion: int
    by_unit: tuple[float, ...] = Field(default=(), exclude=True, repr=False)
    units: int
    effect: Number
    low: Number
    high: Number
    worst: Number
    holds: bool | None
    refutes: bool = False
    diverged: int
    excluded: int


class Case(Record):
    """Outcome of all criteria of a claim in one case of one shape under one condition.

    Attributes:
        case, control: as in the table of record.
        shape: number of layers, or of weights of a perceptron.
        setting: the number that conditions the case; None for all together, or where there is none.
        counted: whether it decides the verdict.
    """

    case: str
    control: str
    shape: int
    setting: float | None
    class_: ClassKey
    counted: bool
    findings: list[Finding]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def holds(self) -> bool | None:
        """Whether all criteria hold; None where none fails and some cannot be decided."""
        answers = [finding.holds for finding in self.findings]
        return False if False in answers else None if None in answers else True

    @property
    def refutes(self) -> bool:
        """Whether some criterion's interval lies wholly outside what is asked."""
        return any(finding.refutes for finding in self.findings)

    @property
    def name(self) -> str:
        """Name of the case, or of its control: `linear`, `linear-unbalanced`."""
        return full_name(self.case, self.control)

    def finding(self, criterion: int) -> Finding | None:
        """Outcome of a criterion, if it was put to this case."""
        return next((finding for finding in self.findings if finding.criterion == criterion), None)

    def counts(self, name: str) -> str:
        """`units`, `diverged` or `excluded`: one number, or several where the criteria differ."""
        return ", ".join(f"{count:,}" for count in dict.fromkeys(getattr(found, name) for found in self.findings))
