"""Global minima of random linear problems, made to order."""

from pathlib import Path

from flatminima.settings.theory import Minima
from flatminima.stages.files import write_table
from flatminima.theory.construction import construct as construct_minima


def construct(study: str, settings: Minima, output: Path) -> None:
    """Construct minima and measure them.

    Args:
        study: the study's name, part of every seed.
        settings: sizes, numbers and effort.
        output: table to write.
    """
    write_table(output, construct_minima(study, settings))
