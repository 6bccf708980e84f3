"""Draw the figures of a study from its measures."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from flatminima.claims.ledger import Ledger
from flatminima.errors import EmptyFigureError, UserError
from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.figure_files import save
from flatminima.record import read_table
from flatminima.settings.parsing import nearest
from flatminima.studies.kind import Kind

Drawing = Callable[[pd.DataFrame, pd.DataFrame, Claimed], tuple[Figure, pd.DataFrame]]
"""Function from measures, details (may be empty) and what claims select to a figure and what it shows."""

NO_DETAILS = pd.DataFrame(columns=["study", "case", "depth", "setting", "seed"])
"""Stands for the other table of a study that has none."""


def render(
    kind: Kind[Any],
    name: str,
    measures_path: Path,
    details_path: Path | None,
    ledger: Ledger,
    output: Path,
    without: Sequence[str] = (),
) -> None:
    """Draw a figure and write it as SVG, PDF and PNG, with what it shows as CSV.

    Where the study lacks what the figure shows, such as a network at a minimum, the figure says that and what to do.

    Args:
        kind: the kind of the study.
        name: a figure of the kind, or `<figure>-<task>` for one task alone.
        measures_path: measures.parquet of a study.
        details_path: shared.parquet or curves.parquet of that study, where it has one.
        ledger: the claims; a figure shows the networks that the claims it belongs to select.
        output: the files' path without suffix.
        without: experiments that are left out, with their controls and nulls.

    Raises:
        UserError: if a table is missing or holds no network, or the figure or task is unknown.
    """
    figure, plotted = drawn(kind, name, measures_path, details_path, ledger, without)
    save(figure, plotted, output)


def drawn(
    kind: Kind[Any],
    name: str,
    measures_path: Path,
    details_path: Path | None,
    ledger: Ledger,
    without: Sequence[str] = (),
) -> tuple[Figure, pd.DataFrame]:
    """Draw what `render` writes: a figure and the table of what it shows, or a note of what is absent.

    Raises:
        UserError: as `render`.
    """
    try:
        measures = read_table(measures_path)
        details = read_table(details_path) if details_path else NO_DETAILS
        return draw(kind, name, measures[~measures["case"].isin(without)], details, Claimed(ledger, measures))
    except EmptyFigureError as absence:
        note = f"figure {name}: {absence}"
        print(note, file=sys.stderr)
        return style.note(note), pd.DataFrame({"absent": [note]})


def draw(
    kind: Kind[Any], name: str, measures: pd.DataFrame, details: pd.DataFrame, claimed: Claimed
) -> tuple[Figure, pd.DataFrame]:
    """The figure of a name, and the table of what it shows.

    Args:
        kind: the kind of the study.
        name: a figure of the kind, or `<figure>-<task>`.
        measures: the networks that it may show.
        details: the study's other table.
        claimed: what claims select among all networks of the study.

    Raises:
        EmptyFigureError: if the study lacks what the figure shows.
        UserError: if the figure or task is unknown, or there is no network at all.
    """
    _, task = kind.split(name)
    drawing = drawing_of(kind, name)
    if measures.empty:
        raise UserError(f"figure {name}: the measures hold no network; run the study's experiments first")
    if task is None:
        return drawing(measures, details, claimed)
    tasks = sorted(measures["task"].unique()) if "task" in measures else []
    if task not in tasks:
        raise UserError(f"figure {name!r}: no network of task {task!r} in the measures: {nearest(task, tasks)}")
    of_task = replace(claimed, measures=claimed.measures[claimed.measures["task"] == task])
    return drawing(measures[measures["task"] == task], details, of_task)


def drawing_of(kind: Kind[Any], name: str) -> Drawing:
    """The function that draws a figure: that of its module's own name."""
    module = kind.figure_module(name)
    drawing: Drawing = getattr(import_module(module), module.rpartition(".")[2])
    return drawing
