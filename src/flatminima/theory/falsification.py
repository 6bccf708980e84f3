"""Searches that try to break what theory says of global minima of deep linear networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatminima.generators import named_generator
from flatminima.minima.hessian import MinimumHessian
from flatminima.minima.linear import LinearProblems
from flatminima.minima.statistics import Statistic, tidy
from flatminima.networks.stack import end_to_end
from flatminima.progress import Progress
from flatminima.record import full_name
from flatminima.settings.theory import Attack, Condition
from flatminima.theory.inequalities import FALSE, STATEMENTS, Inequality
from flatminima.theory.problems import draw_problems
from flatminima.theory.sampling import Chart, flattest
from flatminima.theory.shared import labels, stream, undiverged

SHARE, LONGEST, SHORTEST = 0.25, 0.5, 2e-7
"""A search's first step: this share of the start's coordinates, at least LONGEST; the last in units of the first."""
MOMENTUM, SOFTNESS = 0.5, 0.05
"""Weight of earlier directions, and temperature of the smoothed eigenvalue at the first step."""
NEAR, FAR = 1e-3, 0.7
"""Standard deviations of an attack's first coordinates: about a flattest minimum, and far from it."""
RESTARTS = 4
"""Number of attempts on each problem."""
CLOSE = 1.1
"""Left side / right side at which a search from far has come to what it attacks."""
PLANTED = "planted"


@dataclass(frozen=True)
class Approach:
    """The closest approach of every attempt to a violation.

    Attributes:
        inequality: least left side / right side, shape (attempts,); below one is a violation.
        ratio: sharpness / minimal sharpness there, shape (attempts,).
        defect: ||(W_m...W_1 - T) C|| / ||T C|| there: how far rounding has moved the product, shape (attempts,).
    """

    inequality: Tensor
    ratio: Tensor
    defect: Tensor


def attack(study: str, name: str, settings: Attack) -> pd.DataFrame:
    """Try to break one statement on random problems, half of the attempts from near a flattest minimum, half from far.

    The control `planted` has searches of its own, all from far, against a false statement near the true one.

    Args:
        study: the study's name, part of every seed.
        name: a key of STATEMENTS.
        settings: conditions, depths and effort.

    Returns:
        Rows of inequality_ratio, left side / right side at its least (below one is a violation), and of
        sharpness_ratio and product_defect there; of attempts from far also reached, 1 if inequality_ratio came to
        within a tenth of one, else 0. The start is near or far.
    """
    conditions = _conditions(name, settings)
    cases = [(key, condition, depth) for key, condition in conditions.items() for depth in settings.depths]
    progress, tables = Progress(f"{study} {name}", len(cases)), []
    for case, (key, condition, depth) in enumerate(cases):
        for planted, control in ((False, ""), (True, PLANTED)):
            names = study, full_name(name, control), key, depth
            count = settings.controls if planted else settings.attempts
            near = np.arange(count) < (0 if planted else count // 2)
            problems = draw_problems(condition, depth, -(-count // RESTARTS), stream(*names, "problems"))
            problems = problems.select(torch.arange(count) % len(problems.least))
            chart = Chart.around(flattest(problems, condition.rank), condition.hidden)
            scale = torch.from_numpy(np.where(near, NEAR, FAR)).unsqueeze(1)
            start = scale * chart.draw(1.0, named_generator(*names, "starts"))
            found = search((FALSE if planted else STATEMENTS)[name], chart, problems, start, settings.steps)
            seeds, starts = np.arange(count) + case * count, np.where(near, "near", "far")
            frame = labels(study, name, depth, seeds, control=control, start=starts, condition=key)
            tables += _tidied(frame, found)
        progress.report(case + 1, f"closest approach of the control {found.inequality.min() - 1:.1e}")
    progress.finish(len(cases), f"{len(cases) * settings.attempts} attempts")
    return pd.concat(tables, ignore_index=True)


def _conditions(name: str, settings: Attack) -> dict[str, Condition]:
    conditions = settings.conditions
    if name == "attack_white":
        return {key: condition.model_copy(update={"ill": 1.0}) for key, condition in conditions.items()}
    if name == "attack_coloured":
        return {key: condition for key, condition in conditions.items() if condition.ill > 1}
    return conditions


def _tidied(frame: pd.DataFrame, found: Approach) -> list[pd.DataFrame]:
    statistics = {
        "inequality_ratio": Statistic(found.inequality),
        "sharpness_ratio": Statistic(found.ratio),
        "product_defect": Statistic(found.defect),
    }
    far = np.flatnonzero(frame["start"] == "far")
    reached = (found.inequality[torch.from_numpy(far)] <= CLOSE).double()
    every = tidy(frame, undiverged(len(frame)) | statistics)
    return [every, tidy(frame.iloc[far].reset_index(drop=True), {"reached": Statistic(reached)})]


def search(inequality: Inequality, chart: Chart, problems: LinearProblems, start: Tensor, steps: int) -> Approach:
    """Descend on the logarithm of left side / right side over the set of global minima, all attempts together.

    A subgradient method with momentum: steps of prescribed length in geometric progression, along the mean of the
    gradients' directions, with the top eigenvalue smoothed over its neighbours at a temperature in proportion to the
    step. The first length is in proportion to the start's distance from the chart's origin, so that the sum of all
    exceeds it. Values are exact at every point visited: dense float64 eigenvalues of I1's operator.

    Args:
        inequality: what to break.
        chart: the minima.
        problems: one problem for each attempt.
        start: first coordinates, shape (attempts, size).
        steps: number of steps.
    """
    point, direction = start, torch.zeros_like(start)
    first = (SHARE * start.norm(dim=1, keepdim=True)).clamp_min(LONGEST)
    best = Approach(*(torch.full((len(start),), torch.inf, dtype=start.dtype) for _ in range(3)))
    for length in np.geomspace(1.0, SHORTEST, steps):
        point = point.detach().requires_grad_()
        weights = chart.weights(point)
        hessian = MinimumHessian.at(weights, problems.root)
        values, vectors = torch.linalg.eigh(hessian.dense().detach())
        best = _closer(best, inequality, weights, problems, values[:, -1])
        share = torch.softmax((values / values[:, -1:] - 1) / (SOFTNESS * length), 1)
        smooth = hessian.inner_product((vectors * share.unsqueeze(1)) @ vectors.mT)
        height = inequality(weights, problems, smooth / problems.least).log().sum()
        (slope,) = torch.autograd.grad(height, point)
        direction = MOMENTUM * direction + (1 - MOMENTUM) * _unit(slope.nan_to_num())
        point = point - length * first * _unit(direction)
    return best


def _unit(vectors: Tensor) -> Tensor:
    norms = vectors.norm(dim=1, keepdim=True)
    unit: Tensor = vectors / norms.clamp_min(torch.finfo(norms.dtype).tiny)
    return unit


@torch.no_grad()
def _closer(
    best: Approach, inequality: Inequality, weights: Sequence[Tensor], problems: LinearProblems, sharpness: Tensor
) -> Approach:
    ratio = sharpness / problems.least
    value = inequality(weights, problems, ratio)
    mapped = problems.end_to_end @ problems.root
    defect = torch.linalg.matrix_norm(end_to_end(weights) @ problems.root - mapped) / torch.linalg.matrix_norm(mapped)
    closer = value < best.inequality
    pairs = zip((value, ratio, defect), (best.inequality, best.ratio, best.defect), strict=True)
    return Approach(*(torch.where(closer, new, old) for new, old in pairs))
