"""Tables of record: Parquet files that are read whole, or named in an error."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from flatminima.errors import UserError

ROWS = 2**18
"""Rows of a joined table that are held in memory, and that one row group of its file has."""


def long_table(
    labels: pd.DataFrame,
    values: Mapping[str, ArrayLike],
    error_bounds: Mapping[str, ArrayLike] | None = None,
    first_layer: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Rows of the tidy table of measures.

    Args:
        labels: one row per network: study, experiment, depth, seed and so on.
        values: statistics of whole networks, of shape (networks,), or of their layers, (networks, layers).
        error_bounds: of some of them, in the same shapes.
        first_layer: number of the first layer of a statistic, where it is not 1.

    Returns:
        The columns of `labels`, layer (0 for whole networks), statistic, value, error_bound (NaN for none).
    """
    bounds, first = error_bounds or {}, first_layer or {}
    return pd.concat(
        [_rows(labels, name, value, bounds.get(name, np.nan), first.get(name, 1)) for name, value in values.items()],
        ignore_index=True,
    )


def _rows(labels: pd.DataFrame, name: str, value: ArrayLike, bound: ArrayLike, first: int) -> pd.DataFrame:
    values = np.asarray(value, np.float64)
    flat = values.reshape(len(labels), -1)
    layers = 0 if values.ndim == 1 else first
    return labels.loc[labels.index.repeat(flat.shape[1])].assign(
        layer=np.tile(np.arange(layers, layers + flat.shape[1]), len(labels)),
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
    """Write the rows of all parts, in their order, to one Parquet file: the same bytes however the rows are divided.

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
