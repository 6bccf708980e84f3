"""Studies of the binary perceptron (Baldassi et al. 2021)."""

from typing import Annotated, Literal

from pydantic import Field

from flatminima.settings.base import Count, PositiveFloat, Sourced, Strict

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
