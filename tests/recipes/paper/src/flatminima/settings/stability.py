"""Studies of stability: gradient descent beside minima of random quadratic losses (Wu, Ma & E 2018)."""

from typing import Literal

from pydantic import Field

from flatminima.settings.base import Count, Grid, Hyperparameters, PositiveFloat


class Descent(Hyperparameters):
    """Gradient descent beside the minimum of random quadratic losses."""

    dimension: Count = Field(description="Number of weights.")
    instances: Count = Field(description="Number of random losses.")
    steps: Count = Field(description="Number of steps of every run.")
    step_sizes: Grid[PositiveFloat] = Field(description="Multiples of 2 / sharpness.")


class StabilityStudy(Hyperparameters):
    """Random quadratic losses, each with one minimum; needs no data."""

    PARTS = frozenset({"kind", "title", "descent"})

    kind: Literal["stability"]
    title: str
    descent: Descent
