"""The ledger of claims: what each paper says, the predicate that decides it, and the control that must fail."""

from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, model_validator

from flatminima.errors import UserError
from flatminima.settings.base import Name, Strict
from flatminima.settings.parsing import parse


class Condition(Strict):
    """Which networks a criterion speaks of: those whose whole-network statistic is at most a value."""

    statistic: Name
    at_most: float


class Criterion(Strict):
    """A statistic that must lie in a range, in every layer, for a share of the networks of every case.

    A case is one experiment at one depth.
    """

    experiments: list[str] = Field(min_length=1)
    statistic: Name
    at_least: float | None = None
    at_most: float | None = None
    relative_to: Name | None = Field(default=None, description="Divide by this statistic of the same layer first.")
    where: list[Condition] = Field(default=[], description="Conditions that a network must meet to be counted.")
    share: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a criterion needs at_least or at_most")
        return self


class Control(Strict):
    """Networks on which every criterion must fail: if one holds on them too, it proves nothing."""

    description: str
    experiments: dict[str, list[str]] = Field(description="Control experiments that stand in for each experiment.")


class Claim(Strict):
    """One claim of one paper."""

    id: str = Field(pattern=r"^[A-Z]\d+$")
    paper: str
    title: str
    statement: str
    scope: str
    figures: list[str]
    criteria: list[Criterion] = Field(min_length=1)
    control: Control


class Ledger(Strict):
    """The whole of workflow/claims.yaml."""

    claims: list[Claim]


def load_ledger(path: Path) -> Ledger:
    """Read and validate workflow/claims.yaml.

    Raises:
        UserError: if it is missing, is not YAML or does not fit the schema.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    return parse(Ledger, values, str(path))
