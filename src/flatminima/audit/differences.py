"""The first difference between two files of results, in bytes or in numbers."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

OTHER_BYTES = "other bytes than those made anew"
ROUNDING = 1e-9
"""Largest relative difference between numbers that two machines compute from equal measures."""


def difference(kept: Path, made: Path, exact: bool) -> str | None:
    """Describe how a file differs from its copy that was made again; None if it does not.

    Args:
        kept: the file that is audited.
        made: its copy, made again.
        exact: whether bytes must be equal; else numbers in csv and json files may differ by rounding, and parquet
            files, which name the library that wrote them, need to hold the same tables.
    """
    if kept.read_bytes() == made.read_bytes():
        return None
    place = next(_differences(kept, made), None) if kept.suffix in READERS else OTHER_BYTES
    return place or (OTHER_BYTES if exact else None)


def _differences(kept: Path, made: Path) -> Iterator[str]:
    try:
        yield from READERS[kept.suffix](kept, made)
    except (OSError, ValueError):
        yield "not readable"


def _json(kept: Path, made: Path) -> Iterator[str]:
    old, new = (dict(_leaves(json.loads(path.read_text(encoding="utf-8")))) for path in (kept, made))
    for place in [*old, *(place for place in new if place not in old)]:
        a, b = old.get(place), new.get(place)
        if not _equal(a, b):
            yield f"{place} is {a!r}, made anew {b!r}"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield place, value
    else:
        for key, item in items:
            yield from _leaves(item, f"{place}.{key}".lstrip("."))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=ROUNDING)
    return type(a) is type(b) and bool(a == b)


def _csv(kept: Path, made: Path) -> Iterator[str]:
    old, new = (pd.read_csv(path) for path in (kept, made))
    if list(old) != list(new) or len(old) != len(new):
        yield f"{len(old)} rows of {', '.join(map(str, old))}; made anew, {len(new)} rows of {', '.join(map(str, new))}"
        return
    for column in old:
        a, b = old[column], new[column]
        wrong = ~_equal_columns(a, b)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield f"{column} in row {row + 1} is {a[row]!s}, made anew {b[row]!s}"


def _equal_columns(a: pd.Series, b: pd.Series) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if pd.api.types.is_float_dtype(a) and pd.api.types.is_float_dtype(b):
        return np.isclose(a, b, rtol=ROUNDING, atol=0, equal_nan=True)
    return np.asarray((a == b) | (a.isna() & b.isna()))


def _parquet(kept: Path, made: Path) -> Iterator[str]:
    if not pd.read_parquet(kept).equals(pd.read_parquet(made)):
        yield "other rows than those made anew"


READERS: dict[str, Callable[[Path, Path], Iterator[str]]] = {".json": _json, ".csv": _csv, ".parquet": _parquet}
