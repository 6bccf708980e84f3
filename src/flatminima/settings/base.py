"""Base of all sections of config.yaml: strict models, and the origin of each hyperparameter."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from flatminima.settings.parsing import nearest

T = TypeVar("T")
Origin = Literal["stated", "derived", "chosen"]
LABELS: tuple[Origin, ...] = ("stated", "derived")
"""Keys of a section that list its hyperparameters by where their values come from; all others are chosen."""
DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))})
"""Names that no file can have on Windows, whatever their ending."""


def _each_once(values: list[T]) -> list[T]:
    seen: dict[object, T] = {}
    for value in values:
        label = f"{value:g}" if isinstance(value, float) else value
        if label in seen and seen[label] == value:
            raise ValueError(f"{value!r} is given twice; give each value once")
        if label in seen:
            raise ValueError(f"{seen[label]!r} and {value!r} are both shown as {label}; leave one of them out")
        seen[label] = value
    return values


def _ascending(values: list[Any]) -> list[Any]:
    for lower, upper in pairwise(values):
        if not lower < upper:
            raise ValueError(f"{upper!r} comes after {lower!r}; write the values in ascending order, each once")
    return values


def _names_a_file(name: str) -> str:
    if name in DEVICES:
        raise ValueError(f"{name!r} names a device on Windows, where no file may be called so: choose another name")
    return name


PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
EACH_ONCE, ASCENDING = AfterValidator(_each_once), AfterValidator(_ascending)
"""Validators of a list: no value stands in it twice, or each is larger than the one before it."""
Distinct = Annotated[list[T], Field(json_schema_extra={"uniqueItems": True}), EACH_ONCE]
"""Any number of values, none of them twice: 2 and 2.0 are equal, and so are numbers alike in six digits."""
Grid = Annotated[list[T], Field(min_length=1, json_schema_extra={"uniqueItems": True}), EACH_ONCE]
"""One value at least, none twice: networks, problems or instances are made for each of them."""
Depths = Grid[Annotated[int, Field(ge=1, le=64)]]
DeepDepths = Grid[Annotated[int, Field(ge=2, le=64)]]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), AfterValidator(_names_a_file)]


def _untitled(schema: dict[str, Any]) -> None:
    """Drop titles of keys, which say what their names do."""
    for entry in schema["properties"].values():
        entry.pop("title", None)


class Strict(BaseModel):
    """Base of every section: unknown keys are errors and values are never coerced from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra=_untitled)


class Hyperparameters(Strict):
    """Base of sections with hyperparameters, each `stated` by a paper, `derived` from theory, or `chosen` by us.

    A section lists the names of those stated and of those derived; all others are chosen.
    """

    PARTS: ClassVar[frozenset[str]] = frozenset()
    """Keys that say what a section is, or that are sections of their own: no hyperparameters."""

    stated: Distinct[str] = Field(default=[], description="Hyperparameters whose values a paper states.")
    derived: Distinct[str] = Field(default=[], description="Hyperparameters whose values follow from theory.")

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        for key in LABELS:
            for name in getattr(self, key):
                if name not in self.hyperparameters():
                    raise ValueError(f"`{key}` names {name!r}: {nearest(name, self.hyperparameters())}")
                if getattr(self, name) is None:
                    raise ValueError(f"`{key}` names {name!r}, which has no value: give it one, or take the name out")
        if both := [name for name in self.stated if name in self.derived]:
            raise ValueError(f"{both[0]!r} is both in `stated` and in `derived`: take it out of one of them")
        return self

    @classmethod
    def hyperparameters(cls) -> list[str]:
        """Names of the hyperparameters of a section, whether they are given or not."""
        return [name for name in cls.model_fields if name not in {*LABELS, *cls.PARTS}]

    def origin(self, name: str) -> Origin:
        """Origin of a hyperparameter's value."""
        return next((key for key in LABELS if name in getattr(self, key)), "chosen")


def unlabelled(values: Any) -> Any:
    """Settings as results depend on them: dumped sections without their lists of what is stated and derived."""
    if isinstance(values, dict):
        return {key: unlabelled(value) for key, value in values.items() if key not in LABELS or isinstance(value, dict)}
    return [unlabelled(value) for value in values] if isinstance(values, list) else values
