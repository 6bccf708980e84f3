"""Gradient descent on random quadratic losses."""

from pathlib import Path

from flatminima.settings.stability import Descent
from flatminima.stability.descent import runs
from flatminima.stages.files import write_table


def descend(study: str, settings: Descent, output: Path) -> None:
    """Descend on random losses, and measure how far from the minimum every run ends.

    Args:
        study: the study's name, part of the seed.
        settings: sizes, numbers and effort.
        output: table to write.
    """
    write_table(output, runs(study, settings))
