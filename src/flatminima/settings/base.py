"""What all sections of config.yaml share: strictness, and where each hyperparameter comes from."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Depths = Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(min_length=1)]
DeepDepths = Annotated[list[Annotated[int, Field(ge=2, le=64)]], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Strict(BaseModel):
    """Base of every section: unknown keys are errors and values are never coerced from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sourced(Strict, Generic[T]):
    """A hyperparameter and where it comes from: `stated` by the paper, `derived` from theory, `chosen` by us."""

    value: T
    source: Literal["stated", "derived", "chosen"]
