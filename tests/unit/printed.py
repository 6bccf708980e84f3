"""What every table must be, whatever it shows: headed in all columns, and the same in all three formats."""

from pathlib import Path

import pandas as pd

from flatminima.figures.table_files import HEADINGS, readable


def assert_headed(table: pd.DataFrame) -> None:
    """Every column has a heading, intervals stand with their medians, and no cell is empty."""
    shown = readable(table)
    assert list(shown.columns) == [
        HEADINGS[column.removesuffix("_median")] for column in table if not column.endswith(("_low", "_high"))
    ]
    assert not shown.isna().any(axis=None)


def assert_alike(stem: Path) -> None:
    """The files `stem`.csv, .html and .tex have the same number of rows, and at least one."""
    written = pd.read_csv(stem.with_suffix(".csv"))
    assert len(written) > 0
    assert stem.with_suffix(".html").read_text().count("<tr") == len(written) + 1
    assert stem.with_suffix(".tex").read_text().count(r"\\") >= len(written) + 1
