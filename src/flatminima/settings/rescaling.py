"""Studies of rescaled networks (Dinh et al. 2017)."""

from typing import Annotated, Literal

from pydantic import Field

from flatminima.settings.base import (
    ASCENDING,
    Count,
    Distinct,
    Grid,
    Hyperparameters,
    Name,
    PositiveFloat,
    Ratio,
    Strict,
)

Demonstration = Literal["volume", "two_layers", "many_directions", "balls", "coordinates", "landscape"]


class Source(Strict):
    """Trained networks of another study."""

    study: Name
    rectified: Name = Field(description="Experiment with ReLU networks, which are rescaled.")
    linear: Name | None = Field(None, description="Experiment with linear networks, whose orbits theory knows.")


class Convolutional(Hyperparameters):
    """A small convolutional network: layers of 3x3 filters, each pooled, and a linear layer."""

    channels: Annotated[list[Count], Field(min_length=1)]
    step_size: PositiveFloat
    seeds: Count
    epochs: Count
    batch_size: Count


class Demonstrations(Hyperparameters):
    """Settings of the theorems of Dinh et al. 2017 (theory.md D1-D7).

    Random rescalings (D1) always are. The others: infinite `volume` (D2), `two_layers` rescaled (D3, D4), sharpness in
    `many_directions` (D5) and in `balls` (D6), other `coordinates` (D7), and a `landscape` over all rescalings (B1).
    """

    shown: Distinct[Demonstration] = Field(description="Besides D1; settings of the others have no effect.")
    seeds: Count = Field(description="Networks of so many seeds, at every step size, are shown.")
    spread: Ratio = Field(description="Largest factor of random rescalings; its inverse is the smallest.")
    alphas: Grid[PositiveFloat] = Field(description="Factors of the first layer; the second is divided by them.")
    boxes: Count = Field(description="Disjoint boxes around rescaled networks.")
    box: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Half their width, relative to the largest weight of the first layer."
    )
    ranges: Annotated[list[Ratio], Field(min_length=2), ASCENDING] = Field(
        description="Largest weight up to which the volume of a minimum is sampled, in a network of two weights."
    )
    draws: Count = Field(description="Samples of each volume.")
    radii: Grid[PositiveFloat] = Field(description="Of balls, for sharpness.")
    ascents: Count = Field(description="Steps of the ascent in a ball.")
    offsets: Grid[PositiveFloat] = Field(description="b of eta = (||u||^2 + b)^a u.")
    exponent: Annotated[float, Field(gt=-0.5, allow_inf_nan=False)] = Field(description="a of the same.")

    def show(self, name: Demonstration) -> bool:
        """Whether it is to be shown."""
        return name in self.shown


class Orbits(Hyperparameters):
    """Settings of the search for the flattest network of an orbit (theory.md B1)."""

    kinds: Grid[Literal["layers", "units"]] = Field(
        description="One scale for each layer, or for each unit or channel."
    )
    tolerance: PositiveFloat = Field(description="Relative gap between value and lower bound.")
    products: Count = Field(description="Largest number of Gauss-Newton products spent on it.")
    spread: Ratio = Field(description="Largest factor of the random rescaling that it must undo.")
    landscape: Annotated[int, Field(ge=3)] = Field(description="Points along each axis of a landscape.")


class RescalingStudy(Strict):
    """Rescalings of trained networks that leave their functions unchanged, and the flattest network of each orbit."""

    kind: Literal["rescaling"]
    title: str
    source: Source
    convolutional: Convolutional | None = None
    demonstrations: Demonstrations
    orbits: Orbits
