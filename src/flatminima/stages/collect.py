"""One table of record, joined from its parts."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.files import atomic_path, numbered
from flatminima.record import join_tables


def collect(tables: Sequence[str], output: Path) -> None:
    """Join the tables of all parts.

    Args:
        tables: paths of the parts, in order; `part{0..9}` stands for ten.
        output: table to write.

    Raises:
        UserError: if a part is missing or damaged, or does not fit the others.
    """
    with atomic_path(output) as temporary:
        join_tables([Path(name) for table in tables for name in numbered(table)], temporary)
