"""Gradient descent and gradient flow of linear networks on second moments.

The loss E||Px - y||^2 depends on the data only through Sx, Syx and E||y||^2 (theory.md I1), so a step costs a few
small matrix products, whatever the number of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flatminima.progress import Progress, state
from flatminima.training.run import CHECK_EVERY, Snapshot, Stages, Trained, has_diverged, snapshot_steps

FLOW_TOLERANCE = 1e-9
FINISHING = 0.5
"""Fraction of the step size that finishing steps take: what oscillates at the edge of stability then comes to rest."""
NO_STAGES = Stages()


class _Problem:
    """One problem for all replicas, or one for each, where E||y||^2 has a dimension of replicas."""

    target_energy: Tensor

    def select(self, index: Tensor) -> Self:
        """The problems of some replicas; the same problem where all share it."""
        if self.target_energy.dim() == 0:
            return self
        return type(self)(*(value[index] for value in vars(self).values()))


@dataclass(frozen=True)
class MomentProblem(_Problem):
    """Second moments, float64: Sx (d_x, d_x), Syx (d_y, d_x), E||y||^2 (); or stacked, one problem for each replica."""

    input_moment: Tensor
    cross_moment: Tensor
    target_energy: Tensor

    def times_input_moment(self, product: Tensor) -> Tensor:
        """P Sx of maps P, shape (replicas, d_y, d_x)."""
        return product @ self.input_moment


@dataclass(frozen=True)
class DiagonalProblem(_Problem):
    """A problem in coordinates of the inputs in which Sx is diagonal.

    Gradient descent and flow are the same in all orthonormal coordinates; in these a step takes fewer products.

    Attributes:
        basis: eigenvectors Q of Sx as columns, shape (..., d_x, d_x).
        spectrum: its eigenvalues, shape (..., 1, d_x).
        cross_moment: Syx Q, shape (..., d_y, d_x).
        target_energy: E||y||^2, shape (...).
    """

    basis: Tensor
    spectrum: Tensor
    cross_moment: Tensor
    target_energy: Tensor

    @classmethod
    def of(cls, problem: MomentProblem) -> "DiagonalProblem":
        """The same problem in these coordinates."""
        spectrum, basis = torch.linalg.eigh(problem.input_moment)
        return cls(basis, spectrum.unsqueeze(-2), problem.cross_moment @ basis, problem.target_energy)

    def times_input_moment(self, product: Tensor) -> Tensor:
        """P Sx of maps P, shape (replicas, d_y, d_x)."""
        return product * self.spectrum

    def rotated(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Weights that take inputs in these coordinates."""
        return [weights[0] @ self.basis, *(weight.clone() for weight in weights[1:])]

    def restored(self, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Weights that take inputs as they were."""
        return (weights[0] @ self.basis.mT, *(weight.clone() for weight in weights[1:]))


def loss_and_gradient(
    weights: Sequence[Tensor], problem: MomentProblem | DiagonalProblem
) -> tuple[Tensor, list[Tensor]]:
    """Loss and its gradient 2 (W_m...W_{k+1})' (P Sx - Syx) (W_{k-1}...W_1)'.

    Args:
        weights: m tensors, W_k of shape (replicas, d_k, d_{k-1}).
        problem: the moments, in the coordinates of the weights.

    Returns:
        Losses, shape (replicas,), and m gradients of the weights' shapes.
    """
    partial = [weights[0]]
    for weight in weights[1:]:
        partial.append(torch.bmm(weight, partial[-1]))
    product = partial.pop()
    residual = problem.times_input_moment(product) - problem.cross_moment
    loss = ((residual - problem.cross_moment) * product).sum((1, 2)) + problem.target_energy
    back = 2 * residual
    gradients = []
    for weight, before in zip(reversed(weights[1:]), reversed(partial), strict=True):
        gradients.append(torch.bmm(back, before.mT))
        back = torch.bmm(weight.mT, back)
    return loss, [back, *reversed(gradients)]


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
    """
    replicas = len(step_sizes)
    whole_problem = diagonal = DiagonalProblem.of(problem)
    current = diagonal.rotated(weights)
    loss, gradient = loss_and_gradient(current, diagonal)
    high_loss, first_norm = torch.maximum(loss, problem.target_energy), gradient_norm(gradient)
    result = [weight.clone() for weight in current]
    losses = loss.clone()
    stopped_at = torch.full_like(loss, steps, dtype=torch.int64)
    diverged = torch.zeros_like(loss, dtype=torch.bool)
    kept, history = [Snapshot(0, tuple(weights))] if snapshots else [], [(0, loss)]
    wanted = set(snapshot_steps(snapshots, steps))
    active = torch.arange(replicas, device=loss.device)
    rate = -step_sizes.view(-1, 1, 1)
    progress = Progress(job, steps)
    step = 0
    while step < steps and len(active):
        pace = stages.warmth(step) * (FINISHING if step >= steps - stages.finish else 1.0)
        for weight, slope in zip(current, gradient, strict=True):
            weight.addcmul_(pace * rate, slope)
        step += 1
        loss, gradient = loss_and_gradient(current, diagonal)
        check = step % CHECK_EVERY == 0 or step == steps
        if check or step in wanted:
            failed = has_diverged(loss, high_loss[active])
            diverged[active] |= failed
            losses[active] = loss
            for whole, part in zip(result, current, strict=True):
                whole[active] = part
        if step in wanted:
            kept.append(Snapshot(step, whole_problem.restored(result)))
        if check:
            at_rest = gradient_norm(gradient) <= tolerance * first_norm[active]
            done = failed | at_rest if step >= 2 * stages.warmup else failed
            stopped_at[active[done]] = step
            history.append((step, torch.where(diverged, torch.nan, losses)))
            progress.report(step, state(history[-1][1].nanmedian().item(), int(diverged.sum())))
            if done.any():
                active, rate = active[~done], rate[~done]
                current, gradient = ([t[~done] for t in tensors] for tensors in (current, gradient))
                diagonal = diagonal.select(~done)
    progress.finish(step, state(history[-1][1].nanmedian().item(), int(diverged.sum())))
    return Trained(whole_problem.restored(result), stopped_at, diverged, first_norm, kept, history)


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
    from scipy.integrate import solve_ivp

    shapes = [weight.shape for weight in weights]
    sizes = [weight.numel() for weight in weights]
    diagonal = DiagonalProblem.of(problem)
    rotated = diagonal.rotated(weights)
    first_loss, first_gradient = loss_and_gradient(rotated, diagonal)
    progress = Progress(job, steps)

    def unpack(flat: NDArray[np.float64]) -> list[Tensor]:
        parts = torch.split(torch.from_numpy(flat), sizes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def velocity(time: float, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        loss, gradient = loss_and_gradient(unpack(flat), diagonal)
        progress.report(round(steps * time / duration), state(loss.median().item(), 0))
        return -torch.cat([g.flatten() for g in gradient]).numpy()

    wanted = snapshot_steps(max(snapshots, 2), steps)
    start = torch.cat([weight.flatten() for weight in rotated]).numpy()
    times = np.array(wanted) * (duration / steps)
    solution = solve_ivp(
        velocity, (0.0, times[-1]), start, "DOP853", t_eval=times, rtol=FLOW_TOLERANCE, atol=FLOW_TOLERANCE
    )
    if not solution.success:
        raise RuntimeError(f"{job}: the gradient flow could not be integrated: {solution.message}")
    reached = [unpack(flat.copy()) for flat in solution.y.T]
    kept = [Snapshot(step, diagonal.restored(parts)) for step, parts in zip(wanted, reached, strict=True)]
    losses = [(step, loss_and_gradient(parts, diagonal)[0]) for step, parts in zip(wanted, reached, strict=True)]
    progress.finish(steps, state(losses[-1][1].median().item(), 0))
    replicas = len(weights[0])
    return Trained(
        parameters=kept[-1].parameters,
        steps=torch.full((replicas,), steps),
        diverged=has_diverged(losses[-1][1], first_loss),
        gradient_scale=gradient_norm(first_gradient),
        snapshots=kept if snapshots else [],
        history=losses,
    )


def gradient_norm(gradient: Sequence[Tensor]) -> Tensor:
    """Norm over all layers, shape (replicas,)."""
    return torch.stack([g.square().sum((1, 2)) for g in gradient]).sum(0).sqrt()
