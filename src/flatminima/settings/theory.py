"""Studies of random linear problems, on which theory is checked and attacked."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flatminima.settings.base import (
    ASCENDING,
    Count,
    DeepDepths,
    Depths,
    Grid,
    Name,
    PositiveFloat,
    Ratio,
    Sourced,
    Strict,
)

Statement = Literal["attack_white", "attack_coloured", "attack_bound", "attack_path", "attack_band"]
Start = Literal["residual", "flow", "default", "catapult"]


class Condition(Strict):
    """A kind of random linear problem: a map T of d_x inputs and d_y outputs, and a covariance Sx of the inputs."""

    inputs: Count = Field(description="d_x.")
    outputs: Count = Field(description="d_y.")
    hidden: Count = Field(description="Width of all hidden layers.")
    rank: Count = Field(description="Rank of T.")
    spread: Ratio = Field(description="Largest over smallest nonzero singular value of T.")
    ill: Ratio = Field(description="Largest over smallest eigenvalue of Sx; 1 for white inputs.")

    @model_validator(mode="after")
    def _rank_fits(self) -> Self:
        if self.rank > (narrowest := min(self.inputs, self.outputs, self.hidden)):
            raise ValueError(f"rank is {self.rank}: no layer may be narrower, and the narrowest has {narrowest} units")
        return self


class Attack(Strict):
    """Searches for a global minimum that breaks what theory says of all of them."""

    conditions: Sourced[Annotated[dict[Name, Condition], Field(min_length=1)]]
    depths: Sourced[DeepDepths]
    attempts: Sourced[Count] = Field(description="For every condition, depth and statement.")
    steps: Sourced[Count] = Field(description="Subgradient steps of every attempt.")
    controls: Sourced[Count] = Field(description="Attempts of the same kind to break a false statement near each.")


class Minima(Strict):
    """Global minima constructed on random problems."""

    condition: Sourced[Condition]
    depths: Sourced[Depths]
    instances: Sourced[Count] = Field(description="Random problems at every depth, with white and with other inputs.")
    draws: Sourced[Count] = Field(description="Random minima of every problem.")
    scale: Sourced[PositiveFloat] = Field(description="Standard deviation of their logarithmic scales.")
    ratios: Sourced[Grid[Ratio]] = Field(description="Prescribed sharpness, relative to the least.")


class Convergence(Strict):
    """Where gradient descent and gradient flow end on random problems."""

    size: Sourced[Count] = Field(description="Width of all layers for random maps; label tasks have nine units.")
    spread: Sourced[Ratio] = Field(description="Largest over smallest singular value of T.")
    ill: Sourced[Ratio] = Field(description="Largest over smallest eigenvalue of Sx, where inputs are not white.")
    depths: Sourced[DeepDepths]
    instances: Sourced[Count] = Field(description="Problems of every kind and depth; label tasks share out the digits.")
    step_sizes: Sourced[Grid[PositiveFloat]] = Field(description="Multiples of 2 / (minimal sharpness).")
    steps: Sourced[Count] = Field(description="Largest number of steps.")
    flow_time: Sourced[Count] = Field(description="Duration of the flow, in critical steps of each problem.")
    tolerance: Sourced[PositiveFloat] = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )
    growing_steps: Sourced[Annotated[list[PositiveFloat], Field(min_length=1), ASCENDING]] = Field(
        description="Step sizes of the catapult, one after the other, in the same unit."
    )
    start_ratio: Sourced[Ratio] = Field(description="Sharpness of the minima that the catapult starts near.")
    kick: Sourced[PositiveFloat] = Field(description="Distance from them, relative to the weights.")


class Price(Strict):
    """How much sharper than necessary the balanced minimum of a problem is, against the condition of its inputs."""

    ill: Sourced[Grid[Annotated[float, Field(gt=1, allow_inf_nan=False)]]] = Field(
        description="Largest over smallest eigenvalue of Sx."
    )
    depths: Sourced[DeepDepths]
    searched: Sourced[Grid[Annotated[int, Field(ge=2, le=5)]]] = Field(
        description="Dimensions d_x = d_y in which the dearest problem is searched."
    )
    restarts: Sourced[Count] = Field(description="Searches for every condition, depth and dimension.")
    evaluations: Sourced[Count] = Field(description="Largest number of problems that a search tries.")
    drawn: Sourced[Count] = Field(description="Dimension d_x = d_y of random problems.")
    spread: Sourced[Ratio] = Field(description="Largest over smallest singular value of their maps.")
    instances: Sourced[Count] = Field(description="Random problems for every condition and depth.")


class ScaledResidual(Strict):
    """Linear residual networks with a fixed last projection: the sweep of Marion & Chizat 2024, of public code."""

    samples: Sourced[Count]
    inputs: Sourced[Annotated[int, Field(ge=2)]]
    noise: Sourced[PositiveFloat] = Field(description="Standard deviation of the labels' noise.")
    depth: Sourced[Annotated[int, Field(ge=2, le=64)]] = Field(description="Trained layers.")
    scales: Sourced[Annotated[int, Field(ge=2)]] = Field(description="Scales of the start, evenly from 0.")
    largest_scale: Sourced[PositiveFloat]
    step_sizes: Sourced[Grid[PositiveFloat]]
    steps: Sourced[Count]
    repeats: Sourced[Count] = Field(description="Problems; each is trained once from each scale, with each step size.")
    tolerance: Sourced[PositiveFloat] = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )


class TheoryStudy(Strict):
    """Random linear problems on which theory is checked and attacked; needs no data."""

    kind: Literal["theory"]
    title: str
    statements: Sourced[Grid[Statement]] = Field(
        description="What is attacked: theory.md I2 on white inputs, the same on others, I3, I4 and I5."
    )
    attack: Attack
    minima: Minima
    starts: Sourced[Grid[Start]] = Field(description="Where training starts.")
    convergence: Convergence
    price: Price
    scaled_residual: ScaledResidual
