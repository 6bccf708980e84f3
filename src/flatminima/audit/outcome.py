"""One level of an audit: what was looked at, and what was found to be wrong."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Outcome of a level; OLDER is no failure."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    OLDER = "OLDER"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Level:
    """The outcome of one level.

    Attributes:
        name: integrity, derivation, code or recomputation.
        question: what the level answers.
        checked: how many things were looked at, with their noun: `120 files`.
        findings: one line for each thing that is wrong; none if the level is passed.
        notes: what an auditor should know besides.
        ran: whether anything could be looked at.
        older: one line for each thing that an earlier commit made, as results of record may be, and that this
            checkout would make otherwise.
    """

    name: str
    question: str
    checked: str
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    ran: bool = True
    older: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def outcome(self) -> Outcome:
        """The level in a word."""
        if self.findings:
            return Outcome.FAILED
        if self.older:
            return Outcome.OLDER
        return Outcome.PASSED if self.ran else Outcome.NOT_RUN
