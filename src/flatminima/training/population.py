"""Replicas in training: which of them go on, and what is kept of all."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flatminima.progress import Progress, state
from flatminima.training.run import Snapshot, Trained, has_diverged, snapshot_steps


class Population:
    """Replicas that train together; those that diverged or came to rest stop, and the others go on.

    Attributes:
        parameters: of all replicas, as they were last stored; each of shape (replicas, ...).
        losses: last ones of all replicas, float64, shape (replicas,).
        active: indices of the replicas that go on.
        diverged: whether each replica has diverged, shape (replicas,).
    """

    def __init__(self, parameters: Sequence[Tensor], steps: int, snapshots: int, job: str) -> None:
        """Copy the replicas' parameters.

        Args:
            parameters: each of shape (replicas, ...).
            steps: largest number of steps.
            snapshots: how many networks to keep along training.
            job: name for the progress line.
        """
        replicas, place = len(parameters[0]), parameters[0].device
        self.parameters = copied(parameters)
        self.losses = torch.full((replicas,), torch.nan, dtype=torch.float64, device=place)
        self.active = torch.arange(replicas, device=place)
        self.diverged = torch.zeros(replicas, dtype=torch.bool, device=place)
        self._stopped_at = torch.full_like(self.active, steps)
        self._wanted = set(snapshot_steps(snapshots, steps))
        self._snapshots: list[Snapshot] = []
        self._history: list[tuple[int, Tensor]] = []
        self._progress = Progress(job, steps)

    def wants(self, step: int) -> bool:
        """Whether a snapshot is to be kept at this step."""
        return step in self._wanted

    def keep(self, step: int, parameters: Sequence[Tensor]) -> None:
        """Keep a snapshot of all replicas."""
        self._snapshots.append(Snapshot(step, tuple(parameters)))

    def snapshot(self, step: int, parameters: Sequence[Tensor]) -> None:
        """Store the parameters of the active replicas and keep a copy of all, at a step that wants a snapshot."""
        if self.wants(step):
            self.store(parameters)
            self.keep(step, copied(self.parameters))

    def store(self, parameters: Sequence[Tensor]) -> None:
        """Store the parameters of the active replicas."""
        for whole, part in zip(self.parameters, parameters, strict=True):
            whole[self.active] = part

    def see(self, loss: Tensor) -> None:
        """Note the losses of the active replicas."""
        self.losses[self.active] = loss.double()

    def fail(self, loss: Tensor, high: Tensor) -> Tensor:
        """Note which active replicas have diverged, and return whether each has.

        Args:
            loss: of the active replicas.
            high: of all replicas, a loss that is high already.
        """
        failed = has_diverged(loss, high[self.active])
        self.diverged[self.active] |= failed
        return failed

    def record(self, step: int) -> None:
        """Add the losses to the history, NaN for replicas that have diverged."""
        self._history.append((step, torch.where(self.diverged, torch.nan, self.losses)))
        self._progress.report(step, self._state())

    def stop(self, done: Tensor, step: int) -> None:
        """Stop some of the active replicas; `done` says of each whether it stops."""
        self._stopped_at[self.active[done]] = step
        self.active = self.active[~done]

    def finish(self, step: int, parameters: Sequence[Tensor], gradient_scale: Tensor) -> Trained:
        """Outcome of the run, after `step` steps."""
        self._progress.finish(step, self._state())
        history = self._history
        return Trained(tuple(parameters), self._stopped_at, self.diverged, gradient_scale, self._snapshots, history)

    def _state(self) -> str:
        return state(self._history[-1][1].nanmedian().item(), int(self.diverged.sum()))


def copied(parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Copies of all parameters."""
    return tuple(parameter.clone() for parameter in parameters)
