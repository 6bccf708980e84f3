"""From the measures of a study to the files of a table."""

from pathlib import Path

from flatminima.config import nearest
from flatminima.errors import UserError
from flatminima.figures import rescaling_tables, theory_tables, training_tables
from flatminima.figures.table_files import save
from flatminima.provenance.tables import read_table

TABLES = training_tables.TABLES | theory_tables.TABLES | rescaling_tables.TABLES


def render_table(name: str, measures_path: Path, output: Path) -> None:
    """Write a table as CSV in full precision, and rounded as an HTML fragment and a LaTeX longtable (booktabs).

    Args:
        name: a key of TABLES.
        measures_path: measures.parquet of a study.
        output: the files' path without suffix.

    Raises:
        UserError: if the table or the measures are unknown or empty.
    """
    if name not in TABLES:
        raise UserError(f"table {name!r} is not known: {nearest(name, TABLES)}")
    save(name, TABLES[name](read_table(measures_path)), output)
