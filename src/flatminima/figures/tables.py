"""From the measures of a study to the files of a table."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures.perceptron import tables as perceptron_tables
from flatminima.figures.rescaling import tables as rescaling_tables
from flatminima.figures.table_files import save
from flatminima.figures.theory import tables as theory_tables
from flatminima.figures.training import tables as training_tables
from flatminima.record import read_table
from flatminima.settings.parsing import nearest

Tabulation = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
"""From measures and curves to a table."""

OF_MEASURES = training_tables.TABLES | theory_tables.TABLES | rescaling_tables.TABLES
OF_CURVES: Mapping[str, Tabulation] = perceptron_tables.TABLES
TABLES = [*OF_MEASURES, *OF_CURVES]


def render_table(name: str, measures_path: Path, output: Path, details_path: Path | None = None) -> None:
    """Write a table as CSV in full precision, and rounded as an HTML fragment and a LaTeX longtable (booktabs).

    Args:
        name: one of TABLES.
        measures_path: measures.parquet of a study.
        output: the files' path without suffix.
        details_path: curves.parquet of the same study, for OF_CURVES.

    Raises:
        UserError: if the table or the measures are unknown or empty, or curves are missing.
    """
    if name not in TABLES:
        raise UserError(f"table {name!r} is not known: {nearest(name, TABLES)}")
    measures = read_table(measures_path)
    if name in OF_MEASURES:
        table = OF_MEASURES[name](measures)
    elif details_path:
        table = OF_CURVES[name](measures, read_table(details_path))
    else:
        raise UserError(f"table {name!r} is made of curves too; add --details=<the study's curves.parquet>")
    save(name, table, output)
