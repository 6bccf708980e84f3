"""Two sets of results, quantity by quantity: a reference and a new run, two machines, two seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flatminima.audit.levels import TOLERANCE
from flatminima.claims.results import read_results
from flatminima.errors import UserError
from flatminima.record import IDENTITY, WITHIN, read_table

CASE = ("case", "control", "depth", "size")
"""Columns that tell cases and their shapes apart, where a table has them."""
ROW = (*CASE, *IDENTITY, "final", *WITHIN, "statistic")
"""Columns by which rows are matched, where both tables have them."""
ABSENT = -1.0
"""Stands for a setting or distance where there is none."""
COUNTS = ["equal", "within", "different", "missing"]


@dataclass(frozen=True)
class Comparison:
    """Differences between two sets of results.

    Attributes:
        quantities: for every case, control and statistic, the numbers of rows that are equal, within the tolerance,
            different, and missing on one side; and the largest relative difference.
        flips: verdicts that differ, as (claim, first, second); a dash where there is none.
    """

    quantities: pd.DataFrame
    flips: tuple[tuple[str, str, str], ...]

    @property
    def agree(self) -> bool:
        """Whether all numbers are equal or within the tolerance, and all verdicts are equal."""
        return not self.flips and not self.quantities[["different", "missing"]].to_numpy().any()


def compare(first: Path, second: Path, tolerance: float = TOLERANCE) -> Comparison:
    """Compare measures and verdicts of two folders of results.

    Args:
        first: a study's results: measures.parquet and claims.json.
        second: the other's.
        tolerance: largest relative difference of numbers that agree.

    Raises:
        UserError: if a file is missing or damaged, or the tolerance is negative.
    """
    if not tolerance >= 0:
        raise UserError(f"tolerance is {tolerance}: expected a number of at least 0")
    one, other = (read_table(folder / "measures.parquet") for folder in (first, second))
    return Comparison(compare_tables(one, other, tolerance), _flips(first, second))


def comparison_table(comparison: Comparison) -> str:
    """Write a comparison as text: quantities that differ, the sum over all, and the verdicts that differ."""
    quantities = comparison.quantities
    differing = quantities[quantities["different"] + quantities["missing"] > 0]
    lines = [differing.to_string(index=False, float_format="{:.2g}".format)] if len(differing) else []
    totals = quantities[COUNTS].sum()
    largest = quantities["largest"].max()
    lines.append(f"{', '.join(f'{totals[name]} {name}' for name in COUNTS)}; largest difference {largest:.2g}")
    lines += [f"claim {name}: {old}, then {new}" for name, old, new in comparison.flips]
    return "\n".join(lines if comparison.flips else [*lines, "all verdicts are the same"])


def compare_tables(first: pd.DataFrame, second: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Count the rows of two tables of measures that are equal, within a tolerance, different, or on one side only.

    Rows are matched by the columns ROW, and in their order where these are equal (snapshots along training). The
    difference of two values is relative to the larger of them or, for values near zero, to the median magnitude of the
    statistic in the case at that depth.

    Args:
        first: a table of measures, in the columns of `flatminima.record.long_table`.
        second: the other.
        tolerance: largest relative difference within the tolerance.

    Returns:
        One row per case, control and statistic: equal, within, different, missing, largest.
    """
    key = shared_columns(ROW, first, second)
    one, other = _keyed(first, key), _keyed(second, key)
    both = one.merge(other, how="outer", on=[*key, "repeat"], suffixes=("_1", "_2"), indicator=True)
    a, b = both["value_1"].to_numpy(), both["value_2"].to_numpy()
    both["missing"] = (both["_merge"] != "both").to_numpy()
    both["equal"] = ~both["missing"] & ((a == b) | (np.isnan(a) & np.isnan(b)))
    both["largest"] = np.where(both["equal"] | both["missing"], 0.0, _relative(both))
    both["within"] = ~both["equal"] & ~both["missing"] & (both["largest"] <= tolerance)
    both["different"] = ~both["equal"] & ~both["missing"] & ~both["within"]
    groups = both.groupby(["case", "control", "statistic"], as_index=False)
    return groups.agg({**dict.fromkeys(COUNTS, "sum"), "largest": "max"})


def of_interest(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The rows of the cases, shapes, tasks, seeds and statistics that another table has."""
    key = shared_columns((*CASE, "task", "seed", "statistic"), table, other)
    return table.merge(other[key].drop_duplicates(), how="inner", on=key)


def shared_columns(names: Iterable[str], *tables: pd.DataFrame) -> list[str]:
    """Those of some columns that all tables have."""
    return [name for name in names if all(name in table for table in tables)]


def _keyed(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    keyed = table[[*key, "value"]].fillna({name: ABSENT for name in ("setting", "distance") if name in key})
    return keyed.assign(repeat=keyed.groupby(key, sort=False).cumcount())


def _relative(both: pd.DataFrame) -> np.ndarray:
    a, b = both["value_1"].to_numpy(), both["value_2"].to_numpy()
    size = pd.Series(np.abs(a)).where(np.isfinite(a))
    groups = size.groupby([both[name] for name in ("case", "control", "depth", "statistic")])
    typical = groups.transform("median").fillna(0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), typical.to_numpy())
    return np.where(np.isnan(relative), np.inf, relative)


def _flips(first: Path, second: Path) -> tuple[tuple[str, str, str], ...]:
    old, new = (
        {claim.id: claim.verdict.value for claim in read_results(folder / "claims.json").claims}
        for folder in (first, second)
    )
    names = [*old, *(name for name in new if name not in old)]
    pairs = [(name, old.get(name, "–"), new.get(name, "–")) for name in names]
    return tuple(pair for pair in pairs if pair[1] != pair[2])
