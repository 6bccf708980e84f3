"""Where gradient descent and gradient flow end on random linear problems."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from flatminima.minima.linear import LinearProblems
from flatminima.minima.problems import MAPS, log_uniform, positive, square_maps
from flatminima.minima.sampling import Chart, flattest, of_ratio
from flatminima.minima.theory import labels, near_minima, stream
from flatminima.minima.tidy import Statistic, Statistics, scatter, tidy
from flatminima.networks.initialisations import initialise, named_generator
from flatminima.networks.stack import Stack
from flatminima.networks.symmetries import rescale_layers
from flatminima.settings.theory import Convergence
from flatminima.training.descent import MomentProblem, gradient_descent, gradient_flow, gradient_norm, loss_and_gradient
from flatminima.training.run import Trained

INPUTS = ("white", "coloured")
CONTROL = "-unbalanced"
LOG_SCALE = 1.0

Weights = Sequence[Tensor]


@dataclass(frozen=True)
class Runs:
    """Runs of one kind at one depth, stacked over maps, inputs, instances and step sizes.

    Attributes:
        problems: one for each run.
        labels: one row for each run.
        rates: step sizes, shape (runs,); NaN for the flow.
    """

    problems: LinearProblems
    labels: pd.DataFrame
    rates: Tensor

    def at(self, fraction: float) -> "Runs":
        """The same problems with another step size, a multiple of 2 / (minimal sharpness)."""
        rates = fraction * 2 / self.problems.least
        return Runs(self.problems, self.labels.assign(step_size=rates.numpy(), step_fraction=fraction), rates)

    @property
    def target(self) -> MomentProblem:
        """The moments, with exact labels y = T x: the least loss is zero."""
        cross = self.problems.end_to_end @ self.problems.input_moment
        energy = (cross * self.problems.end_to_end).sum((1, 2))
        return MomentProblem(self.problems.input_moment, cross, energy)


def converge(study: str, start: str, settings: Convergence) -> pd.DataFrame:
    """Train on random square maps of every kind, with white and with other inputs.

    Args:
        study: the study's name, part of every seed.
        start: `residual` or `default`, gradient descent from zero residuals or from PyTorch's default start; `flow`,
            gradient flow from zero residuals; `catapult`, gradient descent with a growing step: from beside a sharp
            minimum, and at each larger step from beside the minimum that the last one reached.
        settings: sizes, steps and how long to train.

    Returns:
        Tidy rows of all statistics, NaN but for `diverged` where a run diverged. Experiments are
        `<start>_<map>_<inputs>`. Controls are `-unbalanced`, the same functions with their layers rescaled at random;
        of a catapult `catapult_start_<map>_<inputs>`, the minima that each step size starts from.
    """
    tables = (
        table
        for depth in settings.depths.value
        for table in (_catapult if start == "catapult" else _train)(study, start, depth, settings)
    )
    return pd.concat(tables, ignore_index=True)


def _train(study: str, start: str, depth: int, settings: Convergence) -> Iterator[pd.DataFrame]:
    fractions = [float("nan")] if start == "flow" else settings.step_sizes.value
    runs = _runs(study, start, depth, fractions, settings)
    random = named_generator(study, start, depth, "starts")
    if start == "default":
        first: Weights = initialise("pytorch", _widths(runs), [random] * (len(runs.rates) // len(fractions))).weights
        weights = [weight.repeat_interleave(len(fractions), 0) for weight in first]
    else:
        identity = torch.eye(settings.size.value, dtype=torch.float64)
        weights = [identity.repeat(len(runs.rates), 1, 1) for _ in range(depth)]
    job = f"{study} {start} depth {depth}"
    end = _flow(job, weights, runs, settings) if start == "flow" else _descend(job, weights, runs, settings)
    yield _measure(runs.labels, end, runs)
    stack = Stack(end.parameters)
    control = rescale_layers(stack, LOG_SCALE, [random] * stack.replicas).weights
    frame = runs.labels.assign(experiment=runs.labels["experiment"] + CONTROL)
    yield _measure(frame, replace(end, parameters=control), runs)


def _catapult(study: str, start: str, depth: int, settings: Convergence) -> Iterator[pd.DataFrame]:
    problems = _runs(study, start, depth, settings.growing_steps.value[:1], settings)
    random = named_generator(study, start, depth, "starts")
    weights = _sharp(problems, settings, random)
    for fraction in settings.growing_steps.value:
        runs = problems.at(fraction)
        kicked = [_kick(weight, settings.kick.value, random) for weight in weights]
        end = _descend(f"{study} {start} depth {depth} step {fraction:g}", kicked, runs, settings)
        begun = replace(
            end, parameters=tuple(weights), steps=torch.zeros_like(end.steps), diverged=_not_finite(weights)
        )
        names = runs.labels["experiment"].str.replace("catapult", "catapult_start")
        yield _measure(runs.labels.assign(experiment=names), begun, runs)
        yield _measure(runs.labels, end, runs)
        weights = [torch.where(end.diverged.view(-1, 1, 1), torch.nan, weight) for weight in end.parameters]


def _runs(study: str, start: str, depth: int, fractions: Sequence[float], settings: Convergence) -> Runs:
    """Every problem with every step size; the problems are the same for all starts."""
    size, count = settings.size.value, settings.instances.value
    maps, moments, tasks = [], [], []
    for kind in MAPS:
        for inputs in INPUTS:
            random = stream(study, "convergence", kind, inputs, depth)
            ill = settings.ill.value if inputs == "coloured" else 1.0
            maps.append(square_maps(kind, count, size, settings.spread.value, random))
            moments.append(positive(log_uniform(count, size, ill, random), random))
            tasks += [f"{kind}_{inputs}"] * count
    index = torch.arange(len(tasks)).repeat_interleave(len(fractions))
    problems = LinearProblems.of(np.concatenate(maps), np.concatenate(moments), depth).select(index)
    fraction = torch.tensor(fractions, dtype=torch.float64).repeat(len(tasks))
    rates = fraction * 2 / problems.least
    task = np.array(tasks)[index.numpy()]
    frame = labels(study, len(index), 0, depth=depth, task=task, experiment=[f"{start}_{name}" for name in task])
    frame = frame.assign(initialisation=start, optimiser="gradient_flow" if start == "flow" else "gradient_descent")
    return Runs(problems, frame.assign(step_size=rates.numpy(), step_fraction=fraction.numpy()), rates)


def _widths(runs: Runs) -> list[int]:
    return [runs.problems.end_to_end.shape[-1]] * (runs.problems.depth + 1)


def _sharp(runs: Runs, settings: Convergence, random: Generator) -> Weights:
    chart = Chart.around(flattest(runs.problems, settings.size.value), settings.size.value)
    ratios = torch.full_like(runs.rates, settings.start_ratio.value)
    return of_ratio(chart, runs.problems, chart.draw(1.0, random), ratios)


def _kick(weight: Tensor, length: float, random: Generator) -> Tensor:
    """A random displacement of a length relative to the weight's norm."""
    displacement = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
    norms = [torch.linalg.matrix_norm(tensor, keepdim=True) for tensor in (weight, displacement)]
    kicked: Tensor = weight + length * norms[0] / norms[1] * displacement
    return kicked


def _not_finite(weights: Weights) -> Tensor:
    finite: Tensor = torch.cat([weight.flatten(1) for weight in weights], 1).isfinite().all(1)
    return ~finite


def _descend(job: str, weights: Weights, runs: Runs, settings: Convergence) -> Trained:
    steps, tolerance = settings.steps.value, settings.tolerance.value
    return gradient_descent(weights, runs.target, runs.rates, steps=steps, tolerance=tolerance, snapshots=0, job=job)


def _flow(job: str, weights: Weights, runs: Runs, settings: Convergence) -> Trained:
    duration = settings.flow_time.value * 2 / float(runs.problems.least.min())
    return gradient_flow(weights, runs.target, duration, steps=settings.flow_time.value, snapshots=0, job=job)


def _measure(frame: pd.DataFrame, end: Trained, runs: Runs) -> pd.DataFrame:
    alive = torch.nonzero(~end.diverged).squeeze(1)
    frame = frame.assign(step=end.steps.numpy())
    diverged: Statistics = {"diverged": Statistic(end.diverged.double())}
    if not len(alive):
        return tidy(frame, diverged)
    weights, target, problems = [weight[alive] for weight in end.parameters], runs.target.select(alive), runs.problems
    loss, gradient = loss_and_gradient(weights, target)
    statistics: Statistics = {
        "loss": Statistic(loss),
        "excess_loss": Statistic(loss / target.target_energy),
        "gradient_norm": Statistic(gradient_norm(gradient) / end.gradient_scale[alive]),
        **near_minima(weights, problems.select(alive)),
    }
    if runs.rates.isfinite().all():
        statistics["stability_limit"] = Statistic(2 / runs.rates[alive])
    return tidy(frame, diverged | {name: scatter(value, alive, len(frame)) for name, value in statistics.items()})
