"""The volume of a minimum of two weights."""

from pathlib import Path

from flatminima.rescaling.coordinates import volumes
from flatminima.settings.rescaling import Demonstrations
from flatminima.stages.files import write_tables


def volume(study: str, settings: Demonstrations, measures: Path, curves: Path) -> None:
    """Sample the area of low loss of a network of two weights, in a growing range of weights (theory.md D2).

    Args:
        study: the study's name, part of every seed.
        settings: ranges and numbers of samples.
        measures: table to write.
        curves: table to write.
    """
    write_tables((measures, curves), volumes(study, settings))
