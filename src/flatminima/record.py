"""The tables of record: their columns, their rows, and their files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from flatminima.errors import UserError

COLUMNS = ("study", "case", "control", "setting", "depth", "seed", "layer", "statistic", "value", "error_bound")
"""First columns of every table of measures; the labels of its kind follow."""
LABELS = COLUMNS[: COLUMNS.index("layer")]
"""Columns that say which network a row is about."""
WITHIN = ("layer", "distance", "flips")
"""Columns that tell the values of one statistic of one network apart, where a table has them."""
IDENTITY = ("setting", "seed", "task", "initialisation", "start", "condition")
"""Columns that tell the networks of one case, control and depth apart, where a table has them."""
QUANTILES = {"": 0.5, "_q05": 0.05, "_q25": 0.25, "_q75": 0.75, "_q95": 0.95}
"""Endings of the names of a statistic's quantiles over samples; the name without one is the median's."""
FIRST_LAYER = {f"path_residual{ending}": 2 for ending in QUANTILES}
"""Number of the first layer of a statistic of layers, where it is not 1."""
ROWS = 2**18
"""Number of rows of a joined table that are held in memory, and of rows in a row group of its file."""


def long_table(
    labels: pd.DataFrame, values: Mapping[str, ArrayLike], error_bounds: Mapping[str, ArrayLike] | None = None
) -> pd.DataFrame:
    """Rows of a table of measures.

    Args:
        labels: one row per network; columns LABELS, and the labels of the kind.
        values: statistics of whole networks, of shape (networks,), or of their layers, (networks, layers).
        error_bounds: of some of them, in the same shapes; or one number for all.

    Returns:
        Columns COLUMNS and the labels of the kind; layer is 0 for whole networks, error_bound NaN for none.
    """
    bounds = error_bounds or {}
    table = pd.concat(
        [_rows(labels, name, value, bounds.get(name, np.nan)) for name, value in values.items()], ignore_index=True
    )
    return table[[*COLUMNS, *(name for name in labels if name not in LABELS)]]


def full_name(case: str, control: str) -> str:
    """Name of a case, or of one of its controls: `linear`, `linear-unbalanced`; random streams are named by it."""
    return f"{case}-{control}" if control else case


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of networks at the end of training: all rows of a table without column `final`."""
    return table[table["final"]] if "final" in table else table


def _rows(labels: pd.DataFrame, name: str, value: ArrayLike, bound: ArrayLike) -> pd.DataFrame:
    values = np.asarray(value, np.float64)
    count, first = (1, 0) if values.ndim == 1 else (values.shape[1], FIRST_LAYER.get(name, 1))
    flat = values.reshape(len(labels), count)
    return labels.loc[labels.index.repeat(count)].assign(
        layer=np.tile(np.arange(first, first + count), len(labels)),
        statistic=name,
        value=flat.ravel(),
        error_bound=np.broadcast_to(np.asarray(bound, np.float64), values.shape).ravel(),
    )


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file as a table.

    Raises:
        UserError: if there is no such file, or it is damaged.
    """
    with _named(path):
        return pd.read_parquet(path)


def join_tables(parts: Sequence[Path], output: Path) -> None:
    """Write the rows of all parts, in order, to one Parquet file, whose bytes do not depend on how rows are divided.

    Columns are matched by name, in the order of the first part; one that a part lacks, or that has no type there
    because the part is empty, is null. Memory is bounded by ROWS, whatever the number and the size of the parts.

    Raises:
        UserError: as `read_table`; or if a column is a text in one part and a number in another.
    """
    schema = _joint_schema(parts)
    with pq.ParquetWriter(output, schema) as writer:
        for rows in _row_groups(parts, schema):
            writer.write_table(rows)


def _joint_schema(parts: Sequence[Path]) -> pa.Schema:
    schemas = []
    for path in parts:
        with _named(path):
            schemas.append(pq.read_schema(path).remove_metadata())
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise UserError(f"{parts[0]} and other parts: {error}; delete them and run `make reproduce`") from error


def _row_groups(parts: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """All rows, ROWS at a time; one group of none if there are none."""
    waiting = schema.empty_table()
    for path in parts:
        for rows in _batches(path):
            waiting = pa.concat_tables([waiting, rows], promote_options="permissive")
            while waiting.num_rows > ROWS:
                yield waiting.slice(0, ROWS).combine_chunks()
                waiting = waiting.slice(ROWS)
    yield waiting.combine_chunks()


def _batches(path: Path) -> Iterator[pa.Table]:
    with _named(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            yield pa.Table.from_batches([batch]).replace_schema_metadata(None)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of reading a file become one line that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make reproduce` to measure the study's networks first") from None
    except (OSError, ValueError) as error:
        found = " ".join(str(error).split())
        raise UserError(f"{path}: damaged: {found}; delete it and run `make reproduce`") from error
