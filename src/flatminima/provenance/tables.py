"""Tables of record: Parquet files that are read whole, or named in an error."""

from pathlib import Path

import pandas as pd

from flatminima.errors import UserError


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file as a table.

    Raises:
        UserError: if there is no such file, or it is damaged.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make reproduce` to measure the study's networks first") from None
    except (OSError, ValueError) as error:
        found = " ".join(str(error).split())
        raise UserError(f"{path}: damaged: {found}; delete it and run `make reproduce`") from error
