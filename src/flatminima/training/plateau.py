"""When training counts as converged, and the steps at which replicas end."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flatminima.training.run import Stages


@dataclass(frozen=True)
class Plateau:
    """Criterion of convergence: the loss is low, and falls slowly for the time that training took.

    Saddles, where deep networks stay for long, are plateaus too: hence the ceiling.

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


class Ends:
    """Steps at which replicas end: the last one, or so that their finishing steps follow on their convergence."""

    def __init__(self, replicas: int, steps: int, plateau: Plateau | None, stages: Stages, place: torch.device) -> None:
        """Let all replicas end with the last step.

        Args:
            replicas: their number.
            steps: largest number of steps.
            plateau: when a replica has converged; None for all steps.
            stages: how many of the steps are warm-up and finishing ones.
            place: device.
        """
        self._plateau, self._stages = plateau, stages
        self._ends = torch.full((replicas,), steps, device=place)
        self._sums = torch.zeros(steps + 1, replicas, dtype=torch.float64, device=place)

    def pace(self, step: int, active: Tensor) -> Tensor:
        """Fraction of its step size that each active replica takes, shape (active,)."""
        left = ((self._ends[active] - step).double() / max(self._stages.finish, 1)).clamp(0, 1)
        return self._stages.warmth(step) * left

    def see(self, step: int, losses: Tensor) -> None:
        """Note the batch losses of a step, shape (replicas,)."""
        self._sums[step + 1] = self._sums[step] + losses

    def over(self, step: int, active: Tensor) -> Tensor:
        """Whether each active replica has ended, after looking which of them have converged."""
        if self._plateau:
            converged = active[self._plateau.reached(self._sums[: step + 2])[active]]
            self._ends[converged] = self._ends[converged].clamp(max=step + self._stages.finish)
        return self._ends[active] <= step
