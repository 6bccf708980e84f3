"""Facts that git has of a checkout: its commit, whether its history is whole, and files of earlier commits."""

import io
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOOKS = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")
"""Variables that name the repository whose hook runs, where that may be another."""
KEPT = ("src", "workflow")
"""Folders of an earlier commit that are looked at: the package, and what the workflow reads."""


def checkout(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of a git checkout, and whether tracked files differ from it; (None, None) where git knows neither.

    A folder without tracked files is no checkout: it only lies in one, of something else.
    """
    if not _text(folder, "ls-files", "--", "."):
        return None, None
    commit = _text(folder, "rev-parse", "HEAD")
    status = _text(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if status is None else bool(status)


def is_complete(folder: Path) -> bool:
    """Whether a folder is a git checkout with all of its history, so that a commit that is not there never was.

    A folder that was unpacked inside another checkout, without tracked files, is none.
    """
    return (
        bool(_text(folder, "ls-files", "--", ".")) and _text(folder, "rev-parse", "--is-shallow-repository") == "false"
    )


@contextmanager
def tree_at(folder: Path, commit: str) -> Iterator[Path | None]:
    """The folders KEPT of a checkout as a commit had them, in a scratch folder; None where git does not have them.

    Args:
        folder: the checkout.
        commit: the full name of a commit.
    """
    packed = _git(folder, "archive", "--format=zip", commit, "--", *KEPT)
    if packed is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            for name in archive.namelist():
                archive.extract(name, scratch)  # which drops `..`, leading slashes, and links
        yield Path(scratch)


def _text(folder: Path, *arguments: str) -> str | None:
    found = _git(folder, *arguments)
    return None if found is None else found.decode().strip()


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        run = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            check=False,
            env={name: text for name, text in os.environ.items() if name not in HOOKS},
        )
    except OSError:
        return None
    return run.stdout if run.returncode == 0 else None
