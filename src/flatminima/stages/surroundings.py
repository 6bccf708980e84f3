"""Local entropies around typical solutions of a binary perceptron."""

from pathlib import Path

from flatminima.perceptron.typical import surroundings as around_typical_solutions
from flatminima.settings.perceptron import ReplicaTheory
from flatminima.stages.files import write_tables


def surroundings(study: str, settings: ReplicaTheory, measures: Path, curves: Path) -> None:
    """Compute the local entropy around typical solutions of each margin (theory.md 3.3).

    Args:
        study: the study's name.
        settings: loads, margins and distances.
        measures: table to write.
        curves: table to write.
    """
    write_tables((measures, curves), around_typical_solutions(study, settings))
