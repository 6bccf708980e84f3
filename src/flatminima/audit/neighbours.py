"""Studies whose results a study reads, and the folders in which they lie."""

import os
from pathlib import Path

from flatminima.errors import UserError
from flatminima.provenance.manifest import Manifest, read_manifest


def study_of(path: str) -> str:
    """`digits` for `results/digits/measures.parquet`, nothing for files that are no results."""
    return path.split("/")[1] if path.startswith("results/") else ""


def place_of(folder: Path) -> Path:
    """Absolute path of a folder, by the name that it was given: links are not followed."""
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
