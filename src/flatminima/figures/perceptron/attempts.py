"""Attempts of solvers on random perceptrons, and what surrounds the solutions that they find."""

from typing import Any, NamedTuple

import pandas as pd

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron.selection import present


class Solver(NamedTuple):
    """Name and look of a solver."""

    label: str
    look: dict[str, Any]


SOLVERS = {
    "reinforced-bp": Solver("reinforced BP", {"color": style.BLUE, "marker": "o"}),
    "focusing-bp": Solver("focusing BP", {"color": style.ORANGE, "marker": "D", "ls": style.DASHED}),
    "sbpi": Solver("SBPI", {"color": style.GREEN, "marker": "^", "ls": style.DASHDOT}),
    "replicated-sgd": Solver("replicated SGD", {"color": style.VERMILION, "marker": "s"}),
    "sgd": Solver("SGD", {"color": style.PINK, "marker": "v", "ls": style.DOTTED}),
    "straight-through-sgd": Solver("straight-through SGD", {"color": style.BROWN, "marker": "P", "ls": style.DASHED}),
    "annealing": Solver("annealing", {"color": style.GREY, "marker": "X", "ls": style.DASHDOT}),
    "error-annealing": Solver("annealing of errors", {"color": "0.3", "marker": "*", "ls": style.DOTTED}),
}
PLANTED = "planted"
ATTEMPT = ["solved", "iterations", "minimal_margin"]
SURROUNDING = ["flip_error_ratio", "local_entropy_excess"]
NEIGHBOURS = ["neighbours", "expected_neighbours"]
INSTANCE = ["solver", "size", "alpha", "seed"]
"""Columns that tell the attempts of a study apart."""
CASES = {f"attempts_{name.replace('-', '_')}": name for name in SOLVERS}
"""Solvers by the cases of their attempts."""


def attempts(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per solver and instance.

    Returns:
        Columns INSTANCE, solved (boolean), iterations and minimal_margin, the last NaN unless solved.

    Raises:
        EmptyFigureError: if there is none.
    """
    table = frames.pivot(_attempted(measures), ATTEMPT, INSTANCE)
    return table.assign(solved=table["solved"] == 1)


def surroundings(measures: pd.DataFrame) -> pd.DataFrame:
    """Surroundings of the solutions found: one row per solver, instance and distance.

    Returns:
        Columns INSTANCE, distance, flip_error_ratio and local_entropy_excess, NaN where not measured.

    Raises:
        EmptyFigureError: if there was no attempt.
    """
    return frames.pivot(_attempted(measures), SURROUNDING, [*INSTANCE, "distance"])


def neighbours(measures: pd.DataFrame) -> pd.DataFrame:
    """Solutions at some flips from those found, and from planted ones (solver PLANTED): a row for each and flips.

    Returns:
        Columns INSTANCE, flips, neighbours (counted) and expected_neighbours (around typical solutions).

    Raises:
        EmptyFigureError: if no instance was solved, or none planted.
    """
    planted = measures[(measures["case"] == PLANTED) & (measures["control"] == "")]
    tables = []
    for rows, what in (
        (_attempted(measures), "solution found by a solver"),
        (planted.assign(solver=PLANTED), "planted solution"),
    ):
        table = frames.pivot(rows, NEIGHBOURS, [*INSTANCE, "flips"]).dropna(subset="neighbours")
        tables.append(present(table, what))
    return pd.concat(tables, ignore_index=True)


def claimed_attempts(claimed: Claimed, claim: str, statistic: str) -> pd.DataFrame:
    """The attempts that decide a claim by a statistic, in columns INSTANCE: as the verdict takes them."""
    rows = claimed.counted(claim, statistic).rename(columns={"setting": "alpha"})
    return rows.assign(solver=rows["case"].map(CASES))[INSTANCE].drop_duplicates()


def common_size(rows: pd.DataFrame) -> int:
    """The size at which most solvers have rows, the largest of several."""
    solvers = rows.groupby("size")["solver"].nunique()
    return int(solvers[solvers == solvers.max()].index.max())


class Tally(NamedTuple):
    """Number of decided cases in which a criterion holds."""

    held: int
    decided: int

    @property
    def words(self) -> str:
        """`in all 40 cases`, of those that could be decided."""
        if not self.decided:
            return "in no case that could be decided"
        if 0 < self.held < self.decided:
            return f"in {'most' if 2 * self.held > self.decided else 'some'}, not all, of {self.decided} cases"
        return f"in {'all' if self.held else 'none of'} {self.decided} cases"


def tally(claimed: Claimed, claim: str, criterion: int) -> Tally:
    """Count the cases in which a criterion, by its number in a claim, holds by its own finding."""
    findings = [finding for case in claimed.cases(claim) for finding in case.findings]
    held = [f.holds for f in findings if f.criterion == criterion and f.holds is not None]
    return Tally(sum(held), len(held))


def _attempted(measures: pd.DataFrame) -> pd.DataFrame:
    return present(measures[measures["case"].isin(CASES)], "attempt of a solver")
