"""Files of published data sets under the names and in the folders that people know them by."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flatminima.errors import UserError

FOLDERS = {
    "mnist": ("mnist",),
    "fashion_mnist": ("fashionmnist",),
    "cifar10": ("cifar10", "cifar10batchespy", "cifar10python"),
}
"""Folders that hold one data set, by `letters` of their names."""
WITHIN = ("raw",)
"""Folders inside them."""
DEEPEST = 3
SUGGESTIVE = re.compile(r"mnist|cifar|\b(train|test|t10k|data_batch)", re.IGNORECASE)


class Candidate(NamedTuple):
    """A file that may belong to a data set, and whether it lies in a folder that is named after the data set."""

    path: Path
    own: bool


def letters(name: str) -> str:
    """The letters and digits of a name: trainimagesidx3ubyte for train-images.idx3-ubyte."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def candidates(name: str, data_root: Path) -> list[Candidate]:
    """The files in a folder of data, and in folders below it that are named after a data set.

    Args:
        name: mnist, fashion_mnist or cifar10.
        data_root: the folder of data; it need not exist.

    Raises:
        UserError: if a folder cannot be read.
    """
    found = []
    waiting = [(data_root, letters(data_root.resolve().name) in FOLDERS[name], 0)]
    for folder, own, depth in waiting:
        for path in _entries(folder):
            if not path.is_dir():
                found.append(Candidate(path, own))
            elif depth < DEEPEST and letters(path.name) in (*FOLDERS[name], *(WITHIN if own else ())):
                waiting.append((path, True, depth + 1))
    return found


def match(wanted: Mapping[Path, str | None], near: Sequence[Candidate], data_root: Path) -> dict[Path, Path]:
    """Find the places of files: under their own name, or under one with equal letters.

    MNIST and Fashion-MNIST name their files alike. So a file outside a folder that is named after the data set counts
    only where its MD5 is the published one.

    Args:
        wanted: torchvision's files, relative to the folder of data, with their published MD5 where there is one.
        near: files that may be them.
        data_root: the folder of data.
    """
    places = {}
    for file, md5 in wanted.items():
        alike = [one for one in near if letters(one.path.name) == letters(file.name)]
        others = (one.path for one in alike if one.own or _is(one.path, md5))
        place = data_root / file if (data_root / file).is_file() else next(others, None)
        if place:
            places[file] = place
    return places


def suggestive(near: Sequence[Candidate], used: Sequence[Path]) -> list[Path]:
    """Files that look like data of the set and are not read: tables, other formats, or of uncertain origin."""
    return [one.path for one in near if one.path not in used and SUGGESTIVE.search(one.path.name)]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be read ({error.strerror}); make it readable, or choose another data_root"
        ) from None


def _is(path: Path, md5: str | None) -> bool:
    from torchvision.datasets.utils import check_md5

    return md5 is not None and bool(check_md5(path, md5))
