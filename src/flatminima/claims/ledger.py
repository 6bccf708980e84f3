"""The ledger of claims: what each paper says, the predicates that decide it, the controls on which they must fail."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flatminima.claims.deviations import DEVIATIONS
from flatminima.settings.base import Distinct, Grid, Name, PositiveFloat, Strict
from flatminima.settings.parsing import nearest, parse
from flatminima.settings.yaml_files import read_mapping


class Class(StrEnum):
    """What kind of statement a claim, or one of its criteria, is."""

    THEOREM = "theorem"
    SYMMETRY = "by symmetry"
    MEASURED = "measured"
    PREDICTION = "prediction of ours"


Kind = Annotated[Class, Field(strict=False)]
"""A class as YAML gives it, by its text."""

COUNTED = (Class.MEASURED, Class.PREDICTION)
"""The classes that can fail: their cases decide a verdict."""


class Condition(Strict):
    """Which networks a criterion speaks of: those whose whole-network statistic lies in a range."""

    statistic: Name
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a condition needs at_least or at_most")
        return self


class Steps(Strict):
    """A range of step fractions (for other studies: of what stands in that column)."""

    at_least: float | None = None
    at_most: float | None = None


class Control(Strict):
    """Networks near those of the criterion, on which it must fail for the reason that matters.

    They meet the criterion's own conditions, unless `where` names others: those of networks that lack the property.
    """

    description: str
    endings: Distinct[str] = Field(default=[], description="Endings of the names of control experiments: -permuted.")
    experiments: dict[str, Distinct[str]] = Field(default={}, description="Control experiments of each experiment.")
    where: list[Condition] | None = Field(default=None, description="Conditions in place of the criterion's.")
    steps: Steps | None = Field(default=None, description="Step sizes in place of the criterion's.")

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if not (self.endings or self.experiments or self.where or self.steps):
            raise ValueError("a control needs endings, experiments, where or steps: it must differ from the case")
        same = [name for name, controls in self.experiments.items() if name in controls]
        if same and not (self.where or self.steps):
            raise ValueError(f"the control of {same[0]} is {same[0]} itself; name other networks")
        return self

    def of(self, experiment: str) -> list[str]:
        """The control experiments of an experiment."""
        named = self.experiments.get(experiment, [experiment + ending for ending in self.endings])
        return named or ([] if self.endings or self.experiments else [experiment])


class Criterion(Strict):
    """What is asked of the networks of one experiment, depth and condition.

    Every network has a value: the statistic in its worst layer, as it stands or as a deviation from what the claim
    says, alone or against nulls made from the same network. A theorem asks that all values lie in a range, a share that
    enough do, every other criterion that the 95 % interval of the mean over seeds does.
    """

    name: str = Field(description="What it asks, in a few words.")
    class_: Kind | None = Field(default=None, alias="class", description="Where it is not the claim's.")
    experiments: Grid[str]
    statistic: Name
    relative_to: Name | None = Field(default=None, description="Divide by this statistic of the same layer first.")
    deviation: bool = Field(default=False, description="How far from the claim: |log| of gains, 1 - cosine.")
    against: Distinct[str] = Field(
        default=[],
        description="Endings of null experiments: how much less than the least of theirs a network deviates.",
    )
    minus: str | None = Field(default=None, description="Less the value in this experiment, seed by seed.")
    contrast: Name | None = Field(
        default=None,
        description="Of each seed: the value where this statistic is largest, less that where it is least.",
    )
    at_least: float | None = None
    at_most: float | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of the units within the range; the mean over units where absent."
    )
    smallest: PositiveFloat | None = Field(
        default=None, description="The smallest effect worth naming, from the bound inwards; of shares, on either side."
    )
    where: list[Condition] = Field(default=[], description="Conditions that a network must meet to be counted.")
    steps: Steps | None = Field(default=None, description="Step sizes that it speaks of.")
    condition: Literal["every", "best"] = Field(
        default="every",
        description="Cases of what can fail: every step size, or that of least training loss over seeds, beside which "
        "the others are shown. What cannot is asked of all networks of a depth together.",
    )
    control: Control | None = Field(default=None, description="Required, but where cases hold by symmetry.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"the criterion {self.name!r} needs at_least or at_most")
        if self.control is None and self.class_ is not Class.SYMMETRY:
            raise ValueError(f"the criterion {self.name!r} has no control: name networks on which it must fail")
        if self.deviation and self.statistic not in DEVIATIONS:
            raise ValueError(f"no deviation is defined for {self.statistic}: {nearest(self.statistic, DEVIATIONS)}")
        if self.deviation and self.at_least is not None and not (self.against or self.contrast or self.minus):
            raise ValueError(f"the criterion {self.name!r} asks a deviation to be large; use at_most")
        return self


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
