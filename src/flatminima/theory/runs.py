"""The problems that the convergence studies train on, stacked over step sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatminima.minima.linear import LinearProblems
from flatminima.settings.theory import Convergence
from flatminima.theory.problems import Array, evenly, label_tasks, log_uniform, positive, square_maps
from flatminima.theory.shared import labels, stream
from flatminima.training.moment_problem import MomentProblem

MAPS = ("positive", "turned", "reflected")
LABELS = "labels"
INPUTS = ("white", "coloured")


class Kind(NamedTuple):
    """Ingredients of a problem: its map, a name of MAPS or LABELS, and its inputs, a name of INPUTS."""

    map: str
    inputs: str

    @property
    def name(self) -> str:
        """End of the name of a case: `turned_white`."""
        return f"{self.map}_{self.inputs}"


@dataclass(frozen=True)
class Tasks:
    """Problems of one size and depth.

    Attributes:
        name: of the stack, part of the seeds of starts.
        problems: one for each instance of each kind.
        kinds: of each.
    """

    name: str
    problems: LinearProblems
    kinds: list[Kind]


@dataclass(frozen=True)
class Runs:
    """Runs of one stack of problems, each with every step size.

    Attributes:
        problems: one for each run.
        labels: one row for each run.
        rates: step sizes, shape (runs,); NaN for the flow.
    """

    problems: LinearProblems
    labels: pd.DataFrame
    rates: Tensor

    @classmethod
    def of(cls, study: str, start: str, tasks: Tasks, fractions: Sequence[float]) -> "Runs":
        """Each problem with all step sizes, multiples of 2 / (minimal sharpness); a single NaN for the flow."""
        index = torch.arange(len(tasks.kinds)).repeat_interleave(len(fractions))
        problems = tasks.problems.select(index)
        fraction = torch.tensor(fractions, dtype=torch.float64).repeat(len(tasks.kinds))
        kinds = [tasks.kinds[place] for place in index]
        names, seeds = [f"{start}_{kind.name}" for kind in kinds], np.arange(len(index))
        frame = labels(study, names, problems.depth, seeds, start=start)
        frame = frame.assign(map=[kind.map for kind in kinds], inputs=[kind.inputs for kind in kinds])
        rates = fraction * 2 / problems.least
        return cls(problems, frame.assign(setting=fraction.numpy(), step_size=rates.numpy()), rates)

    def at(self, fraction: float) -> "Runs":
        """Runs on these problems with another step size, a multiple of 2 / (minimal sharpness)."""
        rates = fraction * 2 / self.problems.least
        return Runs(self.problems, self.labels.assign(setting=fraction, step_size=rates.numpy()), rates)

    @property
    def size(self) -> int:
        """Width of all layers."""
        return self.problems.end_to_end.shape[-1]

    @property
    def target(self) -> MomentProblem:
        """The moments, with exact labels y = T x: the least loss is zero."""
        cross = self.problems.end_to_end @ self.problems.input_moment
        energy = (cross * self.problems.end_to_end).sum((1, 2))
        return MomentProblem(self.problems.input_moment, cross, energy)


def stacks(study: str, start: str, settings: Convergence) -> Iterator[Tasks]:
    """Stacks of runs at every depth: random maps, which have one size, and label tasks, which have another.

    They are the same for all starts; a catapult, which starts at minima of any map, gets the random ones alone.
    """
    for depth in settings.depths:
        yield _random_maps(study, depth, settings)
        if start != "catapult":
            yield _label_tasks(depth, settings.instances)


def _random_maps(study: str, depth: int, settings: Convergence) -> Tasks:
    size, count = settings.size, settings.instances
    maps, moments, kinds = [], [], []
    for kind in MAPS:
        for inputs in INPUTS:
            random = stream(study, "convergence", kind, inputs, depth)
            ill = settings.ill if inputs == "coloured" else 1.0
            maps.append(square_maps(kind, count, size, settings.spread, random))
            moments.append(positive(log_uniform(count, size, ill, random), random))
            kinds += [Kind(kind, inputs)] * count
    return Tasks("maps", _problems(maps, moments, depth), kinds)


def _label_tasks(depth: int, count: int) -> Tasks:
    maps, moments = label_tasks(count)
    white = np.broadcast_to(np.eye(maps.shape[-1]), maps.shape)
    problems = _problems([evenly(maps @ np.sqrt(moments)), maps], [white, moments], depth)
    return Tasks(LABELS, problems, [Kind(LABELS, inputs) for inputs in INPUTS for _ in range(count)])


def _problems(maps: Sequence[Array], moments: Sequence[Array], depth: int) -> LinearProblems:
    return LinearProblems.of(np.concatenate(maps), np.concatenate(moments), depth)
