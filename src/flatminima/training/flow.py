"""Gradient flow of linear networks on second moments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from flatminima.progress import Progress, state
from flatminima.training.moment_problem import DiagonalProblem, MomentProblem, gradient_norm, loss_and_gradient
from flatminima.training.run import Snapshot, Trained, has_diverged, snapshot_steps

Array = NDArray[np.float64]
TOLERANCE = 1e-9
"""Relative and absolute error that the integrator allows in a step."""


@dataclass(frozen=True)
class _Flow:
    """The ordinary differential equation dW/dt = -grad L, for all weights of all replicas as one vector."""

    shapes: list[torch.Size]
    problem: DiagonalProblem
    duration: float
    steps: int
    progress: Progress

    def weights(self, flat: Array) -> list[Tensor]:
        parts = torch.split(torch.from_numpy(flat), [shape.numel() for shape in self.shapes])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def velocity(self, time: float, flat: Array) -> Array:
        loss, gradient = loss_and_gradient(self.weights(flat), self.problem)
        self.progress.report(round(self.steps * time / self.duration), state(loss.median().item(), 0))
        return -_flat(gradient)


def gradient_flow(
    weights: Sequence[Tensor], problem: MomentProblem, duration: float, *, steps: int, snapshots: int, job: str
) -> Trained:
    """Gradient flow dW/dt = -grad L by an adaptive Runge-Kutta method of order 8 (scipy's DOP853).

    Args:
        weights: m tensors, W_k of shape (replicas, d_k, d_{k-1}), float64.
        problem: the moments.
        duration: time to integrate over.
        steps: `duration` in the unit of the snapshots' steps.
        snapshots: how many networks to keep along the flow.
        job: name for the progress line.

    Raises:
        RuntimeError: if the integrator fails.
    """
    diagonal = DiagonalProblem.of(problem)
    start = diagonal.rotated(weights)
    first_loss, first_gradient = loss_and_gradient(start, diagonal)
    flow = _Flow([weight.shape for weight in weights], diagonal, duration, steps, Progress(job, steps))
    wanted = snapshot_steps(max(snapshots, 2), steps)
    times = np.array(wanted) * (duration / steps)
    solution = solve_ivp(
        flow.velocity, (0.0, times[-1]), _flat(start), "DOP853", t_eval=times, rtol=TOLERANCE, atol=TOLERANCE
    )
    if not solution.success:
        raise RuntimeError(f"{job}: the gradient flow could not be integrated: {solution.message}")
    reached = [flow.weights(flat.copy()) for flat in solution.y.T]
    kept = [Snapshot(step, diagonal.restored(parts)) for step, parts in zip(wanted, reached, strict=True)]
    losses = [(step, loss_and_gradient(parts, diagonal)[0]) for step, parts in zip(wanted, reached, strict=True)]
    flow.progress.finish(steps, state(losses[-1][1].median().item(), 0))
    return Trained(
        parameters=kept[-1].parameters,
        steps=torch.full((len(weights[0]),), steps),
        diverged=has_diverged(losses[-1][1], first_loss),
        gradient_scale=gradient_norm(first_gradient),
        snapshots=kept if snapshots else [],
        history=losses,
    )


def _flat(tensors: Sequence[Tensor]) -> Array:
    flat: Array = torch.cat([tensor.flatten() for tensor in tensors]).numpy()
    return flat
