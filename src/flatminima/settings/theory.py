"""Studies of random linear problems, on which theory is checked and attacked."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flatminima.settings.base import (
    ASCENDING,
    Count,
    DeepDepths,
    Depths,
    Grid,
    Hyperparameters,
    Name,
    PositiveFloat,
    Ratio,
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


class Attack(Hyperparameters):
    """Searches for a global minimum that breaks what theory says of all of them."""

    conditions: Annotated[dict[Name, Condition], Field(min_length=1)]
    depths: DeepDepths
    attempts: Count = Field(description="For every condition, depth and statement.")
    steps: Count = Field(description="Subgradient steps of every attempt.")
    controls: Count = Field(description="Attempts of the same kind to break a false statement near each.")


class Minima(Hyperparameters):
    """Global minima constructed on random problems."""

    condition: Condition
    depths: Depths
    instances: Count = Field(description="Random problems at every depth, with white and with other inputs.")
    draws: Count = Field(description="Random minima of every problem.")
    scale: PositiveFloat = Field(description="Standard deviation of their logarithmic scales.")
    ratios: Grid[Ratio] = Field(description="Prescribed sharpness, relative to the least.")


class Convergence(Hyperparameters):
    """Runs of gradient descent and gradient flow on random problems."""

    size: Count = Field(description="Width of all layers for random maps; label tasks have nine units.")
    spread: Ratio = Field(description="Largest over smallest singular value of T.")
    ill: Ratio = Field(description="Largest over smallest eigenvalue of Sx, where inputs are not white.")
    depths: DeepDepths
    instances: Count = Field(description="Problems of every kind and depth; label tasks share out the digits.")
    step_sizes: Grid[PositiveFloat] = Field(description="Multiples of 2 / (minimal sharpness).")
    steps: Count = Field(description="Largest number of steps.")
    flow_time: Count = Field(description="Duration of the flow, in critical steps of each problem.")
    tolerance: PositiveFloat = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )
    growing_steps: Annotated[list[PositiveFloat], Field(min_length=1), ASCENDING] = Field(
        description="Step sizes of the catapult, one after the other, in the same unit."
    )
    start_ratio: Ratio = Field(description="Sharpness of the minima that the catapult starts near.")
    kick: PositiveFloat = Field(description="Distance from them, relative to the weights.")


class Price(Hyperparameters):
    """Price of balance: sharpness of the balanced minimum over the least, against the condition of the inputs."""

    ill: Grid[Annotated[float, Field(gt=1, allow_inf_nan=False)]] = Field(
        description="Largest over smallest eigenvalue of Sx."
    )
    depths: DeepDepths
    searched: Grid[Annotated[int, Field(ge=2, le=5)]] = Field(
        description="Dimensions d_x = d_y in which the dearest problem is searched."
    )
    restarts: Count = Field(description="Searches for every condition, depth and dimension.")
    evaluations: Count = Field(description="Largest number of problems that a search tries.")
    drawn: Count = Field(description="Dimension d_x = d_y of random problems.")
    spread: Ratio = Field(description="Largest over smallest singular value of their maps.")
    instances: Count = Field(description="Random problems for every condition and depth.")


class ScaledResidual(Hyperparameters):
    """Linear residual networks with a fixed last projection: the sweep of Marion & Chizat 2024, of public code."""

    samples: Count
    inputs: Annotated[int, Field(ge=2)]
    noise: PositiveFloat = Field(description="Standard deviation of the labels' noise.")
    depth: Annotated[int, Field(ge=2, le=64)] = Field(description="Trained layers.")
    scales: Annotated[int, Field(ge=2)] = Field(description="Scales of the start, evenly from 0.")
    largest_scale: PositiveFloat
    step_sizes: Grid[PositiveFloat]
    steps: Count
    repeats: Count = Field(description="Problems; each is trained once from each scale, with each step size.")
    tolerance: PositiveFloat = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )


class TheoryStudy(Hyperparameters):
    """Random linear problems on which theory is checked and attacked; needs no data."""

    PARTS = frozenset({"kind", "title", "attack", "minima", "convergence", "price", "scaled_residual"})

    kind: Literal["theory"]
    title: str
    statements: Grid[Statement] = Field(
        description="What is attacked: theory.md I2 on white inputs, the same on others, I3, I4 and I5."
    )
    attack: Attack
    minima: Minima
    starts: Grid[Start] = Field(description="Where training starts.")
    convergence: Convergence
    price: Price
    scaled_residual: ScaledResidual
