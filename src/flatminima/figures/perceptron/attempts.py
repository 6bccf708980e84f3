"""Attempts of solvers on random perceptrons, and what surrounds the solutions that they find."""

from typing import Any, NamedTuple

import pandas as pd

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron.selection import curves, present


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
"""What tells the attempts of a study apart."""
EXPERIMENTS = {f"attempts_{name.replace('-', '_')}": name for name in SOLVERS}
"""Solvers by the experiments of their attempts."""


def attempts(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per solver and instance.

    Returns:
        Columns INSTANCE, solved (boolean), iterations and minimal_margin, the last NaN unless solved.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = _named(measures)
    table = frames.pivot(rows[rows["layer"] == 0], ATTEMPT, INSTANCE)
    return table.assign(solved=table["solved"] == 1)


def surroundings(measures: pd.DataFrame, details: pd.DataFrame) -> pd.DataFrame:
    """What surrounds the solutions found: one row per solver, instance and distance.

    Returns:
        Columns INSTANCE, distance, flip_error_ratio and local_entropy_excess, NaN where not measured.

    Raises:
        EmptyFigureError: if no local entropy was measured.
    """
    names = (f"bp_entropy_{name}" for name in SOLVERS)
    places = curves(details, *names)["x"].unique()
    rows = _named(measures)
    table = frames.pivot(rows[rows["layer"] > 0], SURROUNDING, [*INSTANCE, "layer"])
    table.insert(len(INSTANCE), "distance", places[table.pop("layer") - 1])
    return table


def neighbours(measures: pd.DataFrame) -> pd.DataFrame:
    """Solutions at some flips from those found, and from planted ones (solver PLANTED): a row for each and flips.

    Returns:
        Columns INSTANCE, flips, neighbours (counted) and expected_neighbours (around typical solutions).

    Raises:
        EmptyFigureError: if no instance was solved, or none planted.
    """
    tables = []
    for name, what in ((None, "solution found by a solver"), (PLANTED, "planted solution")):
        rows = measures[measures["experiment"].isin([PLANTED] if name else EXPERIMENTS)]
        rows = _solvers(rows.assign(optimiser=name) if name else rows)
        table = frames.pivot(rows[rows["layer"] > 0], NEIGHBOURS, [*INSTANCE, "layer"])
        tables.append(present(table.dropna(subset="neighbours"), what))
    return pd.concat(tables, ignore_index=True).rename(columns={"layer": "flips"})


def claimed_attempts(claimed: Claimed, claim: str, statistic: str) -> pd.DataFrame:
    """The attempts that decide a claim by a statistic, in columns INSTANCE: as the verdict takes them."""
    rows = claimed.counted(claim, statistic)
    names = {"depth": "size", "step_fraction": "alpha"}
    rows = rows.assign(solver=rows["experiment"].map(EXPERIMENTS)).rename(columns=names)
    return rows[INSTANCE].drop_duplicates()


def common_size(rows: pd.DataFrame) -> int:
    """The size at which most solvers have rows, the largest of several."""
    solvers = rows.groupby("size")["solver"].nunique()
    return int(solvers[solvers == solvers.max()].index.max())


class Tally(NamedTuple):
    """In how many of the cases that were decided a criterion holds."""

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
    """In how many of its cases a criterion, by its number in a claim, holds by its own finding."""
    findings = [finding for case in claimed.cases(claim) for finding in case.findings]
    held = [f.holds for f in findings if f.criterion == criterion and f.holds is not None]
    return Tally(sum(held), len(held))


def _named(measures: pd.DataFrame) -> pd.DataFrame:
    rows = measures[measures["experiment"].isin(EXPERIMENTS)]
    return _solvers(present(rows, "attempt of a solver"))


def _solvers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.rename(columns={"optimiser": "solver", "step_fraction": "alpha", "depth": "size"})
