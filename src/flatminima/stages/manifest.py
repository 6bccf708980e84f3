"""List of every file of a study, and where it came from."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flatminima.provenance.manifest import make_manifest, write_manifest

if TYPE_CHECKING:
    from flatminima.config import AnyStudy


def manifest(study: str, targets: Sequence[Path], settings: "AnyStudy", repository: Path, output: Path) -> None:
    """Make a manifest, in the folder that the workflow ran in.

    Args:
        study: the study's name.
        targets: files that the study is made for.
        settings: the study's.
        repository: folder of the workflow that made them.
        output: file to write.

    Raises:
        UserError: if a target is missing.
    """
    values = settings.model_dump(mode="json")
    write_manifest(make_manifest(study, values, [str(path) for path in targets], Path(), repository), output)
