"""Least sharpness of linear networks on a task, for several depths."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.data.storage import load_moments
from flatminima.minima.bound import minimal_sharpness
from flatminima.stages.files import write_json


def bound(moments: Path, depths: Sequence[int], output: Path) -> None:
    """Certify the least sharpness of linear networks (theory.md I3) of the task whose moments are given.

    Args:
        moments: of the task.
        depths: numbers of layers.
        output: file to write: by depth `minimal_sharpness`, `upper`, which bounds it from above, and `gain`, that of
            the sharpest path.

    Raises:
        UserError: if the moments cannot be read.
    """
    known = load_moments(moments)
    covariance = known.loss_scale * known.input_moment
    least = {depth: minimal_sharpness(known.end_to_end_map(), depth, covariance) for depth in depths}
    write_json(
        output,
        {
            depth: {"minimal_sharpness": bounds.value, "upper": bounds.upper, "gain": bounds.gain}
            for depth, bounds in least.items()
        },
    )
