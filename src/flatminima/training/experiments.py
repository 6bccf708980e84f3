"""One training job: replicas (seed x step size) of one experiment at one depth, all or those of some seeds."""

import numpy as np
import pandas as pd
import torch
from torch import Generator

from flatminima.data.moments import Moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks.fully_convolutional import image_shape
from flatminima.networks.initialisations import generators, initialise, initialise_filters
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.settings.training import MOMENT_OPTIMISERS, Experiment
from flatminima.training.descent import MomentProblem, gradient_descent, gradient_flow
from flatminima.training.run import Stages, Trained
from flatminima.training.stochastic import (
    Plateau,
    SampleProblem,
    loss_and_gradient,
    loss_and_gradient_by_autograd,
    stochastic_descent,
)

CPU = torch.device("cpu")


def train(
    study: str,
    name: str,
    experiment: Experiment,
    depth: int,
    samples: Samples,
    moments: Moments,
    critical_step: float,
    part: int = 0,
    device: torch.device = CPU,
) -> tuple[Networks, pd.DataFrame]:
    """Train replicas of a shape: all, or one part of the seeds; what a seed draws is the same in any division.

    Args:
        study: the study's name, part of every seed.
        name: the experiment's name, part of every seed.
        experiment: its settings.
        depth: number of layers.
        samples: training samples of its task.
        moments: their second moments.
        critical_step: 2 / (minimal sharpness of the linear network of this depth).
        part: number of the job, where the experiment is divided into several.
        device: where to train; the gradient flow, which scipy integrates, is computed on the processor.

    Returns:
        The networks, snapshots along training included, and the training history with columns
        seed, step_fraction, step, loss.

    Raises:
        UserError: if the task does not fit the network family, or there is no such part.
    """
    parts = experiment.parts()
    if not 0 <= part < len(parts):
        raise UserError(
            f"part is {part}: experiments.{name} has {len(parts)}, from 0; change `seeds_per_job` or `part`"
        )
    seeds = parts[part]
    job = f"{study} {name} depth {depth}" + (f" part {part}" if len(parts) > 1 else "")
    fractions = np.array(experiment.step_sizes or [np.nan])
    step_sizes = fractions * (critical_step if experiment.step_unit == "critical" else 1.0)
    stack = _start(name, experiment, depth, samples, generators(study, name, depth, seeds, "weights"))
    place = CPU if experiment.optimiser == "gradient_flow" else device
    stack = stack.select(torch.arange(len(seeds)).repeat_interleave(len(fractions))).to(place)
    step_sizes = np.tile(step_sizes, len(seeds))
    rates = torch.from_numpy(step_sizes).to(place)
    if experiment.optimiser in MOMENT_OPTIMISERS:
        trained = _on_moments(experiment, stack, moments, rates, critical_step, job)
    else:
        streams = generators(study, name, depth, seeds, "batches")
        trained = _on_samples(experiment, stack, samples, moments, rates, streams, job)
    replicas = pd.DataFrame(
        {
            "seed": np.repeat(seeds, len(fractions)),
            "step_size": step_sizes,
            "step_fraction": np.tile(fractions, len(seeds)),
        }
    )
    if experiment.start_scale is not None:
        replicas["start_scale"] = experiment.start_scale
    labels: dict[str, str | int] = {
        "study": study,
        "experiment": name,
        "family": experiment.family,
        "task": experiment.task,
        "initialisation": experiment.initialisation,
        "optimiser": experiment.optimiser,
        "depth": depth,
    }
    return _with_snapshots(stack, trained, replicas, labels), _history(trained, replicas)


def _start(name: str, experiment: Experiment, depth: int, samples: Samples, streams: list[Generator]) -> Stack:
    bias, scale = experiment.bias, experiment.start_scale or 1.0
    if experiment.family == "convolutional" and experiment.width is not None:
        side, colours = _images(name, experiment, samples)
        channels = [colours, *[experiment.width] * (depth - 1), colours]
        return initialise_filters(channels, side, streams, bias=bias, scale=scale)
    widths = _widths(name, experiment, depth, samples)
    rectified = experiment.family == "relu"
    return initialise(experiment.initialisation, widths, streams, rectified=rectified, bias=bias, scale=scale)


def _images(name: str, experiment: Experiment, samples: Samples) -> tuple[int, int]:
    inputs, outputs = samples.inputs.shape[1], samples.targets.shape[1]
    if inputs != outputs:
        raise UserError(
            f"experiments.{name}.family is convolutional: its outputs are images as its inputs are, but the task "
            f"{experiment.task!r} has {inputs} inputs and {outputs} outputs; choose a denoising task or the family relu"
        )
    return image_shape(inputs, f"experiments.{name}.family is convolutional")


def _widths(name: str, experiment: Experiment, depth: int, samples: Samples) -> list[int]:
    inputs, outputs = samples.inputs.shape[1], samples.targets.shape[1]
    if experiment.family == "residual_linear" and inputs != outputs:
        raise UserError(
            f"experiments.{name}.family is residual_linear: its layers are square, but the task {experiment.task!r} "
            f"has {inputs} inputs and {outputs} outputs; choose a denoising task or the family linear"
        )
    hidden = experiment.width or inputs
    return [inputs, *[hidden] * (depth - 1), outputs]


def _on_moments(
    experiment: Experiment, stack: Stack, moments: Moments, rates: torch.Tensor, critical_step: float, job: str
) -> Trained:
    problem = MomentProblem(
        torch.from_numpy(moments.loss_scale * moments.input_moment).to(rates.device),
        torch.from_numpy(moments.loss_scale * moments.cross_moment).to(rates.device),
        torch.tensor(moments.loss_scale * moments.target_energy, dtype=torch.float64).to(rates.device),
    )
    steps, snapshots = experiment.steps, experiment.snapshots
    if experiment.optimiser == "gradient_flow":
        duration = steps * critical_step
        return gradient_flow(stack.weights, problem, duration, steps=steps, snapshots=snapshots, job=job)
    tolerance = experiment.tolerance
    return gradient_descent(
        stack.weights,
        problem,
        rates,
        steps=steps,
        tolerance=tolerance,
        snapshots=snapshots,
        job=job,
        stages=_stages(experiment),
    )


def _on_samples(
    experiment: Experiment,
    stack: Stack,
    samples: Samples,
    moments: Moments,
    rates: torch.Tensor,
    streams: list[Generator],
    job: str,
) -> Trained:
    if experiment.batch_size is None:
        raise UserError(f"{job}: batch_size is missing; {experiment.optimiser} needs it")
    fresh = samples.noise_draw == "fresh"
    problem = SampleProblem(
        inputs=torch.from_numpy(samples.targets if fresh else samples.inputs).to(rates.device),
        targets=torch.from_numpy(samples.targets).to(rates.device),
        scale=moments.loss_scale,
        fresh_noise=samples.noise if fresh else None,
    )
    single = stack.with_parameters([parameter.float() for parameter in stack.parameters])
    return stochastic_descent(
        single,
        problem,
        experiment.optimiser,
        rates,
        streams,
        batch_size=experiment.batch_size,
        steps=experiment.steps,
        plateau=_plateau(experiment, problem, moments),
        snapshots=experiment.snapshots,
        job=job,
        gradient=loss_and_gradient_by_autograd if experiment.family == "convolutional" else loss_and_gradient,
        stages=_stages(experiment),
    )


def _stages(experiment: Experiment) -> Stages:
    steps = experiment.steps
    warmup, finish = (round(part * steps) if part else 0 for part in (experiment.warmup, experiment.finish))
    return Stages(warmup, finish)


def _plateau(experiment: Experiment, problem: SampleProblem, moments: Moments) -> Plateau | None:
    """Below the least loss of linear maps, and after one epoch at the earliest."""
    if experiment.plateau is None or experiment.batch_size is None:
        return None
    ceiling = moments.loss_scale * moments.minimal_loss()
    return Plateau(experiment.plateau, ceiling, len(problem.inputs) // experiment.batch_size)


def _with_snapshots(stack: Stack, trained: Trained, replicas: pd.DataFrame, labels: dict[str, str | int]) -> Networks:
    """Stack the final networks and the snapshots before them as further replicas."""
    final = replicas.assign(
        step=trained.steps.cpu().numpy(),
        final=True,
        diverged=trained.diverged.cpu().numpy(),
        gradient_scale=trained.gradient_scale.cpu().numpy(),
    )
    along = [final.assign(step=shot.step, final=False) for shot in trained.snapshots]
    sets = [trained.parameters, *(shot.parameters for shot in trained.snapshots)]
    parameters = [torch.cat(tensors).cpu() for tensors in zip(*sets, strict=True)]
    return Networks(stack.with_parameters(parameters), pd.concat([final, *along], ignore_index=True), labels)


def _history(trained: Trained, replicas: pd.DataFrame) -> pd.DataFrame:
    rows = [
        replicas[["seed", "step_fraction"]].assign(step=step, loss=loss.cpu().numpy()) for step, loss in trained.history
    ]
    return pd.concat(rows, ignore_index=True)
