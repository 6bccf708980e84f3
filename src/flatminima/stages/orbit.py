"""The flattest network in the rescaling orbit of every network of one shape."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.rescaling.loading import load_all
from flatminima.rescaling.trained_orbits import measure_orbits
from flatminima.settings.rescaling import Orbits
from flatminima.stages.files import write_table


def orbit(study: str, settings: Orbits, samples: Path, networks: Sequence[Path], output: Path) -> None:
    """Minimise the sharpness over the orbit of every network (theory.md B1).

    Args:
        study: the study's name, part of every seed.
        settings: kinds of rescalings, tolerances and effort.
        samples: that the networks were trained on.
        networks: files of networks of one shape.
        output: table to write.

    Raises:
        UserError: if a file cannot be read, or the task's loss is not the sum over outputs.
    """
    write_table(output, measure_orbits(study, load_all(networks, samples), settings))
