"""One level of an audit: what was looked at, and what was found to be wrong."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flatminima.errors import UserError
from flatminima.provenance.environment import INSTRUCTIONS, environment, packages
from flatminima.provenance.manifest import Manifest, Rejudged, read_manifest


class Outcome(StrEnum):
    """What a level comes to; OLDER is no failure."""

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


def same_machine(made: Manifest | Rejudged) -> bool:
    """Whether this is the software and hardware of the manifest, so that bytes must be equal.

    Manifests of earlier code say nothing of some packages, and of the processor's instructions: these count as equal.
    """
    recorded = made.packages if isinstance(made, Manifest) else {}
    unsaid = {INSTRUCTIONS} - made.environment.keys()
    here = {name: text for name, text in environment().items() if name not in unsaid}
    return made.environment == here and recorded.items() <= packages().items()


def study_of(path: str) -> str:
    """`digits` for `results/digits/measures.parquet`, nothing for files that are no results."""
    return path.split("/")[1] if path.startswith("results/") else ""


def place_of(folder: Path) -> Path:
    """Where a folder lies, by the name that it was given: a link to another disk lies where the link does."""
    return Path(os.path.abspath(folder))  # noqa: PTH100 (which pathlib has not: it keeps `..`)


def neighbours(folder: Path, manifest: Manifest) -> list[Manifest]:
    """The manifests of the studies that a study reads from, which lie beside it; those that cannot be read left out."""
    names = {study_of(name) for output in manifest.outputs for name in output.inputs} - {"", "..", manifest.study}
    found = []
    for name in sorted(names):
        try:
            found.append(read_manifest(place_of(folder).parent / name))
        except UserError:
            continue
    return found
