"""Controls: networks near those of a criterion, on which it must fail."""

from typing import Self

from pydantic import Field, model_validator

from flatminima.claims.ranges import Condition, Settings
from flatminima.settings.base import Distinct, Strict


class Control(Strict):
    """Networks near those of the criterion, on which it must fail for the reason that matters.

    They meet the criterion's own conditions, unless `where` names others: those of networks that lack the property.
    """

    description: str
    controls: Distinct[str] = Field(default=[], description="Controls of the same cases, by the column `control`.")
    instead: dict[str, str] = Field(
        default={}, description="Other cases: what stands in place of the beginning of a case's name."
    )
    cases: Distinct[str] = Field(
        default=[], description="Other cases or their controls, for every case alike: random_white, planted-again."
    )
    where: list[Condition] | None = Field(default=None, description="Conditions in place of the criterion's.")
    settings: Settings | None = Field(default=None, description="Settings in place of the criterion's.")

    @model_validator(mode="after")
    def _differs(self) -> Self:
        named = [bool(names) for names in (self.controls, self.instead, self.cases)]
        if not (any(named) or self.where or self.settings):
            raise ValueError(
                "a control needs controls, instead, cases, where or settings: it must differ from the case"
            )
        if sum(named) > 1:
            raise ValueError("a control names its networks by one of controls, instead and cases; leave the others out")
        return self

    def of(self, case: str) -> list[tuple[str, str]]:
        """The networks that are the control of a case, as pairs (case, control) of the table of record."""
        if self.cases:
            pairs = (name.partition("-") for name in self.cases)
            return [(other, control) for other, _, control in pairs]
        if self.instead:
            return [(new + case.removeprefix(old), "") for old, new in self.instead.items() if case.startswith(old)]
        return [(case, control) for control in self.controls or [""]]
