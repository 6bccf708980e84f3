"""Ends of gradient descent and gradient flow on random linear problems."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Generator, Tensor

from flatminima.generators import named_generator
from flatminima.minima.linear import LinearProblems
from flatminima.minima.statistics import Statistic, Statistics, scatter, tidy
from flatminima.networks.initialisations import initialise
from flatminima.networks.stack import Stack
from flatminima.networks.symmetries import rescale_layers
from flatminima.settings.theory import Convergence
from flatminima.theory.price import balance_price
from flatminima.theory.runs import Runs, Tasks, stacks
from flatminima.theory.sampling import Chart, flattest, of_ratio
from flatminima.theory.shared import near_minima
from flatminima.training.descent import gradient_descent
from flatminima.training.flow import gradient_flow
from flatminima.training.moment_problem import MomentProblem, gradient_norm, loss_and_gradient
from flatminima.training.run import Trained

CONTROL = "unbalanced"
LOG_SCALE = 1.0
ARRIVED = {"excess_loss": 1e-6, "gradient_norm": 1e-4}
"""Largest excess loss and gradient, relative to its start, of a run that counts as at a global minimum."""
ZERO_RESIDUALS = ("residual", "flow")
"""The starts W_k = I."""

Weights = Sequence[Tensor]


def converge(study: str, start: str, settings: Convergence) -> pd.DataFrame:
    """Train on random square maps of every kind and on label tasks, with white and with other inputs.

    Args:
        study: the study's name, part of every seed.
        start: `residual` or `default`, gradient descent from zero residuals or from PyTorch's default start; `flow`,
            gradient flow from zero residuals; `catapult`, gradient descent with a growing step: from beside a sharp
            minimum, and at each larger step from beside the minimum that the last one reached.
        settings: sizes, steps and how long to train.

    Returns:
        Rows of all statistics, NaN but for `diverged` and `arrived` where a run diverged; those of the price of balance
        also where it did not arrive. Cases are `<start>_<map>_<inputs>`. The control `unbalanced` of zero residuals has
        the same functions with their layers rescaled at random; case `catapult_start_<map>_<inputs>` has the minima
        that each step size of a catapult starts from.
    """
    tables = (
        table
        for tasks in stacks(study, start, settings)
        for table in (_catapult if start == "catapult" else _train)(study, start, tasks, settings)
    )
    return pd.concat(tables, ignore_index=True)


def _train(study: str, start: str, tasks: Tasks, settings: Convergence) -> Iterator[pd.DataFrame]:
    fractions = [float("nan")] if start == "flow" else settings.step_sizes
    runs, depth = Runs.of(study, start, tasks, fractions), tasks.problems.depth
    random = named_generator(study, start, depth, tasks.name, "starts")
    if start == "default":
        widths = [runs.size] * (depth + 1)
        first: Weights = initialise("pytorch", widths, [random] * len(tasks.kinds)).weights
        weights = [weight.repeat_interleave(len(fractions), 0) for weight in first]
    else:
        identity = torch.eye(runs.size, dtype=torch.float64)
        weights = [identity.repeat(len(runs.rates), 1, 1) for _ in range(depth)]
    job = f"{study} {start} {tasks.name} depth {depth}"
    end = _flow(job, weights, runs, settings) if start == "flow" else _descend(job, weights, runs, settings)
    yield _measure(runs.labels, end, runs)
    if start not in ZERO_RESIDUALS:
        return
    stack = Stack(end.parameters)
    control = rescale_layers(stack, LOG_SCALE, [random] * stack.replicas).weights
    frame = runs.labels.assign(control=CONTROL)
    yield _measure(frame, replace(end, parameters=control), runs)


def _catapult(study: str, start: str, tasks: Tasks, settings: Convergence) -> Iterator[pd.DataFrame]:
    problems, depth = Runs.of(study, start, tasks, settings.growing_steps[:1]), tasks.problems.depth
    random = named_generator(study, start, depth, tasks.name, "starts")
    weights = _sharp(problems, settings, random)
    for fraction in settings.growing_steps:
        runs = problems.at(fraction)
        kicked = [_kick(weight, settings.kick, random) for weight in weights]
        end = _descend(f"{study} {start} {tasks.name} depth {depth} step {fraction:g}", kicked, runs, settings)
        begun = replace(
            end, parameters=tuple(weights), steps=torch.zeros_like(end.steps), diverged=_not_finite(weights)
        )
        names = runs.labels["case"].str.replace("catapult", "catapult_start")
        yield _measure(runs.labels.assign(case=names), begun, runs)
        yield _measure(runs.labels, end, runs)
        weights = [torch.where(end.diverged.view(-1, 1, 1), torch.nan, weight) for weight in end.parameters]


def _sharp(runs: Runs, settings: Convergence, random: Generator) -> Weights:
    chart = Chart.around(flattest(runs.problems, runs.size), runs.size)
    ratios = torch.full_like(runs.rates, settings.start_ratio)
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
    steps, tolerance = settings.steps, settings.tolerance
    return gradient_descent(weights, runs.target, runs.rates, steps=steps, tolerance=tolerance, snapshots=0, job=job)


def _flow(job: str, weights: Weights, runs: Runs, settings: Convergence) -> Trained:
    """Each problem for as long in units of its own critical step, its loss divided by the least sharpness."""
    target, units, time = runs.target, 1 / runs.problems.least, settings.flow_time
    factor = units.view(-1, 1, 1)
    scaled = MomentProblem(factor * target.input_moment, factor * target.cross_moment, units * target.target_energy)
    end = gradient_flow(weights, scaled, 2.0 * time, steps=time, snapshots=0, job=job)
    return replace(end, gradient_scale=end.gradient_scale / units)


def _measure(frame: pd.DataFrame, end: Trained, runs: Runs) -> pd.DataFrame:
    alive = torch.nonzero(~end.diverged).squeeze(1)
    frame = frame.assign(step=end.steps.numpy())
    arrived = torch.zeros(len(frame), dtype=torch.float64)
    every: Statistics = {"diverged": Statistic(end.diverged.double()), "arrived": Statistic(arrived)}
    if not len(alive):
        return tidy(frame, every)
    weights, target, problems = [weight[alive] for weight in end.parameters], runs.target.select(alive), runs.problems
    loss, gradient = loss_and_gradient(weights, target)
    statistics: Statistics = {
        "loss": Statistic(loss),
        "excess_loss": Statistic(loss / target.target_energy),
        "gradient_norm": Statistic(gradient_norm(gradient) / end.gradient_scale[alive]),
        **near_minima(weights, problems.select(alive)),
    }
    arrived[alive] = _arrived(statistics)
    if runs.rates.isfinite().all():
        statistics["stability_limit"] = Statistic(2 / runs.rates[alive])
    if frame["start"].ne("catapult").all():
        statistics |= _price(problems.select(alive), arrived[alive], statistics["sharpness_ratio"].value)
    return tidy(frame, every | {name: scatter(value, alive, len(frame)) for name, value in statistics.items()})


def _arrived(statistics: Statistics) -> Tensor:
    return torch.stack([statistics[name].value <= limit for name, limit in ARRIVED.items()]).all(0).double()


def _price(problems: LinearProblems, arrived: Tensor, ratio: Tensor) -> Statistics:
    """Price of balance (theory.md I6), and the distance from it of runs that arrived."""
    price = balance_price(problems)
    values = {"balance_price": price, "price_error": (ratio / price - 1).abs()}
    return {name: Statistic(torch.where(arrived == 1, value, torch.nan)) for name, value in values.items()}
