"""Evidence on a page: cases that count alike, and numbers of networks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flatminima.claims.findings import Case
from flatminima.claims.ledger import COUNTED, Class
from flatminima.claims.results import Judgement
from flatminima.errors import UserError
from flatminima.record import final, full_name, read_table
from flatminima.report.formats import plural

LABELS = ("task", "family", "optimiser", "solver", "condition", "map")
"""Columns of the table of record by which networks are counted, where a table has them."""


@dataclass(frozen=True)
class Group:
    """Cases of one claim that count alike."""

    title: str
    cases: Sequence[Case]

    @property
    def criteria(self) -> list[int]:
        """The criteria that were put to some of them."""
        return sorted({finding.criterion for case in self.cases for finding in case.findings})

    @property
    def tally(self) -> str:
        """Numbers of cases that hold, fail and could not be tested."""
        held, failed = (sum(case.holds is answer for case in self.cases) for answer in (True, False))
        untested = len(self.cases) - held - failed
        text = f"{held} of {plural(len(self.cases), 'case')} hold{'s' * (len(self.cases) == 1)}"
        return text + f", {failed} fail{'s' * (failed == 1)}" * bool(failed) + f", {untested} untested" * bool(untested)


def groups(claim: Judgement) -> Iterator[Group]:
    """The cases of a claim that decide first, then those that are shown beside them."""
    can_fail = [case for case in claim.cases if case.class_ in COUNTED]
    of_class = {c: [case for case in claim.cases if case.class_ is c] for c in (Class.THEOREM, Class.SYMMETRY)}
    groups = (
        Group("Cases that decide", [case for case in can_fail if case.counted]),
        Group("Checks of theorems", of_class[Class.THEOREM]),
        Group("Other steps, shown and not counted", [case for case in can_fail if not case.counted]),
        Group("By symmetry, shown and not counted", of_class[Class.SYMMETRY]),
    )
    return (group for group in groups if group.cases)


@dataclass(frozen=True)
class Population:
    """Number of networks of one case, or of one of its controls, and number of those that diverged.

    Attributes:
        task, family, optimiser, solver, condition, map: labels of the networks; empty where their table has none.
    """

    case: str
    control: str
    task: str
    family: str
    optimiser: str
    solver: str
    condition: str
    map: str
    networks: int
    diverged: int

    @property
    def name(self) -> str:
        """Name of the case, or of its control: `linear`, `linear-unbalanced`."""
        return full_name(self.case, self.control)


def read_populations(measures: Path) -> list[Population]:
    """Count the networks of every case and control in measures.parquet, sorted by name.

    Raises:
        UserError: if the file is missing or is not a table of measures.
    """
    table = read_table(measures)
    try:
        rows = final(table[(table["statistic"] == "diverged") & (table["layer"] == 0)])
        labels = {name: "" for name in LABELS if name not in rows}
        counts = rows.assign(**labels).groupby(["case", "control", *LABELS])["value"].agg(["size", "sum"])
    except KeyError:
        raise UserError(f"{measures}: not a table of measures; delete it and run `make reproduce`") from None
    counts = counts.astype(int)
    return [Population(*key, *count) for key, count in zip(counts.index, counts.to_numpy().tolist(), strict=True)]
