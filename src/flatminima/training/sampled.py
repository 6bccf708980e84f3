"""Stochastic gradient descent and Adam on samples, all replicas of a shape in one stack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.optim import Adam

from flatminima.networks.stack import Stack
from flatminima.training.progress import Progress, state
from flatminima.training.run import CHECK_EVERY, Snapshot, Trained, has_diverged, snapshot_steps

LossAndGradient = Callable[[Stack, Tensor, Tensor, float], tuple[Tensor, list[Tensor]]]


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
        inputs, targets = self._problem.inputs[rows], self._problem.targets[rows]
        if self._problem.fresh_noise is not None:
            noise = [torch.randn(inputs.shape[1:], generator=g, dtype=inputs.dtype) for g in self._generators]
            inputs = inputs + self._problem.fresh_noise * torch.stack(noise)
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


class PerReplicaOptimiser:
    """SGD or Adam with a learning rate for each stacked replica, where torch keeps one per tensor.

    Adam's updates are read off torch's optimiser: it moves displacements from zero, uphill and at rate one.
    """

    def __init__(self, name: str, parameters: Sequence[Tensor], step_sizes: Tensor) -> None:
        """Set up for parameters of shape (replicas, ...) and step sizes of shape (replicas,)."""
        self._parameters = parameters
        self._rates = [step_sizes.view(-1, *[1] * (p.dim() - 1)).to(p.dtype) for p in parameters]
        self._displacements = [torch.zeros_like(p) for p in parameters] if name == "adam" else []
        self._adam = Adam(self._displacements, lr=1.0, maximize=True) if name == "adam" else None

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move every parameter along its gradient."""
        updates = gradients if self._adam is None else self._adam_updates(self._adam, gradients)
        for parameter, rate, update in zip(self._parameters, self._rates, updates, strict=True):
            parameter.addcmul_(rate, update, value=-1)

    @torch.no_grad()
    def freeze(self, replicas: Tensor) -> None:
        """Stop some replicas, a boolean mask, and zero their parameters and optimiser state."""
        tensors = [*self._parameters, *self._rates]
        if self._adam is not None:
            tensors += [v for state in self._adam.state.values() for v in state.values() if v.dim() > 0]
        for tensor in tensors:
            tensor[replicas] = 0

    def _adam_updates(self, adam: Adam, gradients: Sequence[Tensor]) -> list[Tensor]:
        for displacement, gradient in zip(self._displacements, gradients, strict=True):
            displacement.zero_()
            displacement.grad = gradient
        adam.step()
        return self._displacements


def stochastic_descent(
    stack: Stack,
    problem: SampleProblem,
    optimiser: str,
    step_sizes: Tensor,
    generators: Sequence[Generator],
    *,
    batch_size: int,
    steps: int,
    snapshots: int,
    job: str,
    gradient: LossAndGradient = loss_and_gradient,
) -> Trained:
    """Minibatch training of all replicas together; replicas of one seed see the same batches.

    Args:
        stack: the networks, ordered by seed, then step size.
        problem: the samples.
        optimiser: `sgd` or `adam`.
        step_sizes: shape (replicas,).
        generators: one per seed; they draw the batches and the fresh noise.
        batch_size: samples per step.
        steps: number of steps.
        snapshots: how many networks to keep along training.
        job: name for the progress line.
        gradient: how losses and gradients are computed: written out for fully connected networks.
    """
    current = stack.with_parameters(_copy(stack.parameters))
    parameters = current.parameters
    descent = PerReplicaOptimiser(optimiser, parameters, step_sizes)
    batches = Batches(problem, batch_size, generators)
    copies = stack.replicas // len(generators)
    diverged = torch.zeros(stack.replicas, dtype=torch.bool)
    stopped_at = torch.full((stack.replicas,), steps)
    first_loss = first_norm = torch.empty(0)
    wanted = set(snapshot_steps(snapshots, steps))
    kept: list[Snapshot] = []
    history: list[tuple[int, Tensor]] = []
    progress = Progress(job, steps)
    for step in range(steps):
        if step in wanted:
            kept.append(Snapshot(step, _copy(parameters)))
        inputs, targets = (t.repeat_interleave(copies, 0) for t in batches.draw())
        loss, gradients = gradient(current, inputs, targets, problem.scale)
        if step == 0:
            first_loss, first_norm = loss, _norm(gradients)
        descent.step(gradients)
        if step % CHECK_EVERY == 0 or step == steps - 1:
            failed = has_diverged(loss, first_loss) & ~diverged
            stopped_at[failed] = step
            diverged |= failed
            descent.freeze(diverged)
            history.append((step, torch.where(diverged, torch.nan, loss.double())))
            progress.report(step, state(history[-1][1].nanmedian().item(), int(diverged.sum())))
    if snapshots:
        kept.append(Snapshot(steps, _copy(parameters)))
    progress.finish(steps, state(history[-1][1].nanmedian().item(), int(diverged.sum())))
    return Trained(_copy(parameters), stopped_at, diverged, first_norm.double(), kept, history)


def _copy(parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(p.clone() for p in parameters)


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
