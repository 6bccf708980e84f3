"""The flattest network in the orbits of linear networks, against theory's minimum."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.data.storage import load_moments
from flatminima.networks.storage import load
from flatminima.rescaling.loading import linear
from flatminima.rescaling.trained_orbits import measure_linear_orbits
from flatminima.settings.rescaling import Orbits
from flatminima.stages.files import read_json, write_table


def linear_orbit(
    study: str, settings: Orbits, moments: Path, bounds: Path, networks: Sequence[Path], output: Path
) -> None:
    """Minimise the sharpness over the orbits of linear networks, and compare it with the least of any network.

    Args:
        study: the study's name, part of every seed.
        settings: tolerances and effort.
        moments: of the networks' task.
        bounds: least sharpness of linear networks on the task, by depth.
        networks: files of networks, one for each depth.
        output: table to write.

    Raises:
        UserError: if a file cannot be read, or the task's loss is not the sum over outputs.
    """
    least = {int(depth): values["minimal_sharpness"] for depth, values in read_json(bounds).items()}
    known = load_moments(moments)
    subjects = [subject for path in networks for subject in linear(load(path), known)]
    write_table(output, measure_linear_orbits(study, subjects, least, settings))
