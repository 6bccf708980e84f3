"""Linear residual networks from starts of several scales: the sweep of Marion & Chizat 2024 (arXiv 2405.13456).

Their network is x -> p' W_L ... W_1 x with square layers, all trained, and a fixed unit vector p. W_L acts through its
row p' W_L alone, and as ||p|| = 1, descent on that row as the last layer takes the same steps and has the same
Hessian but for zeros. So the network is one of L layers with a single output, and theory.md I3 holds for it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.random import Generator
from torch import Tensor

from flatminima.minima.hessian import MomentHessian
from flatminima.minima.linear import LinearProblems, sharpness_statistics
from flatminima.minima.statistics import Statistic, Statistics, scatter, tidy
from flatminima.settings.theory import ScaledResidual
from flatminima.theory.price import balance_price
from flatminima.theory.shared import PRODUCTS, RESIDUAL, labels, stream
from flatminima.training.descent import gradient_descent
from flatminima.training.moment_problem import MomentProblem, gradient_norm, loss_and_gradient
from flatminima.training.run import Trained

ARRIVED = 1e-12
"""Excess loss, relative to that of the zero map, at or below which a run has arrived at a global minimum."""


def sweep(study: str, settings: ScaledResidual) -> pd.DataFrame:
    """Train on random regression problems from every scale with every step size.

    Args:
        study: the study's name, part of every seed.
        settings: the sweep.

    Returns:
        Rows of case `scaled_residual`: the seed is the problem, which starts of all scales share, the start the scale,
        the setting the step size as a multiple of the problem's critical step. Statistics are those of `_measure`, NaN
        but for `diverged` where a run diverged, and for what is known of its problem and its start.
    """
    scales = np.linspace(0.0, settings.largest_scale, settings.scales)
    steps, count = settings.step_sizes, settings.repeats
    problems, target = _problems(stream(study, "scaled_residual", "problems"), settings)
    index = torch.arange(count).repeat_interleave(len(scales) * len(steps))
    problems, target = problems.select(index), target.select(index)
    starts = _starts(scales, stream(study, "scaled_residual", "starts"), settings)
    weights = [start.repeat_interleave(len(steps), 0) for start in starts]
    rates = torch.tensor(steps, dtype=torch.float64).repeat(count * len(scales))
    scale = np.tile(np.repeat(scales, len(steps)), count)
    end = gradient_descent(
        weights,
        target,
        rates,
        steps=settings.steps,
        tolerance=settings.tolerance,
        snapshots=0,
        job=f"{study} scaled residual",
    )
    frame = labels(
        study,
        "scaled_residual",
        settings.depth,
        index.numpy(),
        start=[f"scale{value:g}" for value in scale],
        setting=(rates * problems.least / 2).numpy(),
        step_size=rates.numpy(),
        step=end.steps.numpy(),
    )
    return tidy(frame, _measure(end, problems, target, rates) | {"start_scale": Statistic(torch.from_numpy(scale))})


def published_bound(problems: LinearProblems) -> Tensor:
    """Marion & Chizat's lower bound 2 L w*'Sx w* on the sharpness of minima, for ||w*|| = 1; shape (problems,).

    theory.md I3 at p along C w*, hence at most its maximum: the two agree where w* is an eigenvector of Sx.
    """
    signal = problems.end_to_end @ problems.root
    return 2 * problems.depth * signal.square().sum((1, 2))


def _problems(random: Generator, settings: ScaledResidual) -> tuple[LinearProblems, MomentProblem]:
    """Gaussian inputs, labels of a Gaussian map with noise, divided by the norm of their least-squares solution w*."""
    count, samples, size = settings.repeats, settings.samples, settings.inputs
    inputs = random.standard_normal((count, samples, size))
    noise = settings.noise * random.standard_normal((count, samples, 1))
    outputs = inputs @ random.standard_normal((count, size, 1)) + noise
    solution = np.linalg.pinv(inputs) @ outputs
    norm = np.linalg.norm(solution, axis=1, keepdims=True)
    solution, outputs = solution / norm, outputs / norm
    moment = inputs.transpose(0, 2, 1) @ inputs / samples
    cross = outputs.transpose(0, 2, 1) @ inputs / samples
    tensors = moment, cross, (outputs**2).mean((1, 2))
    problems = LinearProblems.of(solution.transpose(0, 2, 1).copy(), moment, settings.depth)
    return problems, MomentProblem(*(torch.from_numpy(tensor) for tensor in tensors))


def _starts(scales: np.ndarray, random: Generator, settings: ScaledResidual) -> list[Tensor]:
    """W_k = I + scale / sqrt(L d) N(0, 1), the last one's row along p; shapes (problems * scales, d_k, d_{k-1}).

    A problem has a projection p of its own, and noise of its own at every scale.
    """
    count, size, depth = settings.repeats, settings.inputs, settings.depth
    noise = random.standard_normal((count, len(scales), depth, size, size))
    layers = np.eye(size) + scales[:, None, None, None] / np.sqrt(depth * size) * noise
    projection = random.standard_normal((count, 1, 1, size))
    projection /= np.linalg.norm(projection, axis=3, keepdims=True)
    weights = [layers[:, :, k] for k in range(depth - 1)] + [projection @ layers[:, :, -1]]
    return [torch.from_numpy(weight.reshape(-1, *weight.shape[2:])) for weight in weights]


def _measure(end: Trained, problems: LinearProblems, target: MomentProblem, rates: Tensor) -> Statistics:
    alive = torch.nonzero(~end.diverged).squeeze(1)
    statistics: Statistics = {
        "diverged": Statistic(end.diverged.double()),
        "published_bound": Statistic(published_bound(problems)),
        "minimal_sharpness": Statistic(problems.least, problems.gap),
        "balance_price": Statistic(balance_price(problems)),
        "stability_limit": Statistic(2 / rates),
    }
    if not len(alive):
        return statistics
    weights = [weight[alive] for weight in end.parameters]
    found = _at_end(weights, problems.select(alive), target.select(alive), end.gradient_scale[alive])
    return statistics | {name: scatter(value, alive, len(rates)) for name, value in found.items()}


def _at_end(weights: Sequence[Tensor], problems: LinearProblems, target: MomentProblem, first: Tensor) -> Statistics:
    """Loss above the least, relative to that of the zero map; gradient, relative to its first norm; sharpness."""
    loss, gradient = loss_and_gradient(weights, target)
    least = (problems.end_to_end @ target.input_moment * problems.end_to_end).sum((1, 2))
    excess = (loss - target.target_energy + least) / least
    top = MomentHessian(weights, target.input_moment, target.cross_moment).top_eigenpair(RESIDUAL, PRODUCTS)
    sharpness = sharpness_statistics(top.eigenvalues[:, 0], top.residuals[:, 0], problems)
    return {
        "loss": Statistic(loss),
        "excess_loss": Statistic(excess),
        "gradient_norm": Statistic(gradient_norm(gradient) / first),
        "arrived": Statistic((excess <= ARRIVED).double()),
        "sharpness": sharpness["sharpness"],
        "sharpness_ratio": sharpness["sharpness_ratio"],
    }
