"""Writing the files of a figure."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.files import atomic_path

FORMATS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
    "png": {"dpi": 200},
}


@style.styled
def save(figure: Figure, plotted: pd.DataFrame, output: Path) -> None:
    """Write a figure as SVG, PDF and PNG, and what it shows as CSV, with equal bytes each time.

    Args:
        figure: the figure.
        plotted: what it shows.
        output: the files' path without suffix.

    Raises:
        UserError: if a file cannot be written.
    """
    style.settle(figure)
    for suffix, options in FORMATS.items():
        with atomic_path(output.with_name(f"{output.name}.{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, **options)
    save_data(plotted, output)


def save_data(plotted: pd.DataFrame, output: Path) -> None:
    """Write what a figure shows as CSV, with equal bytes each time.

    Args:
        plotted: what it shows.
        output: the file's path without suffix.

    Raises:
        UserError: if the file cannot be written.
    """
    with atomic_path(output.with_name(f"{output.name}.csv")) as temporary:
        plotted.to_csv(temporary, index=False, lineterminator="\n")
