"""Files that stages read and write: tables and numbers by name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flatminima.errors import UserError
from flatminima.files import atomic_path


def read_json(path: Path) -> Any:
    """Values that an earlier stage wrote.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the step that makes it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable JSON ({error}); delete it and run again") from error


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet file, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_tables(paths: Sequence[Path], tables: Sequence[pd.DataFrame]) -> None:
    """Write one Parquet file for each table."""
    for path, table in zip(paths, tables, strict=True):
        write_table(path, table)
