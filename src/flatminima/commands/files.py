"""What commands read and write."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatminima.errors import UserError
from flatminima.files import atomic_path

if TYPE_CHECKING:
    from pandas import DataFrame


def flush_denormals() -> None:
    """Round numbers below 1e-38 to zero: dead units and settled optimisers make many, which slow processors down."""
    import torch

    torch.set_flush_denormal(True)


def parse_json(text: str) -> Any:
    """Settings from the command line.

    Raises:
        UserError: if the text is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON: {error}") from None


def read_json(path: Path) -> Any:
    """What an earlier step wrote.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the step that makes it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable JSON ({error}); delete it and run again") from error


def write_table(path: Path, table: "DataFrame") -> None:
    """Write a Parquet file, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_tables(tables: "tuple[DataFrame, DataFrame]", measures: Path, curves: Path) -> None:
    """Write the two tables of a part."""
    for table, path in zip(tables, (measures, curves), strict=True):
        write_table(path, table)


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
