"""Entropy and mutual distance of typical solutions of a binary perceptron, by margin."""

from pathlib import Path

from flatminima.perceptron.typical import typical_solutions
from flatminima.settings.perceptron import ReplicaTheory
from flatminima.stages.files import write_tables


def typical(study: str, settings: ReplicaTheory, measures: Path, curves: Path) -> None:
    """Compute how many typical solutions there are, and how far apart they lie (theory.md 3.2).

    Args:
        study: the study's name.
        settings: loads and margins.
        measures: table to write.
        curves: table to write.
    """
    write_tables((measures, curves), typical_solutions(study, settings))
