"""Training on random linear problems from one kind of start."""

from pathlib import Path

from flatminima.networks.device import flush_denormals
from flatminima.settings.theory import Convergence
from flatminima.stages.files import write_table
from flatminima.theory.convergence import converge as train_from


def converge(study: str, start: str, settings: Convergence, output: Path) -> None:
    """Train from one kind of start, and measure where training ends.

    Args:
        study: the study's name, part of every seed.
        start: kind of start.
        settings: sizes, numbers and effort.
        output: table to write.
    """
    flush_denormals()
    write_table(output, train_from(study, start, settings))
