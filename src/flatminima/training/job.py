"""One training job: the replicas (seed x step size) of one experiment at one depth, all or those of some seeds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Generator

from flatminima.errors import UserError
from flatminima.generators import generators
from flatminima.settings.training import Experiment


@dataclass(frozen=True)
class Job:
    """Replicas that are trained together; what a seed draws does not depend on the division into jobs.

    Attributes:
        study: the study's name, part of every seed.
        name: the experiment's name, part of every seed.
        experiment: its settings.
        depth: number of layers.
        part: number of the job, where the experiment is divided into several.
    """

    study: str
    name: str
    experiment: Experiment
    depth: int
    part: int = 0

    @property
    def seeds(self) -> range:
        """Seeds of the replicas.

        Raises:
            UserError: if there is no such part.
        """
        parts = self.experiment.parts()
        if not 0 <= self.part < len(parts):
            raise UserError(
                f"part is {self.part}: experiments.{self.name} has {len(parts)}, from 0; "
                "change `seeds_per_job` or `part`"
            )
        return parts[self.part]

    @property
    def title(self) -> str:
        """Name for the progress line."""
        part = f" part {self.part}" if len(self.experiment.parts()) > 1 else ""
        return f"{self.study} {self.name} depth {self.depth}{part}"

    @property
    def repeats(self) -> int:
        """Replicas of each seed: the number of its step sizes, one for the gradient flow."""
        return len(self.experiment.step_sizes or [None])

    def generators(self, purpose: str) -> list[Generator]:
        """Random stream of each seed."""
        return generators(self.study, self.name, self.depth, self.seeds, purpose)

    def replicas(self, critical_step: float) -> pd.DataFrame:
        """Labels of the replicas, ordered by seed, then step size.

        Returns:
            Columns seed, step_size, setting (the step size as configured), both NaN for the gradient flow, and
            start_scale where the experiment sets it.
        """
        settings = np.array(self.experiment.step_sizes or [np.nan])
        unit = critical_step if self.experiment.step_unit == "critical" else 1.0
        columns = {
            "seed": np.repeat(self.seeds, self.repeats),
            "step_size": np.tile(settings * unit, len(self.seeds)),
            "setting": np.tile(settings, len(self.seeds)),
        }
        scale = {} if self.experiment.start_scale is None else {"start_scale": self.experiment.start_scale}
        return pd.DataFrame(columns).assign(**scale)

    @property
    def labels(self) -> dict[str, str | int]:
        """Labels that all replicas have."""
        return {
            "study": self.study,
            "case": self.name,
            "control": "",
            "family": self.experiment.family,
            "task": self.experiment.task,
            "initialisation": self.experiment.initialisation,
            "optimiser": self.experiment.optimiser,
            "depth": self.depth,
        }
