"""The checkout that results are audited against, whichever folder the audit is started in."""

from collections.abc import Iterator
from pathlib import Path

from flatminima.errors import UserError
from flatminima.provenance.digest import PACKAGE

PARTS = ("Snakefile", "config.yaml", "workflow/claims.yaml")


def find_checkout(folder: Path) -> Path:
    """The repository's root: where the audit runs or above, else above the results, else above the package.

    Args:
        folder: the results of a study.

    Raises:
        UserError: if none of these places is in a checkout.
    """
    for place in _candidates(folder):
        if all((place / part).is_file() for part in PARTS):
            return place
    raise UserError(f"{folder}: no checkout to compare with: run in the folder that holds {', '.join(PARTS)}")


def _candidates(folder: Path) -> Iterator[Path]:
    for start in (Path.cwd(), folder.absolute(), folder.resolve(), PACKAGE):
        yield start
        yield from start.parents
