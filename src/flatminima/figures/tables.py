"""Make the tables of a study from its measures."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from flatminima.errors import EmptyFigureError, UserError
from flatminima.figures.table_files import save
from flatminima.record import read_table
from flatminima.studies.kind import Kind

Tabulation = Callable[..., pd.DataFrame]
"""Function from measures, and details where the kind's tables are made of both, to a table."""


def render_table(
    kind: Kind[Any], name: str, measures_path: Path, output: Path, details_path: Path | None = None
) -> None:
    """Write a table as CSV in full precision, and rounded as an HTML fragment and a LaTeX longtable (booktabs).

    Args:
        kind: the kind of the study.
        name: one of its tables that holds no verdicts.
        measures_path: measures.parquet of a study.
        output: the files' path without suffix.
        details_path: the second table of that study, for kinds whose tables are made of both.

    Raises:
        UserError: if the table is unknown, a file is missing, or there is nothing to tabulate.
    """
    tabulation = tabulation_of(kind, name)
    read = [read_table(measures_path)]
    if kind.tabulated:
        if details_path is None:
            raise UserError(f"table {name!r} is made of {kind.details} too; add --details=<{kind.details}.parquet>")
        read.append(read_table(details_path))
    try:
        table = tabulation(*read)
    except EmptyFigureError as absence:
        raise UserError(f"table {name}: {absence}") from absence
    save(name, table, output)


def tabulation_of(kind: Kind[Any], name: str) -> Tabulation:
    """The function that makes a table: that of its name among those of its kind.

    Raises:
        UserError: if the table is unknown, or holds verdicts and is made by a command of its own.
    """
    if kind.table(name).judged:
        raise UserError(f"table {name!r} holds verdicts: make it with `flatminima {name}`")
    tabulation: Tabulation = getattr(import_module(kind.tables_module), name)
    return tabulation
