"""Stochastic gradient descent and Adam on samples, all replicas of a shape in one stack."""

import torch
from torch import Tensor

from flatminima.networks.stack import Stack
from flatminima.training.backpropagation import LossAndGradient, loss_and_gradient
from flatminima.training.batches import Batches
from flatminima.training.optimisers import PerReplicaOptimiser
from flatminima.training.plateau import Ends, Plateau
from flatminima.training.population import Population, copied
from flatminima.training.run import CHECK_EVERY, Stages, Trained

NO_STAGES = Stages()


class _Descent:
    """Networks on their way down; those of one seed see equal batches."""

    def __init__(
        self, stack: Stack, batches: Batches, optimiser: str, step_sizes: Tensor, gradient: LossAndGradient
    ) -> None:
        self.stack = stack.with_parameters(copied(stack.parameters))
        self._optimiser = PerReplicaOptimiser(optimiser, self.stack.parameters, step_sizes)
        self._batches, self._gradient = batches, gradient
        replicas = torch.arange(stack.replicas, device=step_sizes.device)
        self._seeds = replicas // (stack.replicas // batches.seeds)

    def slope(self) -> tuple[Tensor, list[Tensor]]:
        """Losses on the next batches, shape (networks,), and gradients."""
        inputs, targets = (t[self._seeds] for t in self._batches.draw())
        return self._gradient(self.stack, inputs, targets, self._batches.scale)

    def step(self, gradients: list[Tensor], pace: Tensor) -> None:
        """Move every network down its gradient, at a fraction `pace` of its step size, shape (networks,)."""
        self._optimiser.step(gradients, pace)

    def select(self, index: Tensor) -> None:
        """Go on with some networks."""
        self.stack, self._seeds = self.stack.select(index), self._seeds[index]
        self._optimiser.select(self.stack.parameters, index)


def stochastic_descent(
    stack: Stack,
    batches: Batches,
    optimiser: str,
    step_sizes: Tensor,
    *,
    steps: int,
    plateau: Plateau | None,
    snapshots: int,
    job: str,
    gradient: LossAndGradient = loss_and_gradient,
    stages: Stages = NO_STAGES,
) -> Trained:
    """Train all replicas together by minibatches; replicas of one seed see equal batches.

    A replica stops when it has diverged, or when its finishing steps are over, in which its step size falls linearly to
    zero: these begin when it has converged, or so that they end with the last step. The others go on.

    Args:
        stack: the networks, ordered by seed, then step size.
        batches: of the seeds.
        optimiser: `sgd` or `adam`.
        step_sizes: shape (replicas,).
        steps: largest number of steps.
        plateau: when a replica has converged; None for all steps.
        snapshots: how many networks to keep along training.
        job: name for the progress line.
        gradient: how losses and gradients are computed: written out for fully connected networks.
        stages: how many of the steps are warm-up and finishing ones.
    """
    population = Population(stack.parameters, steps, snapshots, job)
    descent = _Descent(stack, batches, optimiser, step_sizes, gradient)
    ends = Ends(stack.replicas, steps, plateau, stages, step_sizes.device)
    first_loss = first_norm = torch.empty(0)
    step = 0
    while step < steps and len(active := population.active):
        population.snapshot(step, descent.stack.parameters)
        loss, gradients = descent.slope()
        if step == 0:
            first_loss, first_norm = loss, _norm(gradients)
        descent.step(gradients, ends.pace(step, active))
        population.see(loss)
        ends.see(step, population.losses)
        if step % CHECK_EVERY == 0 or step == steps - 1:
            failed = population.fail(loss, first_loss)
            population.record(step)
            done = failed | ends.over(step, active)
            if done.any():
                population.store(descent.stack.parameters)
                population.stop(done, step)
                descent.select(~done)
        step += 1
    population.store(descent.stack.parameters)
    population.snapshot(steps, descent.stack.parameters)
    return population.finish(step, population.parameters, first_norm.double())


def _norm(gradients: list[Tensor]) -> Tensor:
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
