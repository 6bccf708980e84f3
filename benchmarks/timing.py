"""Interleaved timing, and the tables that report it."""

import contextlib
import io
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

LARGE = 1000
"""Numbers from which on all digits before the point are shown."""
Result = TypeVar("Result")
Row = dict[str, str | int | float]


@dataclass(frozen=True)
class Section:
    """One benchmark: what was compared, and what came out."""

    title: str
    text: str
    rows: Sequence[Row]

    def markdown(self) -> str:
        """Title, text and table."""
        return f"## {self.title}\n\n{self.body()}"

    def body(self) -> str:
        """Text and table, for a page that has a title of its own."""
        lines = [list(self.rows[0]), ["---:"] * len(self.rows[0])]
        lines += [[_shown(value) for value in row.values()] for row in self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"{self.text}\n\n{table}\n"


def interleave(
    candidates: Mapping[str, Callable[[], Result]], repetitions: int
) -> tuple[dict[str, float], dict[str, Result]]:
    """Run the candidates in turn, several times, so that whatever else the machine does slows all of them alike.

    Args:
        candidates: what to time, by name.
        repetitions: how often, after one run that does not count.

    Returns:
        Median seconds and last result of each candidate.
    """
    results = {}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    with contextlib.redirect_stderr(io.StringIO()):
        for _ in range(1 + repetitions):
            for name, run in candidates.items():
                start = time.perf_counter()
                results[name] = run()
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}, results


def _shown(value: str | int | float) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= LARGE else f"{value:.3g}"
