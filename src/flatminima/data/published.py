"""Published data sets: torchvision's files if they are there, else an npz file, else a download."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flatminima.data import torchvision_files
from flatminima.data.torchvision_files import PUBLISHED, Split, checked_labels, damaged
from flatminima.data.usual_names import Candidate, candidates, match
from flatminima.errors import UserError

KEYS = ("x_train", "y_train", "x_test", "y_test")


def load(name: str, data_root: Path) -> Split:
    """Load MNIST, Fashion-MNIST or CIFAR-10.

    In this order: all of torchvision's files below `data_root`; `<name>.npz`, uint8 images
    x_train, x_test of shape (n, 28, 28) or (n, 32, 32, 3) and integer labels y_train, y_test of shape (n,), any
    number of them; torchvision's download into `data_root`. Files may have other usual names; see `usual_names`.

    Args:
        name: mnist, fashion_mnist or cifar10.
        data_root: folder that holds, or will receive, the files.

    Raises:
        UserError: if a file is damaged, or the data are not there and cannot be downloaded.
    """
    places = torchvision_files.complete(name, data_root)
    if not places and (npz := _npz(name, data_root)):
        return _read_npz(npz, PUBLISHED[name].shape)
    return torchvision_files.read(name, places or torchvision_files.download(name, data_root))


def is_there(name: str, data_root: Path) -> bool:
    """Whether a data set can be had from a folder without a download; says nothing of what is in its files.

    Raises:
        UserError: if a folder cannot be read.
    """
    return torchvision_files.complete(name, data_root) is not None or _npz(name, data_root) is not None


def _npz(name: str, data_root: Path) -> Path | None:
    file = Path(f"{name}.npz")
    own = [Candidate(one.path, own=True) for one in candidates(name, data_root)]  # its name tells one from another
    return match({file: None}, own, data_root).get(file)


def _read_npz(path: Path, shape: tuple[int, ...]) -> Split:
    arrays = _arrays(path)
    return Split(*_part(path, arrays, "train", shape), *_part(path, arrays, "test", shape))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive]
            if missing:
                raise UserError(
                    f"{path}: no array {', '.join(missing)}, found {list(archive)}; "
                    f"expected {', '.join(KEYS)}: save them so, or delete the file to download the data"
                )
            return {key: np.asarray(archive[key]) for key in KEYS}
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, " ".join(str(error).split())) from error


def _part(
    path: Path, arrays: dict[str, NDArray[Any]], part: str, shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise _unfit(path, f"x_{part}", images, f"uint8 of shape (n, {', '.join(map(str, shape))})")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise _unfit(path, f"y_{part}", labels, f"integers of shape ({len(images)},)")
    return images.reshape(*images.shape[:3], -1), checked_labels(labels, path)


def _unfit(path: Path, key: str, found: NDArray[Any], expected: str) -> UserError:
    return UserError(
        f"{path}: {key} is {found.dtype} of shape {found.shape}, expected {expected}; "
        "save it so, or delete the file to download the data"
    )
