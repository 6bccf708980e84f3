"""All solutions of small perceptrons."""

from pathlib import Path

from flatminima.perceptron.enumeration import enumerate_perceptrons
from flatminima.settings.perceptron import Enumeration
from flatminima.stages.files import write_tables


def enumerate(study: str, settings: Enumeration, measures: Path, curves: Path) -> None:
    """Enumerate the solutions of random instances, and compare their numbers with replica theory.

    Args:
        study: the study's name, part of every seed.
        settings: sizes, loads and numbers of instances.
        measures: table to write.
        curves: table to write.
    """
    write_tables((measures, curves), enumerate_perceptrons(study, settings))
