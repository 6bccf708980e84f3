"""Tables of record: Parquet files that are read whole, or named in an error."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from flatminima.errors import UserError


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
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make reproduce` to measure the study's networks first") from None
    except (OSError, ValueError) as error:
        found = " ".join(str(error).split())
        raise UserError(f"{path}: damaged: {found}; delete it and run `make reproduce`") from error
