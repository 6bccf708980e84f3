"""From the measures of a study to the files of a figure."""

import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from flatminima.config import nearest
from flatminima.errors import EmptyFigureError, UserError
from flatminima.figures import style
from flatminima.figures.coupling import coupling
from flatminima.figures.files import save
from flatminima.figures.gains import gains
from flatminima.figures.overview import overview
from flatminima.figures.path_cosine import path_cosine
from flatminima.figures.sharpness import sharpness
from flatminima.figures.training import training
from flatminima.provenance.tables import read_table

FIGURES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], tuple[Figure, pd.DataFrame]]] = {
    "overview": overview,
    "sharpness": sharpness,
    "gains": gains,
    "coupling": coupling,
    "training": training,
    "path-cosine": path_cosine,
}


def render(name: str, measures_path: Path, overlaps_path: Path, output: Path) -> None:
    """Draw a figure and write it as SVG, PDF and PNG, with what it shows as CSV.

    Where the study lacks what the figure shows, such as a network at a minimum, the figure says that and what to do.

    Args:
        name: a key of FIGURES, or `<key>-<task>` for one task alone.
        measures_path: measures.parquet of a study.
        overlaps_path: overlaps.parquet of the same study.
        output: the files' path without suffix.

    Raises:
        UserError: if a table is missing or holds no network, or the figure or task is unknown.
    """
    try:
        figure, plotted = draw(name, read_table(measures_path), read_table(overlaps_path))
    except EmptyFigureError as absence:
        print(absence, file=sys.stderr)
        figure, plotted = style.note(str(absence)), pd.DataFrame({"absent": [str(absence)]})
    save(figure, plotted, output)


def draw(name: str, measures: pd.DataFrame, overlaps: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """The figure of a name, and the table of what it shows.

    Raises:
        EmptyFigureError: if the study lacks what the figure shows.
        UserError: if the figure or task is unknown, or there is no network at all.
    """
    if measures.empty:
        raise UserError(f"figure {name}: the measures hold no network; run the study's experiments first")
    if name in FIGURES:
        return FIGURES[name](measures, overlaps)
    figure, _, task = name.rpartition("-")
    if figure not in FIGURES:
        raise UserError(
            f"figure {name!r} is not known: {nearest(figure or name, FIGURES)}; or one of them with -<task>"
        )
    tasks = sorted(measures["task"].unique())
    if task not in tasks:
        raise UserError(f"figure {name!r}: no network of task {task!r} in the measures: {nearest(task, tasks)}")
    return FIGURES[figure](measures[measures["task"] == task], overlaps)
