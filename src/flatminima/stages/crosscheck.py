"""Sharpness by other libraries, where they are installed."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from flatminima.data.storage import load_moments, load_samples
from flatminima.minima.crosscheck import crosscheck as check
from flatminima.networks.storage import load
from flatminima.stages.files import write_table


def crosscheck(networks: Sequence[Path], samples: Path, moments: Path, output: Path) -> None:
    """Measure the sharpness of one network of each file by all libraries.

    Args:
        networks: files of networks of one task.
        samples: of the task.
        moments: of the task.
        output: table to write.

    Raises:
        UserError: if a file cannot be read.
    """
    problem = load_samples(samples), load_moments(moments)
    write_table(output, pd.concat([check(load(path), *problem) for path in networks], ignore_index=True))
