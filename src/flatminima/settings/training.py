"""Studies that train networks on images: data, tasks, experiments."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flatminima.settings.base import (
    Count,
    Depths,
    Fraction,
    Grid,
    Hyperparameters,
    Name,
    NonNegativeFloat,
    PositiveFloat,
    Strict,
)
from flatminima.settings.datasets import Dataset
from flatminima.settings.parsing import nearest
from flatminima.settings.tasks import Task
from flatminima.settings.variations import Variation, vary

Initialisation = Literal[
    "pytorch",
    "kaiming_uniform",
    "kaiming_normal",
    "xavier_uniform",
    "xavier_normal",
    "identity",
    "balanced",
    "unbalanced",
]
Family = Literal["linear", "residual_linear", "relu", "fully_convolutional"]
Optimiser = Literal["gradient_descent", "gradient_flow", "sgd", "adam"]

MOMENT_OPTIMISERS = ("gradient_descent", "gradient_flow")
LINEAR_FAMILIES = ("linear", "residual_linear")


class Experiment(Hyperparameters):
    """All replicas (seeds x step sizes) of one network family, at several depths, on one task."""

    PARTS = frozenset({"task", "family", "baseline"})

    task: Name
    family: Family
    depths: Depths
    width: Count | None = Field(
        default=None,
        description="Hidden width, the input size where absent; channels of the hidden layers of convolutional.",
    )
    bias: bool
    initialisation: Initialisation
    start_scale: PositiveFloat | None = Field(
        default=None, description="Factor by which the weights of the start are multiplied; 1 where absent."
    )
    optimiser: Optimiser
    step_unit: Literal["critical", "absolute"] | None = Field(
        default=None, description="critical: multiples of 2 / (minimal sharpness of the linear network of that depth)."
    )
    step_sizes: Grid[PositiveFloat] | None = None
    seeds: Count
    seeds_per_job: Count | None = Field(
        default=None, description="Networks of so many seeds are trained and measured in one job; all where absent."
    )
    steps: Count = Field(description="Largest number of steps; for gradient_flow, time in critical steps.")
    tolerance: NonNegativeFloat = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )
    batch_size: Count | None = None
    plateau: PositiveFloat | None = Field(
        default=None,
        description="For sgd and adam: stop when the mean batch loss of the last quarter of training is less than this "
        "fraction below that of the quarter before it, and below the least loss of linear maps, after one epoch at the "
        "earliest, or go on to the finishing stage; all steps where absent.",
    )
    warmup: Fraction | None = Field(
        default=None,
        description="Over this fraction of the steps, the first ones, the step size rises linearly from zero.",
    )
    finish: Fraction | None = Field(
        default=None,
        description="A finishing stage of this fraction of the steps, the last ones: gradient_descent takes half the "
        "step size, that of sgd and adam falls linearly to zero. With `plateau`, it begins where that is reached.",
    )
    snapshots: Annotated[int, Field(ge=0)] = Field(description="Networks kept along training, log-spaced.")
    unbalance: PositiveFloat | None = Field(
        default=None,
        description="Also measure a control: the same functions with unbalanced layers (log-scale standard deviation).",
    )
    baseline: Name | None = Field(
        default=None, description="Experiment that this one repeats with one setting changed; they are compared."
    )

    @model_validator(mode="after")
    def _fits_the_family(self) -> Self:
        on_moments = self.optimiser in MOMENT_OPTIMISERS
        if on_moments and self.family not in LINEAR_FAMILIES:
            raise ValueError(f"optimiser {self.optimiser} works on second moments: linear families only")
        if on_moments and self.bias:
            raise ValueError("`bias` needs an optimiser on samples: sgd or adam")
        if (self.batch_size is None) != on_moments:
            raise ValueError("`batch_size` is required for sgd and adam, and only allowed there")
        if self.plateau is not None and on_moments:
            raise ValueError("`plateau` is for sgd and adam: optimisers on second moments stop by `tolerance`")
        flow = self.optimiser == "gradient_flow"
        if (self.step_sizes is None) != flow or (self.step_unit is None) != flow:
            raise ValueError("`step_sizes` and `step_unit` are required for all optimisers but gradient_flow")
        if flow and (self.warmup is not None or self.finish is not None):
            raise ValueError("`warmup` and `finish` are for optimisers with steps: leave them out of gradient_flow")
        if self.warmup is not None and self.finish is not None and self.warmup + self.finish > 1:
            raise ValueError("`warmup` and `finish` are more than all steps together: make one smaller")
        if (self.family == "residual_linear") != (self.initialisation == "identity"):
            raise ValueError("initialisation identity (zero residuals) belongs to the family residual_linear")
        if self.family == "residual_linear" and self.width is not None:
            raise ValueError("residual_linear layers are square: leave `width` out")
        if self.family == "fully_convolutional" and self.width is None:
            raise ValueError("`width` is required for fully_convolutional: the channels of its hidden layers")
        if self.family == "fully_convolutional" and self.initialisation != "pytorch":
            raise ValueError(
                "filters start as PyTorch's do: the family fully_convolutional needs initialisation pytorch"
            )
        return self

    def parts(self) -> list[range]:
        """The seeds of every job."""
        size = self.seeds_per_job or self.seeds
        return [range(self.seeds)[first : first + size] for first in range(0, self.seeds, size)]


class Measure(Hyperparameters):
    """Settings of the measurement of trained networks."""

    tolerance: PositiveFloat = Field(description="Relative residual of the top Hessian eigenvalue.")
    products: Count = Field(description="Largest number of Hessian-vector products spent on it.")
    jacobian_samples: Count = Field(
        description="Inputs whose Jacobians are taken, for ReLU and convolutional networks."
    )
    samples: Count | None = Field(
        default=None,
        description="Training samples, the first ones, over which ReLU networks' loss and curvature are taken; or all.",
    )
    convolution_samples: Count | None = Field(
        default=None,
        description="The same for convolutional networks, for their cost.",
    )
    control_samples: Count | None = Field(
        default=None, description="The same for the controls of ReLU networks, whose functions are known already."
    )

    def of_controls(self) -> "Measure":
        """Settings of the measurement of controls."""
        return self.model_copy(update={"samples": self.control_samples or self.samples})


class TrainingStudy(Strict):
    """One data set with its tasks and the experiments run on it."""

    kind: Literal["training"]
    title: str
    dataset: Dataset
    tasks: dict[Name, Task] = Field(min_length=1)
    experiments: dict[Name, Experiment] = Field(min_length=1)
    measure: Measure

    @model_validator(mode="after")
    def _tasks_exist(self) -> Self:
        for name, experiment in self.experiments.items():
            if experiment.task not in self.tasks:
                raise ValueError(
                    f"experiments.{name}.task is {experiment.task!r}: {nearest(experiment.task, self.tasks)}"
                )
            if experiment.family == "fully_convolutional" and self.tasks[experiment.task].kind != "denoise":
                raise ValueError(f"experiments.{name}.family is fully_convolutional: its task must be of kind denoise")
        return self

    @model_validator(mode="after")
    def _baselines_exist(self) -> Self:
        own = [name for name, experiment in self.experiments.items() if experiment.baseline is None]
        for name, experiment in self.experiments.items():
            if experiment.baseline is not None and experiment.baseline not in own:
                raise ValueError(
                    f"experiments.{name}.baseline is {experiment.baseline!r}, expected an experiment without a "
                    f"baseline: {nearest(experiment.baseline, own)}"
                )
        _ = self.variations  # refuses those that change nothing, or too much
        return self

    @cached_property
    def variations(self) -> list[Variation]:
        """The experiments that have a baseline, with the choice that each of them changes.

        Raises:
            ValueError: if one changes nothing or more than one setting.
        """
        settings = {name: dict(run) | dict(self.tasks[run.task]) for name, run in self.experiments.items()}
        return [vary(name, run.baseline, settings) for name, run in self.experiments.items() if run.baseline]

    def scaled(self) -> list[str]:
        """The experiments that set the scale of their start."""
        return [name for name, run in self.experiments.items() if run.start_scale is not None]
