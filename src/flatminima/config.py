"""The one schema of config.yaml: studies, tasks, experiments, and where each hyperparameter comes from."""

import difflib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from flatminima.errors import UserError

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Depths = Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(min_length=1)]
DeepDepths = Annotated[list[Annotated[int, Field(ge=2, le=64)]], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

DatasetName = Literal["digits", "patches", "mnist", "fashion_mnist", "cifar10"]
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
Family = Literal["linear", "residual_linear", "relu"]
Statement = Literal["attack_white", "attack_coloured", "attack_bound", "attack_path", "attack_band"]
Start = Literal["residual", "flow", "default", "catapult"]
SolverName = Literal[
    "reinforced-bp",
    "focusing-bp",
    "sbpi",
    "annealing",
    "error-annealing",
    "sgd",
    "straight-through-sgd",
    "replicated-sgd",
]
Optimiser = Literal["gradient_descent", "gradient_flow", "sgd", "adam"]

MOMENT_OPTIMISERS = ("gradient_descent", "gradient_flow")


class Strict(BaseModel):
    """Base of every section: unknown keys are errors and values are never coerced from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sourced(Strict, Generic[T]):
    """A hyperparameter and where it comes from: `stated` by the paper, `derived` from theory, `chosen` by us."""

    value: T
    source: Literal["stated", "derived", "chosen"]


class Patches(Strict):
    """How patches are cut from scikit-learn's two bundled photographs."""

    size: Sourced[Annotated[int, Field(ge=2, le=64)]]
    colour: Sourced[bool]
    count: Sourced[Annotated[int, Field(ge=10)]]


class Dataset(Strict):
    """Where the images come from, and how many are kept apart for testing."""

    name: DatasetName
    patches: Patches | None = None
    holdout: Sourced[Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        default=None, description="Fraction kept for testing, for sources without a published split."
    )

    @model_validator(mode="after")
    def _fits_the_source(self) -> Self:
        if (self.patches is not None) != (self.name == "patches"):
            raise ValueError("`patches` is required for the data set patches, and only allowed there")
        if (self.holdout is not None) != (self.name in ("digits", "patches")):
            raise ValueError("`holdout` is required for digits and patches, and only allowed there")
        return self


class Task(Strict):
    """A supervised problem made from the images: what goes in, what comes out, and how the loss is scaled."""

    kind: Literal["denoise", "classify"]
    noise: Sourced[PositiveFloat] | None = Field(default=None, description="Standard deviation, in scaled pixels.")
    noise_draw: Sourced[Literal["fixed", "fresh"]] | None = Field(
        default=None, description="fixed: one draw per image; fresh: a new draw at every step."
    )
    pixels: Sourced[Literal["unit", "raw"]] = Field(description="unit: divided by the largest pixel value.")
    centre: Sourced[bool] = Field(description="Subtract the training mean of the images.")
    whiten: Sourced[bool] = Field(description="Whiten the inputs by their training second moment.")
    loss: Sourced[Literal["sum", "mean"]] = Field(description="Squared error summed or averaged over outputs.")

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        denoise = self.kind == "denoise"
        if (self.noise is not None) != denoise or (self.noise_draw is not None) != denoise:
            raise ValueError("`noise` and `noise_draw` are required for denoise, and only allowed there")
        if denoise and self.whiten.value and self.noise_draw is not None and self.noise_draw.value == "fresh":
            raise ValueError("`whiten` needs a fixed noise_draw: fresh noise leaves no fixed inputs to whiten")
        return self


class DataSettings(Strict):
    """What samples are made from: the images, and the task set on them."""

    dataset: Dataset
    task: Task


class Experiment(Strict):
    """All replicas (seeds x step sizes) of one network family, at several depths, on one task."""

    task: Name
    family: Family
    depths: Sourced[Depths]
    width: Sourced[Count] | None = Field(default=None, description="Hidden width; the input size where absent.")
    bias: Sourced[bool]
    initialisation: Sourced[Initialisation]
    optimiser: Sourced[Optimiser]
    step_unit: Sourced[Literal["critical", "absolute"]] | None = Field(
        default=None, description="critical: multiples of 2 / (minimal sharpness of the linear network of that depth)."
    )
    step_sizes: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] | None = None
    seeds: Sourced[Count]
    steps: Sourced[Count] = Field(description="Largest number of steps; for gradient_flow, time in critical steps.")
    tolerance: Sourced[NonNegativeFloat] = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )
    batch_size: Sourced[Count] | None = None
    snapshots: Sourced[Annotated[int, Field(ge=0)]] = Field(description="Networks kept along training, log-spaced.")
    unbalance: Sourced[PositiveFloat] | None = Field(
        default=None,
        description="Also measure a control: the same functions with unbalanced layers (log-scale standard deviation).",
    )

    @model_validator(mode="after")
    def _fits_the_family(self) -> Self:
        on_moments = self.optimiser.value in MOMENT_OPTIMISERS
        if on_moments and self.family == "relu":
            raise ValueError(f"optimiser {self.optimiser.value} works on second moments: linear families only")
        if on_moments and self.bias.value:
            raise ValueError("`bias` needs an optimiser on samples: sgd or adam")
        if (self.batch_size is None) != on_moments:
            raise ValueError("`batch_size` is required for sgd and adam, and only allowed there")
        flow = self.optimiser.value == "gradient_flow"
        if (self.step_sizes is None) != flow or (self.step_unit is None) != flow:
            raise ValueError("`step_sizes` and `step_unit` are required for all optimisers but gradient_flow")
        if (self.family == "residual_linear") != (self.initialisation.value == "identity"):
            raise ValueError("initialisation identity (zero residuals) belongs to the family residual_linear")
        if self.family == "residual_linear" and self.width is not None:
            raise ValueError("residual_linear layers are square: leave `width` out")
        return self


class Measure(Strict):
    """How the trained networks are measured."""

    tolerance: Sourced[PositiveFloat] = Field(description="Relative residual of the top Hessian eigenvalue.")
    products: Sourced[Count] = Field(description="Largest number of Hessian-vector products spent on it.")
    jacobian_samples: Sourced[Count] = Field(description="Inputs whose Jacobians are taken, for ReLU networks.")


class TrainingStudy(Strict):
    """One data set with its tasks and the experiments run on it."""

    kind: Literal["training"]
    title: str
    dataset: Dataset
    tasks: dict[Name, Task]
    experiments: dict[Name, Experiment]
    measure: Measure

    @model_validator(mode="after")
    def _tasks_exist(self) -> Self:
        for name, experiment in self.experiments.items():
            if experiment.task not in self.tasks:
                raise ValueError(
                    f"experiments.{name}.task is {experiment.task!r}: {nearest(experiment.task, self.tasks)}"
                )
        return self


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
    planted: Sourced[Annotated[float, Field(gt=0, lt=1)]] = Field(
        description="Control: the same searches against statements stronger than the true ones by this factor."
    )


class Minima(Strict):
    """Global minima constructed on random problems."""

    condition: Sourced[Condition]
    depths: Sourced[Depths]
    instances: Sourced[Count] = Field(description="Random problems at every depth, with white and with other inputs.")
    draws: Sourced[Count] = Field(description="Random minima of every problem.")
    scale: Sourced[PositiveFloat] = Field(description="Standard deviation of their logarithmic scales.")
    ratios: Sourced[Annotated[list[Ratio], Field(min_length=1)]] = Field(
        description="Prescribed sharpness, relative to the least."
    )


class Convergence(Strict):
    """Where gradient descent and gradient flow end on random problems."""

    size: Sourced[Count] = Field(description="Width of all layers.")
    spread: Sourced[Ratio] = Field(description="Largest over smallest singular value of T.")
    ill: Sourced[Ratio] = Field(description="Largest over smallest eigenvalue of Sx, where inputs are not white.")
    depths: Sourced[DeepDepths]
    instances: Sourced[Count] = Field(description="Random problems of every kind and depth.")
    step_sizes: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(
        description="Multiples of 2 / (minimal sharpness)."
    )
    steps: Sourced[Count] = Field(description="Largest number of steps.")
    flow_time: Sourced[Count] = Field(description="Duration of the flow, in critical steps of the flattest problem.")
    tolerance: Sourced[PositiveFloat] = Field(
        description="Stop when the gradient norm has fallen below this multiple of its first value."
    )
    growing_steps: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(
        description="Step sizes of the catapult, one after the other, in the same unit."
    )
    start_ratio: Sourced[Ratio] = Field(description="Sharpness of the minima that the catapult starts near.")
    kick: Sourced[PositiveFloat] = Field(description="Distance from them, relative to the weights.")


class TheoryStudy(Strict):
    """Random linear problems on which theory is checked and attacked; needs no data."""

    kind: Literal["theory"]
    title: str
    statements: Sourced[Annotated[list[Statement], Field(min_length=1)]] = Field(
        description="What is attacked: theory.md I2 on white inputs, the same on others, I3, I4 and I5."
    )
    attack: Attack
    minima: Minima
    starts: Sourced[Annotated[list[Start], Field(min_length=1)]] = Field(description="Where training starts.")
    convergence: Convergence


class Source(Strict):
    """Trained networks of another study."""

    study: Name
    rectified: Name = Field(description="Experiment with ReLU networks, which are rescaled.")
    linear: Name = Field(description="Experiment with linear networks, whose orbits theory knows.")


class Convolutional(Strict):
    """A small convolutional network for the same task: layers of 3x3 filters, each pooled, and a linear layer."""

    channels: Sourced[Annotated[list[Count], Field(min_length=1)]]
    step_size: Sourced[PositiveFloat]
    seeds: Sourced[Count]
    epochs: Sourced[Count]
    batch_size: Sourced[Count]


class Demonstrations(Strict):
    """How each theorem of Dinh et al. 2017 is shown (theory.md D1-D7)."""

    seeds: Sourced[Count] = Field(description="Networks of so many seeds, at every step size, are shown.")
    spread: Sourced[Ratio] = Field(description="Largest factor of random rescalings; its inverse is the smallest.")
    alphas: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(
        description="Factors of the first layer; the second is divided by them."
    )
    boxes: Sourced[Count] = Field(description="Disjoint boxes around rescaled networks.")
    box: Sourced[Annotated[float, Field(gt=0, lt=1)]] = Field(
        description="Half their width, relative to the largest weight of the first layer."
    )
    ranges: Sourced[Annotated[list[Ratio], Field(min_length=2)]] = Field(
        description="Largest weight up to which the volume of a minimum is sampled, in a network of two weights."
    )
    draws: Sourced[Count] = Field(description="Samples of each volume.")
    radii: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(description="Of balls, for sharpness.")
    ascents: Sourced[Count] = Field(description="Steps of the ascent in a ball.")
    offsets: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(
        description="b of eta = (||u||^2 + b)^a u."
    )
    exponent: Sourced[Annotated[float, Field(gt=-0.5, allow_inf_nan=False)]] = Field(description="a of the same.")


class Orbits(Strict):
    """How the flattest network of an orbit is found (theory.md B1)."""

    tolerance: Sourced[PositiveFloat] = Field(description="Relative gap between value and lower bound.")
    products: Sourced[Count] = Field(description="Largest number of Gauss-Newton products spent on it.")
    spread: Sourced[Ratio] = Field(description="Largest factor of the random rescaling that it must undo.")
    landscape: Sourced[Annotated[int, Field(ge=3)]] = Field(description="Points along each axis of a landscape.")


class RescalingStudy(Strict):
    """Rescalings of trained networks that leave their functions unchanged, and the flattest network of each orbit."""

    kind: Literal["rescaling"]
    title: str
    source: Source
    convolutional: Convolutional
    demonstrations: Demonstrations
    orbits: Orbits


class ReplicaTheory(Strict):
    """Replica computations of the binary perceptron (theory.md 3.2-3.3)."""

    loads: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(
        description="Alphas, patterns per weight."
    )
    margins: Sourced[Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2)]] = Field(
        description="Margins of typical solutions, as fractions of the maximal margin."
    )
    load: Sourced[PositiveFloat] = Field(description="Alpha at which local entropies are drawn, and ordered.")
    distances: Sourced[Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]] = Field(
        description="Smallest and largest normalised Hamming distance."
    )
    points: Sourced[Annotated[int, Field(ge=5)]] = Field(description="Distances between them, evenly in the logarithm.")
    near: Sourced[PositiveFloat] = Field(description="Distance up to which a higher margin has more solutions around.")
    far: Sourced[PositiveFloat] = Field(description="Distance from which the order is reversed.")


class Enumeration(Strict):
    """Exhaustive enumeration of small perceptrons: the check that owes nothing to replicas."""

    sizes: Sourced[Annotated[list[Annotated[int, Field(ge=9, le=27)]], Field(min_length=1)]] = Field(
        description="Numbers N of weights, odd."
    )
    loads: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(description="Alphas; P is rounded.")
    instances: Sourced[Annotated[int, Field(ge=2)]] = Field(description="Of every size and load.")
    references: Sourced[Count] = Field(description="Solutions of every instance whose surroundings are counted.")


class SolverRuns(Strict):
    """Searches for solutions on real instances."""

    size: Sourced[Annotated[int, Field(ge=9)]] = Field(description="Number N of weights, odd.")
    loads: Sourced[Annotated[list[PositiveFloat], Field(min_length=1)]] = Field(description="Alphas.")
    instances: Sourced[Count] = Field(description="Of every load.")
    distances: Sourced[Annotated[list[Annotated[float, Field(gt=0, lt=0.5)]], Field(min_length=1)]] = Field(
        description="Normalised Hamming distances at which solutions' surroundings are measured."
    )
    surveyed: Sourced[Count] = Field(description="Solutions of every load whose local entropy is computed.")


class PerceptronStudy(Strict):
    """The binary perceptron: replica theory, exhaustive enumeration, and solvers on random instances."""

    kind: Literal["perceptron"]
    title: str
    theory: ReplicaTheory
    enumeration: Enumeration
    solvers: Sourced[Annotated[list[SolverName], Field(min_length=1)]]
    runs: SolverRuns


AnyStudy = TrainingStudy | TheoryStudy | RescalingStudy | PerceptronStudy
Study = Annotated[AnyStudy, Field(discriminator="kind")]


class StudySettings(Strict):
    """One study alone, as a stage receives it."""

    study: Study


class Config(Strict):
    """The whole of config.yaml."""

    data_root: str = Field(description="Folder that holds, or will receive, downloaded data sets.")
    embedded: list[Name] = Field(description="Studies of the default run: those that need no download.")
    studies: dict[Name, Study]

    @model_validator(mode="after")
    def _embedded_exist(self) -> Self:
        for name in self.embedded:
            if name not in self.studies:
                raise ValueError(f"embedded names {name!r}: {nearest(name, self.studies)}")
        return self

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        trained = {name: study for name, study in self.studies.items() if isinstance(study, TrainingStudy)}
        for name, study in self.studies.items():
            if isinstance(study, RescalingStudy):
                _check_source(f"studies.{name}.source", study.source, trained)
        return self


def _check_source(key: str, source: Source, trained: Mapping[str, TrainingStudy]) -> None:
    if source.study not in trained:
        raise ValueError(f"{key}.study is {source.study!r}: {nearest(source.study, trained)}")
    experiments = trained[source.study].experiments
    for role, families in {"rectified": ("relu",), "linear": ("linear", "residual_linear")}.items():
        fitting = [name for name, experiment in experiments.items() if experiment.family in families]
        if (name := getattr(source, role)) not in fitting:
            raise ValueError(f"{key}.{role} is {name!r}: {nearest(name, fitting)}")


def nearest(word: str, allowed: Mapping[str, Any] | Sequence[str]) -> str:
    """Say what is allowed instead of `word`, the closest spelling first."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed)}"


def parse(model: type[Model], values: Any, origin: str) -> Model:
    """Validate `values` against `model`.

    Args:
        model: the section's model.
        values: parsed YAML or JSON.
        origin: where the values stand, for the message (`config.yaml`).

    Raises:
        UserError: one line naming the first wrong key, its value, what is allowed and the nearest valid key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first, *others = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        more = f" ({len(others)} more)" if others else ""
        raise UserError(f"{origin}: {_explain(model, first)}{more}") from None


def load(path: Path) -> Config:
    """Read and validate config.yaml.

    Raises:
        UserError: if the file is missing, is not YAML, or does not fit the schema.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the repository's root or pass --configfile") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse(Config, values, str(path))


def _explain(model: type[BaseModel], error: ErrorDetails) -> str:
    value = error["input"]
    section, location = _section(model, error["loc"])
    key = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; {nearest(str(location[-1]), section.model_fields)}"
    if error["type"] == "missing":
        parent, _ = _section(model, error["loc"][:-1])
        return f"{key}: missing key; add it ({parent.__name__} requires it)"
    if error["type"].startswith("union_tag"):
        given = value.get("kind") if isinstance(value, Mapping) else None
        kinds = [_tag(member) for member in get_args(get_args(Study)[0])]
        return f"{key}.kind is {given!r}: {nearest(str(given), kinds)}"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}".removeprefix(": ")
    if error["type"] == "model_type":
        return f"{key} is {value!r}: expected a mapping with the keys {', '.join(section.model_fields)}"
    if error["type"] == "literal_error" and isinstance(value, str):
        choices = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{key} is {value!r}: {nearest(value, choices)}"
    shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
    return f"{key} is {shown}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _section(model: type[BaseModel], location: Sequence[str | int]) -> tuple[type[BaseModel], list[str | int]]:
    """The model at a location of the configuration, or above an unknown key, and the location without unions' tags."""
    kind: Any = model
    keys = []
    for part in location:
        if part == "[key]":  # the name of a section is wrong, not what stands in it
            break
        if isinstance(kind, tuple):
            kind = next(member for member in kind if _tag(member) == part)
        else:
            keys.append(part)
            if _is_model(kind) and part not in kind.model_fields:
                break
            kind = _unwrap(kind.model_fields[part].annotation if _is_model(kind) else get_args(kind)[-1])
    return kind if _is_model(kind) else model, keys


def _unwrap(kind: Any) -> Any:
    """Drop `Annotated` and `| None`; a tuple of the members where several are left."""
    if get_origin(kind) is Annotated:
        return _unwrap(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        members = tuple(_unwrap(arm) for arm in get_args(kind) if arm is not type(None))
        return members[0] if len(members) == 1 else members
    return kind


def _tag(model: type[BaseModel]) -> str:
    """The value of `kind` that chooses a member of a union."""
    tag: str = get_args(model.model_fields["kind"].annotation)[0]
    return tag


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
