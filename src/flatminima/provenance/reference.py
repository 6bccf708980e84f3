"""Evidence of record: the small part of a study's results that is kept in results/reference."""

import shutil
from pathlib import Path

from flatminima.files import atomic_path
from flatminima.provenance.manifest import NAME, read_manifest, write_manifest


def record(folder: Path, reference: Path) -> None:
    """Copy what is of record of a study, and its whole manifest, and delete what was of record before.

    Args:
        folder: the study's results, with their manifest.
        reference: where to keep them.

    Raises:
        UserError: if the manifest cannot be read, or a file cannot be written.
    """
    manifest = read_manifest(folder).model_copy(update={"kept": "of record"})
    names = [str(manifest.relative(output)) for output in manifest.present()]
    for name in names:
        with atomic_path(reference / name) as temporary:
            shutil.copyfile(folder / name, temporary)
    write_manifest(manifest, reference / NAME)
    kept = {reference / name for name in [*names, NAME]}
    for path in [path for path in reference.rglob("*") if path.is_file() and path not in kept]:
        path.unlink()
