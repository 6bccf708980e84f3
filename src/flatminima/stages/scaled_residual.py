"""Linear residual networks with a fixed last projection."""

from pathlib import Path

from flatminima.networks.device import flush_denormals
from flatminima.settings.theory import ScaledResidual
from flatminima.stages.files import write_table
from flatminima.theory.scaled_residual import sweep


def scaled_residual(study: str, settings: ScaledResidual, output: Path) -> None:
    """Train residual networks from starts of several scales, and measure where training ends.

    Args:
        study: the study's name, part of every seed.
        settings: sizes, numbers and effort.
        output: table to write.
    """
    flush_denormals()
    write_table(output, sweep(study, settings))
