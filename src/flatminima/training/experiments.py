"""Training of the replicas of a job, by the optimiser that its experiment names."""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from flatminima.data.moments import Moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks.device import CPU
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.settings.training import MOMENT_OPTIMISERS, Experiment
from flatminima.training.backpropagation import loss_and_gradient, loss_and_gradient_by_autograd
from flatminima.training.batches import Batches, SampleProblem
from flatminima.training.descent import gradient_descent
from flatminima.training.flow import gradient_flow
from flatminima.training.job import Job
from flatminima.training.moment_problem import MomentProblem
from flatminima.training.plateau import Plateau
from flatminima.training.run import Stages, Trained
from flatminima.training.starts import start
from flatminima.training.stochastic import stochastic_descent


@dataclass(frozen=True)
class Task:
    """Data that networks are trained on.

    Attributes:
        samples: training samples.
        moments: their second moments.
        critical_step: 2 / (least sharpness of linear networks of the job's depth).
    """

    samples: Samples
    moments: Moments
    critical_step: float


def train(job: Job, task: Task, device: torch.device = CPU) -> tuple[Networks, pd.DataFrame]:
    """Train the replicas of a job.

    Args:
        job: which replicas, and how.
        task: what they are trained on.
        device: where to train; the gradient flow, which scipy integrates, is computed on the processor.

    Returns:
        The networks, snapshots along training included, and the training history with columns
        seed, setting (the configured step size), step, loss.

    Raises:
        UserError: if the task does not fit the network family, or there is no such part.
    """
    replicas, optimiser = job.replicas(task.critical_step), job.experiment.optimiser
    place = CPU if optimiser == "gradient_flow" else device
    seeds = torch.arange(len(job.seeds)).repeat_interleave(job.repeats)
    stack = start(job, task.samples).select(seeds).to(place)
    rates = torch.tensor(replicas["step_size"].to_numpy()).to(place)
    trained = (_on_moments if optimiser in MOMENT_OPTIMISERS else _on_samples)(job, task, stack, rates)
    return _with_snapshots(stack, trained, replicas, job.labels), _history(trained, replicas)


def _on_moments(job: Job, task: Task, stack: Stack, rates: Tensor) -> Trained:
    moments, experiment = task.moments, job.experiment
    problem = MomentProblem(
        torch.from_numpy(moments.loss_scale * moments.input_moment).to(rates.device),
        torch.from_numpy(moments.loss_scale * moments.cross_moment).to(rates.device),
        torch.tensor(moments.loss_scale * moments.target_energy, dtype=torch.float64).to(rates.device),
    )
    steps, snapshots = experiment.steps, experiment.snapshots
    if experiment.optimiser == "gradient_flow":
        duration = steps * task.critical_step
        return gradient_flow(stack.weights, problem, duration, steps=steps, snapshots=snapshots, job=job.title)
    return gradient_descent(
        stack.weights,
        problem,
        rates,
        steps=steps,
        tolerance=experiment.tolerance,
        snapshots=snapshots,
        job=job.title,
        stages=_stages(experiment),
    )


def _on_samples(job: Job, task: Task, stack: Stack, rates: Tensor) -> Trained:
    samples, experiment = task.samples, job.experiment
    if experiment.batch_size is None:
        raise UserError(f"{job.title}: batch_size is missing; {experiment.optimiser} needs it")
    fresh = samples.noise_draw == "fresh"
    problem = SampleProblem(
        inputs=torch.from_numpy(samples.targets if fresh else samples.inputs).to(rates.device),
        targets=torch.from_numpy(samples.targets).to(rates.device),
        scale=task.moments.loss_scale,
        fresh_noise=samples.noise if fresh else None,
    )
    return stochastic_descent(
        stack.with_parameters([parameter.float() for parameter in stack.parameters]),
        Batches(problem, experiment.batch_size, job.generators("batches")),
        experiment.optimiser,
        rates,
        steps=experiment.steps,
        plateau=_plateau(experiment, task, experiment.batch_size),
        snapshots=experiment.snapshots,
        job=job.title,
        gradient=loss_and_gradient_by_autograd if experiment.family == "fully_convolutional" else loss_and_gradient,
        stages=_stages(experiment),
    )


def _stages(experiment: Experiment) -> Stages:
    warmup, finish = (round(part * experiment.steps) if part else 0 for part in (experiment.warmup, experiment.finish))
    return Stages(warmup, finish)


def _plateau(experiment: Experiment, task: Task, batch_size: int) -> Plateau | None:
    """Below the least loss of linear maps, and after one epoch at the earliest."""
    if experiment.plateau is None:
        return None
    ceiling = task.moments.loss_scale * task.moments.minimal_loss()
    return Plateau(experiment.plateau, ceiling, len(task.samples.inputs) // batch_size)


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
    rows = [replicas[["seed", "setting"]].assign(step=step, loss=loss.cpu().numpy()) for step, loss in trained.history]
    return pd.concat(rows, ignore_index=True)
