"""The ledger of claims: what each paper says, the predicates that decide it, the controls on which they must fail."""

from collections.abc import Collection
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flatminima.claims.controls import Control
from flatminima.claims.deviations import DEVIATIONS
from flatminima.claims.ranges import Condition, Range, Settings
from flatminima.settings.base import Distinct, Grid, Name, PositiveFloat, Strict
from flatminima.settings.parsing import nearest, parse
from flatminima.settings.yaml_files import read_mapping


class Class(StrEnum):
    """Kind of statement that a claim, or one of its criteria, is."""

    THEOREM = "theorem"
    SYMMETRY = "by symmetry"
    MEASURED = "measured"
    PREDICTION = "prediction of ours"


Kind = Annotated[Class, Field(strict=False)]
"""A class as YAML gives it, by its text."""

COUNTED = (Class.MEASURED, Class.PREDICTION)
"""The classes that can fail: their cases decide a verdict."""


class Criterion(Range):
    """Question to the networks of one case, shape and condition.

    Every network has a value: the statistic in its worst layer, as it stands or as a deviation from what the claim
    says, alone or against nulls made from the same network. A theorem asks that all values lie in a range, a share that
    enough do, every other criterion that the 95 % interval of the mean over seeds does.
    """

    name: str = Field(description="What it asks, in a few words.")
    class_: Kind | None = Field(default=None, alias="class", description="Where it is not the claim's.")
    cases: Grid[str] = Field(description="Names of cases; `boxes*` stands for all that begin with boxes.")
    statistic: Name
    relative_to: Name | None = Field(default=None, description="Divide by this statistic of the same layer first.")
    deviation: bool = Field(default=False, description="How far from the claim: |log| of gains, 1 - cosine.")
    against: Distinct[str] = Field(
        default=[],
        description="Controls that are nulls: how much less than the least of theirs a network deviates.",
    )
    minus: str | None = Field(
        default=None,
        description="Less the value in this case, seed by seed; of a control, less the value in the same control.",
    )
    contrast: Name | None = Field(
        default=None,
        description="Of each seed: the value where this statistic is largest, less that where it is least.",
    )
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of the units within the range; the mean over units where absent."
    )
    smallest: PositiveFloat | None = Field(
        default=None, description="The smallest effect worth naming, from the bound inwards; of shares, on either side."
    )
    where: list[Condition] = Field(default=[], description="Conditions that a network must meet to be counted.")
    settings: Settings | None = Field(default=None, description="Settings that it speaks of.")
    condition: Literal["every", "best"] = Field(
        default="every",
        description="Cases of what can fail: every setting, or that of least training loss over seeds, beside which "
        "the others are shown. What cannot is asked of all networks of a shape together.",
    )
    control: Control | None = Field(default=None, description="Required, but where cases hold by symmetry.")

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.bounded:
            raise ValueError(f"the criterion {self.name!r} needs at_least or at_most")
        if self.control is None and self.class_ is not Class.SYMMETRY:
            raise ValueError(f"the criterion {self.name!r} has no control: name networks on which it must fail")
        if without := [case for case in self.cases if self.control and not self.control.of(case)]:
            raise ValueError(f"the criterion {self.name!r} has no control for {without[0]}: add it to `instead`")
        same = [case for case in self.cases if self.control and (case, "") in self.control.of(case)]
        if same and self.control and not (self.control.where or self.control.settings):
            raise ValueError(f"the control of {same[0]} is {same[0]} itself; name other networks")
        if self.deviation and self.statistic not in DEVIATIONS:
            raise ValueError(f"no deviation is defined for {self.statistic}: {nearest(self.statistic, DEVIATIONS)}")
        if self.deviation and self.at_least is not None and not (self.against or self.contrast or self.minus):
            raise ValueError(f"the criterion {self.name!r} asks a deviation to be large; use at_most")
        return self

    def speaks_of(self, case: str) -> bool:
        """Whether a case is one of the criterion's."""
        return any(fnmatchcase(case, pattern) for pattern in self.cases)

    def on_control(self) -> Self:
        """The criterion as it is asked of its control: under the control's conditions, where it names any."""
        control = self.control
        if control is None:
            return self
        where = self.where if control.where is None else control.where
        return self.model_copy(update={"where": where, "settings": control.settings or self.settings})

    def controls_of(self, cases: Collection[str]) -> set[tuple[str, str]]:
        """The networks that are its control where these cases are there, as pairs (case, control)."""
        own = [case for case in cases if self.speaks_of(case)] if self.control else []
        return {pair for case in own if self.control for pair in self.control.of(case)}


class Claim(Strict):
    """One claim of one paper."""

    id: str = Field(pattern=r"^[A-Z]\d+[a-z]?$")
    paper: str
    class_: Kind = Field(alias="class")
    title: str
    statement: str
    scope: str
    caveat: str | None = Field(default=None, description="What is unknown and stands beside the verdict.")
    universal: bool = Field(default=False, description="It speaks of all cases: one counterexample refutes it.")
    predicted: Literal["true", "false"] | None = Field(default=None, description="Of predictions: what we predict.")
    figures: Distinct[str]
    criteria: list[Criterion] = Field(min_length=1)

    @model_validator(mode="after")
    def _classed(self) -> Self:
        if (self.predicted is not None) != (self.class_ is Class.PREDICTION):
            raise ValueError(f"{self.id}: `predicted` belongs to the class {Class.PREDICTION!s}, which needs it")
        for criterion in self.criteria:
            if self.class_of(criterion) in COUNTED and criterion.smallest is None:
                raise ValueError(
                    f"{self.id}: the criterion {criterion.name!r} needs `smallest`, the effect worth naming"
                )
        return self

    def class_of(self, criterion: Criterion) -> Class:
        """The class of one of its criteria."""
        return criterion.class_ or self.class_


class Ledger(Strict):
    """The whole of workflow/claims.yaml."""

    claims: list[Claim]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [claim.id for claim in self.claims]
        if twice := [name for place, name in enumerate(names) if name in names[:place]]:
            raise ValueError(f"claims: the id {twice[0]} is given twice; give each claim its own")
        return self


def load_ledger(path: Path) -> Ledger:
    """Read and validate workflow/claims.yaml.

    Raises:
        UserError: if it is missing, is not YAML or does not fit the schema: if a criterion lacks a control, for one.
    """
    return parse(Ledger, read_mapping(path), str(path))
