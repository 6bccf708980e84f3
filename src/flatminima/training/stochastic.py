"""Stochastic gradient descent and Adam on samples, all replicas of a shape in one stack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from flatminima.networks.stack import Stack
from flatminima.progress import Progress, state
from flatminima.training.optimisers import PerReplicaOptimiser
from flatminima.training.run import CHECK_EVERY, Snapshot, Stages, Trained, has_diverged, snapshot_steps

LossAndGradient = Callable[[Stack, Tensor, Tensor, float], tuple[Tensor, list[Tensor]]]
NO_STAGES = Stages()


@dataclass(frozen=True)
class SampleProblem:
    """Training samples of a task.

    Attributes:
        inputs: shape (samples, d_x); clean images where `fresh_noise` is given.
        targets: shape (samples, d_y).
        scale: 1 for errors summed over outputs, 1/d_y for their mean.
        fresh_noise: standard deviation of the noise added anew to each batch, or None.
    """

    inputs: Tensor
    targets: Tensor
    scale: float
    fresh_noise: float | None = None


class Batches:
    """Minibatches of each seed: every epoch visits all samples once, in an order of its own."""

    def __init__(self, problem: SampleProblem, batch_size: int, generators: Sequence[Generator]) -> None:
        """Set up one stream per generator; a last batch that is not full is left to the next epoch's shuffle."""
        self._problem, self._generators = problem, generators
        self._size = min(batch_size, len(problem.inputs))
        self._orders = [torch.empty(0, dtype=torch.int64) for _ in generators]

    def draw(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the next step, shapes (seeds, batch, d_x) and (seeds, batch, d_y)."""
        rows = torch.stack([self._next_rows(seed) for seed in range(len(self._generators))])
        rows = rows.to(self._problem.inputs.device)
        inputs, targets = self._problem.inputs[rows], self._problem.targets[rows]
        if self._problem.fresh_noise is not None:
            noise = [torch.randn(inputs.shape[1:], generator=g, dtype=inputs.dtype) for g in self._generators]
            inputs = inputs + self._problem.fresh_noise * torch.stack(noise).to(inputs.device)
        return inputs, targets

    def _next_rows(self, seed: int) -> Tensor:
        if len(self._orders[seed]) < self._size:
            self._orders[seed] = torch.randperm(len(self._problem.inputs), generator=self._generators[seed])
        rows = self._orders[seed][: self._size]
        self._orders[seed] = self._orders[seed][self._size :]
        return rows


def loss_and_gradient(stack: Stack, inputs: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, list[Tensor]]:
    """Loss and its gradient by backpropagation, written out: autograd lays gradients out in a slower order.

    Args:
        stack: the networks.
        inputs: shape (replicas, batch, d_x).
        targets: shape (replicas, batch, d_y).
        scale: 1 for errors summed over outputs, 1/d_y for their mean.

    Returns:
        Losses, shape (replicas,), and gradients in the order and shapes of the stack's parameters.
    """
    *hidden, output = stack.layers(inputs)
    activations = [inputs, *hidden]
    error = output - targets
    loss = scale * error.square().sum(2).mean(1)
    back = error * (2 * scale / inputs.shape[1])
    weights, biases = [], []
    for k in reversed(range(stack.depth)):
        weights.append(torch.bmm(back.mT, activations[k]))
        if stack.biases:
            biases.append(back.sum(1))
        if k > 0:
            back = torch.bmm(back, stack.weights[k])
            if stack.rectified:
                back *= activations[k].sign()
    return loss, weights[::-1] + biases[::-1]


def loss_and_gradient_by_autograd(
    stack: Stack, inputs: Tensor, targets: Tensor, scale: float
) -> tuple[Tensor, list[Tensor]]:
    """The same by autograd, for any stack."""
    parameters = [parameter.detach().requires_grad_() for parameter in stack.parameters]
    error = stack.with_parameters(parameters)(inputs) - targets
    loss = scale * error.square().sum(2).mean(1)
    return loss.detach(), list(torch.autograd.grad(loss.sum(), parameters))


@dataclass(frozen=True)
class Plateau:
    """When training counts as converged: its loss is low, and has come to fall slowly for the time that it took.

    Saddles, where deep networks stay for long, are plateaus as well: hence the ceiling.

    Attributes:
        fraction: the mean batch loss of the last quarter of training must be less than this below that of the quarter
            before it, on the scale of the latter.
        ceiling: the mean batch loss of the last quarter must be below it.
        earliest: number of steps before which nothing has converged.
    """

    fraction: float
    ceiling: float
    earliest: int

    def reached(self, sums: Tensor) -> Tensor:
        """Whether each replica has converged.

        Args:
            sums: of the batch losses of the first 0, 1, 2, ... steps, shape (steps + 1, replicas).
        """
        steps, quarter = len(sums) - 1, (len(sums) - 1) // 4
        if steps < max(self.earliest, 4):
            return torch.zeros(len(sums[0]), dtype=torch.bool)
        end, middle, start = (sums[steps - k * quarter] for k in range(3))
        last, before = (end - middle) / quarter, (middle - start) / quarter
        return (last > (1 - self.fraction) * before) & (last < self.ceiling)


def stochastic_descent(
    stack: Stack,
    problem: SampleProblem,
    optimiser: str,
    step_sizes: Tensor,
    generators: Sequence[Generator],
    *,
    batch_size: int,
    steps: int,
    plateau: Plateau | None,
    snapshots: int,
    job: str,
    gradient: LossAndGradient = loss_and_gradient,
    stages: Stages = NO_STAGES,
) -> Trained:
    """Minibatch training of all replicas together; replicas of one seed see the same batches.

    A replica stops when it has diverged, or when its finishing steps are over, in which its step size falls linearly to
    zero: these begin when it has converged, or so that they end with the last step. The others go on.

    Args:
        stack: the networks, ordered by seed, then step size.
        problem: the samples.
        optimiser: `sgd` or `adam`.
        step_sizes: shape (replicas,).
        generators: one per seed; they draw the batches and the fresh noise.
        batch_size: samples per step.
        steps: largest number of steps.
        plateau: when a replica has converged; None for all steps.
        snapshots: how many networks to keep along training.
        job: name for the progress line.
        gradient: how losses and gradients are computed: written out for fully connected networks.
        stages: how many of the steps are warm-up and finishing ones.
    """
    replicas = stack.replicas
    current, result = stack.with_parameters(_copy(stack.parameters)), _copy(stack.parameters)
    descent = PerReplicaOptimiser(optimiser, current.parameters, step_sizes)
    batches = Batches(problem, batch_size, generators)
    place = step_sizes.device
    seeds = torch.arange(replicas, device=place) // (replicas // len(generators))
    diverged, active = torch.zeros(replicas, dtype=torch.bool, device=place), torch.arange(replicas, device=place)
    ends, stopped_at = torch.full_like(active, steps), torch.full_like(active, steps)
    losses = torch.full((replicas,), torch.nan, dtype=torch.float64, device=place)
    sums = torch.zeros(steps + 1, replicas, dtype=torch.float64, device=place)
    first_loss = first_norm = torch.empty(0)
    wanted = set(snapshot_steps(snapshots, steps))
    kept: list[Snapshot] = []
    history: list[tuple[int, Tensor]] = []
    progress = Progress(job, steps)
    step = 0
    while step < steps and len(active):
        if step in wanted:
            kept.append(Snapshot(step, _stored(result, current.parameters, active)))
        inputs, targets = (t[seeds[active]] for t in batches.draw())
        loss, gradients = gradient(current, inputs, targets, problem.scale)
        if step == 0:
            first_loss, first_norm = loss, _norm(gradients)
        descent.step(gradients, _pace(stages, step, ends[active]))
        losses[active] = loss.double()
        sums[step + 1] = sums[step] + losses
        if step % CHECK_EVERY == 0 or step == steps - 1:
            failed = has_diverged(loss, first_loss[active])
            diverged[active] |= failed
            losses[diverged] = torch.nan
            history.append((step, losses.clone()))
            progress.report(step, state(losses.nanmedian().item(), int(diverged.sum())))
            if plateau:
                converged = active[plateau.reached(sums[: step + 2])[active]]
                ends[converged] = ends[converged].clamp(max=step + stages.finish)
            done = failed | (ends[active] <= step)
            if done.any():
                stopped_at[active[done]] = step
                _stored(result, current.parameters, active)
                active = active[~done]
                current = current.select(~done)
                descent.select(current.parameters, ~done)
        step += 1
    _stored(result, current.parameters, active)
    if snapshots:
        kept.append(Snapshot(steps, _copy(result)))
    progress.finish(step, state(losses.nanmedian().item(), int(diverged.sum())))
    return Trained(result, stopped_at, diverged, first_norm.double(), kept, history)


def _pace(stages: Stages, step: int, ends: Tensor) -> Tensor:
    """Fraction of its step size that each replica takes, given the step at which it ends, shape (replicas,)."""
    left = ((ends - step).double() / max(stages.finish, 1)).clamp(0, 1)
    return stages.warmth(step) * left


def _stored(result: Sequence[Tensor], parameters: Sequence[Tensor], active: Tensor) -> tuple[Tensor, ...]:
    """A copy of all replicas' parameters, after those of active ones were put in."""
    for whole, part in zip(result, parameters, strict=True):
        whole[active] = part
    return _copy(result)


def _copy(parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(p.clone() for p in parameters)


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
