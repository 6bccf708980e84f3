"""Searches that try to break what theory says of global minima of deep linear networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatminima.minima.balance import product_norms
from flatminima.minima.coupling import follow
from flatminima.minima.hessian import MinimumHessian
from flatminima.minima.linear import LinearProblems
from flatminima.minima.problems import draw_problems
from flatminima.minima.sampling import Chart, flattest
from flatminima.minima.theory import labels, stream, undiverged
from flatminima.minima.tidy import Statistic, tidy
from flatminima.networks.initialisations import named_generator
from flatminima.networks.stack import end_to_end
from flatminima.settings.theory import Attack, Condition
from flatminima.training.progress import Progress

LONGEST, SHORTEST = 0.5, 1e-7
SOFTNESS = 0.05
"""The attack's step lengths, and the temperature of its smoothed eigenvalue at the longest step."""
NEAR, FAR = 1e-3, 0.7
"""Standard deviations of an attack's first coordinates: about a flattest minimum, and far from it."""
RESTARTS = 4
"""Attempts on the same problem."""
PLANTED = "-planted"


Inequality = Callable[[Sequence[Tensor], LinearProblems, Tensor], Tensor]
"""From weights, problems and sharpness / minimal sharpness to left / right side, which theory puts at 1 or more."""


def white_inequality(_: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I2: sharpness >= 2 m s^{2-2/m} with s the largest singular value of T. True for white inputs alone."""
    return ratio * problems.least / (2 * problems.depth * problems.largest_gain ** (2 - 2 / problems.depth))


def bound_inequality(_: Sequence[Tensor], __: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I3: sharpness >= 2 m max_p (||C p||^2 ||T C p||^{2(m-1)})^{1/m}."""
    return ratio


def path_inequality(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I4 off equality: sharpness ratio >= mean over k of (g_{k-1} / (g_k gamma_k))^2, g_0 = gamma_m = 1.

    Here g_k are the path gains and gamma_k the path cosines: a minimum can be flat only if all of them are near one.
    """
    gains, cosines = _gains_and_cosines(weights, problems)
    before = torch.cat([torch.ones_like(gains[:, :1]), gains[:, :-1]], 1)
    return ratio / (before / (gains * cosines)).square().mean(1)


def band_inequality(weights: Sequence[Tensor], problems: LinearProblems, ratio: Tensor) -> Tensor:
    """theory.md I5 off equality: the norm of a partial product is at most what sharpness and the path allow.

    ||W_k...W_1 C|| / (||Cp|| rho^{k/m}) <= g_{k+1} gamma_{k+1} sqrt(m ratio - lambda_min(Sx) / (||Cp|| g_1 gamma_1)^2).
    """
    gains, cosines = _gains_and_cosines(weights, problems)
    factors = gains * cosines
    norms = product_norms(weights, problems.root, problems.amplitude, problems.gain)
    spent = problems.smallest_variance / (problems.amplitude * factors[:, 0]) ** 2
    allowed = factors[:, 1:] * (problems.depth * ratio - spent).sqrt().unsqueeze(1)
    return (allowed / norms).amin(1)


def _gains_and_cosines(weights: Sequence[Tensor], problems: LinearProblems) -> tuple[Tensor, Tensor]:
    """g_1..g_m and gamma_1..gamma_m; the last of each is one, because the product of the layers is T."""
    path = follow(weights, problems.direction, problems.image, problems.gain)
    ones = torch.ones_like(problems.gain).unsqueeze(1)
    return torch.cat([path.gain[:, :-1], ones], 1), torch.cat([path.cosine, ones], 1)


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


STATEMENTS: dict[str, Inequality] = {
    "attack_white": white_inequality,
    "attack_coloured": white_inequality,
    "attack_bound": bound_inequality,
    "attack_path": path_inequality,
    "attack_band": band_inequality,
}
"""What is attacked. `attack_white` takes white inputs alone; `attack_coloured` takes others, and must succeed."""


def attack(study: str, name: str, settings: Attack) -> pd.DataFrame:
    """Try to break one statement on random problems, half of the attempts from near a flattest minimum, half from far.

    The control `<name>-planted` puts the same searches to a stronger statement, which is false.

    Args:
        study: the study's name, part of every seed.
        name: a key of STATEMENTS.
        settings: conditions, depths and effort.

    Returns:
        Tidy rows of inequality_ratio, left side / right side at its least (below one is a violation), and of
        sharpness_ratio and product_defect there. Column task holds the condition, initialisation near or far.
    """
    conditions = _conditions(name, settings)
    cases = [(key, condition, depth) for key, condition in conditions.items() for depth in settings.depths.value]
    progress, tables = Progress(f"{study} {name}", len(cases)), []
    for case, (key, condition, depth) in enumerate(cases):
        names = study, name, key, depth
        attempts = np.arange(settings.attempts.value)
        near = attempts < len(attempts) // 2
        problems = draw_problems(condition, depth, -(-len(attempts) // RESTARTS), stream(*names, "problems"))
        problems = problems.select(torch.from_numpy(attempts % len(problems.least)))
        chart = Chart.around(flattest(problems, condition.rank), condition.hidden)
        scale = torch.from_numpy(np.where(near, NEAR, FAR)).unsqueeze(1)
        start = scale * chart.draw(1.0, named_generator(*names, "starts"))
        found = search(STATEMENTS[name], chart, problems, start, settings.steps.value)
        shared = labels(study, len(near), case, task=key, initialisation=np.where(near, "near", "far"), depth=depth)
        shared = shared.assign(optimiser="subgradient")
        tables += [_true(name, shared, found), _planted(name, shared, found, settings.planted.value)]
        progress.report(case + 1, f"closest approach {found.inequality.min() - 1:.1e}")
    progress.finish(len(cases), f"{len(cases) * settings.attempts.value} attempts")
    return pd.concat(tables, ignore_index=True)


def _conditions(name: str, settings: Attack) -> dict[str, Condition]:
    conditions = settings.conditions.value
    if name == "attack_white":
        return {key: condition.model_copy(update={"ill": 1.0}) for key, condition in conditions.items()}
    if name == "attack_coloured":
        return {key: condition for key, condition in conditions.items() if condition.ill > 1}
    return conditions


def _true(name: str, shared: pd.DataFrame, found: Approach) -> pd.DataFrame:
    statistics = {
        "inequality_ratio": Statistic(found.inequality),
        "sharpness_ratio": Statistic(found.ratio),
        "product_defect": Statistic(found.defect),
    }
    return tidy(shared.assign(experiment=name), undiverged(len(shared)) | statistics)


def _planted(name: str, shared: pd.DataFrame, found: Approach, factor: float) -> pd.DataFrame:
    statistics = undiverged(len(shared)) | {"inequality_ratio": Statistic(factor * found.inequality)}
    return tidy(shared.assign(experiment=f"{name}{PLANTED}"), statistics)


def search(inequality: Inequality, chart: Chart, problems: LinearProblems, start: Tensor, steps: int) -> Approach:
    """Descend on the logarithm of left side / right side over the set of global minima, all attempts together.

    A subgradient method: steps of prescribed length, from LONGEST to SHORTEST in geometric progression, along the
    gradient with the top eigenvalue smoothed over its neighbours at a temperature in proportion to the step. Values are
    exact at every point visited: dense float64 eigenvalues of I1's operator.

    Args:
        inequality: what to break.
        chart: the minima.
        problems: one problem for each attempt.
        start: first coordinates, shape (attempts, size).
        steps: number of steps.
    """
    point = start
    best = Approach(*(torch.full((len(start),), torch.inf, dtype=start.dtype) for _ in range(3)))
    for length in np.geomspace(LONGEST, SHORTEST, steps):
        point = point.detach().requires_grad_()
        weights = chart.weights(point)
        hessian = MinimumHessian.at(weights, problems.root)
        values, vectors = torch.linalg.eigh(hessian.dense().detach())
        best = _closer(best, inequality, weights, problems, values[:, -1])
        share = torch.softmax((values / values[:, -1:] - 1) / (SOFTNESS * length / LONGEST), 1)
        smooth = hessian.inner_product((vectors * share.unsqueeze(1)) @ vectors.mT)
        height = inequality(weights, problems, smooth / problems.least).log().sum()
        (slope,) = torch.autograd.grad(height, point)
        norm = slope.norm(dim=1, keepdim=True)
        point = point - length * slope.nan_to_num() / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    return best


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
