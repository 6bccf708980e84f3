"""The files in the folder of a study: results, and what editors, systems and killed jobs leave beside them."""

import os
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

LEFT_BESIDE = (".*", "*~", "#*#", "~$*", "Thumbs.db", "desktop.ini", "__MACOSX")
"""Names of files and folders that are never results: hidden ones, backups, and what desktops keep in every folder."""


def names_below(folder: Path) -> list[str]:
    """Paths of all files below a folder, relative to it, in order; folders that are symbolic links are entered."""
    places = [(Path(place), files) for place, _, files in os.walk(folder, followlinks=True)]
    return sorted((place / file).relative_to(folder).as_posix() for place, files in places for file in files)


def left_beside(name: str) -> bool:
    """Whether a file in the folder of a study is no result, given its path there."""
    return any(fnmatchcase(part, pattern) for part in PurePosixPath(name).parts for pattern in LEFT_BESIDE)
