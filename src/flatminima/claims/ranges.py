"""Ranges of numbers: bounds of criteria, conditions on networks, settings that are spoken of."""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from flatminima.settings.base import Name, Strict


class Range(Strict):
    """A closed range of numbers, open on the side that is not given."""

    at_least: float | None = None
    at_most: float | None = None

    @property
    def low(self) -> float:
        """Lower end of the range, or minus infinity."""
        return -np.inf if self.at_least is None else self.at_least

    @property
    def high(self) -> float:
        """Upper end of the range, or infinity."""
        return np.inf if self.at_most is None else self.at_most

    @property
    def text(self) -> str:
        """`at least 0.9 and at most 1.1`."""
        bounds = [f"at least {self.at_least:.12g}"] if self.at_least is not None else []
        bounds += [f"at most {self.at_most:.12g}"] if self.at_most is not None else []
        return " and ".join(bounds)

    @property
    def bounded(self) -> bool:
        """Whether either end is given."""
        return self.at_least is not None or self.at_most is not None


class Condition(Range):
    """Networks that a criterion speaks of: those whose whole-network statistic lies in a range."""

    statistic: Name

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not self.bounded:
            raise ValueError("a condition needs at_least or at_most")
        return self


class Settings(Range):
    """Mask of the settings of a case that a criterion speaks of."""

    ends: bool = Field(default=False, description="The smallest and the largest that were run, and none between.")
