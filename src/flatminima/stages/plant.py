"""Surroundings of planted solutions, which no solver found."""

from pathlib import Path

from flatminima.perceptron.survey import planted_solutions
from flatminima.settings.perceptron import Attempts
from flatminima.stages.files import write_table


def plant(study: str, size: int, settings: Attempts, output: Path) -> None:
    """Count the neighbours of planted solutions.

    Args:
        study: the study's name, part of every seed.
        size: N, the number of weights.
        settings: loads and numbers of instances.
        output: table to write.
    """
    write_table(output, planted_solutions(study, size, settings))
