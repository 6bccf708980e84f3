"""Full-batch gradient descent of linear networks on second moments."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from flatminima.training.moment_problem import DiagonalProblem, MomentProblem, Sweep, gradient_norm
from flatminima.training.population import Population
from flatminima.training.run import CHECK_EVERY, Stages, Trained

FINISHING = 0.5
"""Fraction of the step size that finishing steps take: what oscillates at the edge of stability then comes to rest."""
NO_STAGES = Stages()


class Watcher(Protocol):
    """An observer of networks while they are trained."""

    def see(self, step: int, active: Tensor, weights: Sequence[Tensor], problem: DiagonalProblem, sweep: Sweep) -> None:
        """Look at the active replicas, in coordinates of the inputs in which Sx is diagonal.

        Args:
            step: number of steps that were taken.
            active: indices of these replicas among all.
            weights: theirs; they change with the next step.
            problem: theirs, or that of all.
            sweep: theirs, from which the gradient of the next step is.
        """


class _Descent:
    """Networks on their way down, in coordinates of the inputs in which Sx is diagonal."""

    def __init__(self, weights: Sequence[Tensor], problem: MomentProblem, step_sizes: Tensor) -> None:
        self.problem = DiagonalProblem.of(problem)
        self.weights = self.problem.rotated(weights)
        self._rates = -step_sizes.view(-1, 1, 1)
        self.sweep = Sweep.through(self.weights, self.problem)
        self.loss, self.gradient = self.sweep.loss, self.sweep.gradient()

    def step(self, pace: float) -> None:
        """Move all weights down their gradients, at a fraction `pace` of their step sizes."""
        for weight, slope in zip(self.weights, self.gradient, strict=True):
            weight.addcmul_(pace * self._rates, slope)
        self.sweep = Sweep.through(self.weights, self.problem)
        self.loss, self.gradient = self.sweep.loss, self.sweep.gradient()

    def select(self, index: Tensor) -> None:
        """Go on with some networks."""
        self._rates = self._rates[index]
        self.weights, self.gradient = ([t[index] for t in tensors] for tensors in (self.weights, self.gradient))
        self.problem = self.problem.select(index)
        self.sweep = self.sweep.select(index)


def gradient_descent(
    weights: Sequence[Tensor],
    problem: MomentProblem,
    step_sizes: Tensor,
    *,
    steps: int,
    tolerance: float,
    snapshots: int,
    job: str,
    stages: Stages = NO_STAGES,
    watcher: Watcher | None = None,
) -> Trained:
    """Full-batch gradient descent, all replicas together, each with its own step size.

    A replica stops when its gradient norm has fallen below `tolerance` times its first value, or when it has
    diverged: a thousand times the loss of its start, or of the zero map if that is higher. The others go on. The
    finishing steps, of those that have not stopped before, take FINISHING times the step size. After a warm-up, whose
    small steps may rest at minima too sharp for the step size, as many steps pass before a replica can stop at rest.

    Args:
        weights: m tensors, W_k of shape (replicas, d_k, d_{k-1}), float64.
        problem: the moments.
        step_sizes: shape (replicas,).
        steps: largest number of steps.
        tolerance: relative gradient norm to reach.
        snapshots: how many networks to keep along training.
        job: name for the progress line.
        stages: how many of the steps are warm-up and finishing ones.
        watcher: sees every step, such as `flatminima.minima.tracking.SharpnessTracker`.
    """
    descent = _Descent(weights, problem, step_sizes)
    coordinates = descent.problem
    high, first_norm = torch.maximum(descent.loss, problem.target_energy), gradient_norm(descent.gradient)
    population = Population(descent.weights, steps, snapshots, job)
    population.see(descent.loss)
    population.record(0)
    if population.wants(0):
        population.keep(0, weights)
    step = 0
    while step < steps and len(population.active):
        if watcher:
            watcher.see(step, population.active, descent.weights, descent.problem, descent.sweep)
        descent.step(stages.warmth(step) * (FINISHING if step >= steps - stages.finish else 1.0))
        step += 1
        check = step % CHECK_EVERY == 0 or step == steps
        if not (check or population.wants(step)):
            continue
        population.see(descent.loss)
        population.store(descent.weights)
        failed = population.fail(descent.loss, high)
        if population.wants(step):
            population.keep(step, coordinates.restored(population.parameters))
        if check:
            population.record(step)
            at_rest = gradient_norm(descent.gradient) <= tolerance * first_norm[population.active]
            done = failed | at_rest if step >= 2 * stages.warmup else failed
            if done.any():
                population.stop(done, step)
                descent.select(~done)
    return population.finish(step, coordinates.restored(population.parameters), first_norm)
