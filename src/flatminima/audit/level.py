"""One level of an audit: what was looked at, and what was found to be wrong."""

from dataclasses import dataclass
from pathlib import Path

from flatminima.errors import UserError
from flatminima.provenance.environment import environment
from flatminima.provenance.manifest import Manifest, read_manifest


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
    """

    name: str
    question: str
    checked: str
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    ran: bool = True

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def same_machine(manifest: Manifest) -> bool:
    """Whether this is the software and hardware of the manifest, so that bytes must be equal."""
    return manifest.environment == environment()


def study_of(path: str) -> str:
    """`digits` for `results/digits/measures.parquet`, nothing for files that are no results."""
    return path.split("/")[1] if path.startswith("results/") else ""


def neighbours(folder: Path, manifest: Manifest) -> list[Manifest]:
    """The manifests of the studies that a study reads from, which lie beside it; those that cannot be read left out."""
    names = {study_of(name) for output in manifest.outputs for name in output.inputs} - {"", "..", manifest.study}
    found = []
    for name in sorted(names):
        try:
            found.append(read_manifest(folder.parent / name))
        except UserError:
            continue
    return found
