"""Studies of the binary perceptron (Baldassi et al. 2021)."""

from itertools import combinations, product
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from flatminima.settings.base import ASCENDING, EACH_ONCE, Count, Grid, Hyperparameters, PositiveFloat, Strict

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


def pattern_count(size: int, load: float) -> int:
    """P, the integer nearest to alpha N, at least one."""
    return max(1, round(load * size))


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"{size} is even: expected an odd number, so that no stability is zero; take {size + 1}")
    return size


class ReplicaTheory(Hyperparameters):
    """Replica computations of the binary perceptron (theory.md 3.2-3.3)."""

    loads: Grid[PositiveFloat] = Field(description="Alphas, patterns per weight.")
    margins: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2), EACH_ONCE] = Field(
        description="Margins of typical solutions, as fractions of the maximal margin."
    )
    load: PositiveFloat = Field(description="Alpha at which local entropies are drawn, and ordered.")
    distances: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2), ASCENDING] = Field(
        description="Smallest and largest normalised Hamming distance."
    )
    points: Annotated[int, Field(ge=5)] = Field(description="Distances between them, evenly in the logarithm.")


class Enumeration(Hyperparameters):
    """Exhaustive enumeration of small perceptrons: the check that owes nothing to replicas."""

    sizes: Grid[Annotated[int, Field(ge=9, le=27), AfterValidator(_odd)]] = Field(
        description="Numbers N of weights, odd."
    )
    loads: Grid[PositiveFloat] = Field(description="Alphas; P is rounded.")
    instances: Annotated[int, Field(ge=2)] = Field(description="Of every size and load.")
    references: Count = Field(description="Solutions of every instance whose surroundings are counted.")

    @model_validator(mode="after")
    def _patterns_differ(self) -> Self:
        for size, (one, other) in product(self.sizes, combinations(self.loads, 2)):
            if (count := pattern_count(size, one)) == pattern_count(size, other):
                raise ValueError(
                    f"loads {one:g} and {other:g} both make {count} patterns for {size} weights; leave one of them out"
                )
        return self


class Attempts(Hyperparameters):
    """Attempts of a solver on random instances of one size."""

    loads: Grid[PositiveFloat] = Field(description="Alphas.")
    instances: Count = Field(description="Of every load.")


class Searches(Attempts):
    """Attempts of some solvers on instances of some sizes."""

    solvers: Grid[SolverName]
    sizes: Grid[Annotated[int, Field(ge=9, le=10**6), AfterValidator(_odd)]] = Field(
        description="Numbers N of weights, odd."
    )


class Survey(Hyperparameters):
    """Measurements around the solutions found."""

    distances: Grid[Annotated[float, Field(gt=0, lt=0.5)]] = Field(description="Normalised Hamming distances.")
    surveyed: Count = Field(description="Solutions of every load whose local entropy is computed.")
    largest: Count = Field(description="Largest number of weights for which it is.")


class PerceptronStudy(Strict):
    """The binary perceptron: replica theory, exhaustive enumeration, and solvers on random instances."""

    kind: Literal["perceptron"]
    title: str
    theory: ReplicaTheory
    enumeration: Enumeration
    searches: Annotated[list[Searches], Field(min_length=1)]
    survey: Survey

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        pairs = self.searched()
        twice = [pair for place, pair in enumerate(pairs) if pair in pairs[:place]]
        if twice:
            solver, size = twice[0]
            raise ValueError(f"searches name {solver} with {size} weights twice; name it in one of them")
        return self

    def attempts(self, solver: str, size: int) -> Attempts:
        """The attempts of one solver on instances of one size."""
        for group in self.searches:
            if solver in group.solvers and size in group.sizes:
                return Attempts(loads=group.loads, instances=group.instances)
        raise KeyError((solver, size))

    def searched(self) -> list[tuple[SolverName, int]]:
        """All solvers, each with the sizes of its instances."""
        return [pair for group in self.searches for pair in product(group.solvers, group.sizes)]

    def planted(self, size: int) -> Attempts:
        """Planted instances of a size: the largest number, and all loads, that any solver attempts."""
        groups = [group for group in self.searches if size in group.sizes]
        loads = sorted({load for group in groups for load in group.loads})
        most = max(groups, key=lambda group: group.instances)
        return Attempts(loads=loads, instances=most.instances)
