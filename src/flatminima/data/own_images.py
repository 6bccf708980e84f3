"""Images of the user's own, from an npz file."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatminima.data.holdout import split
from flatminima.errors import UserError

Arrays = Mapping[str, NDArray[Any]]


class Own(NamedTuple):
    """Images (n, height, width, channels), uint8 or floats in [0, 1], and labels (n,) int64; None without classes."""

    train_images: NDArray[Any]
    train_labels: NDArray[np.int64] | None
    test_images: NDArray[Any]
    test_labels: NDArray[np.int64] | None


def load(path: Path, shape: tuple[int, ...], classes: int, holdout: float | None) -> Own:
    """Read a data set from the arrays train_images, train_labels, test_images, test_labels of an npz file.

    With a holdout, images and labels are its arrays, which a fixed permutation splits. Images are uint8 or floats in
    [0, 1], of shape (n, height, width, channels), or (n, height, width) with one channel; labels are integers from 0.

    Args:
        path: the file.
        shape: height, width and channels of an image.
        classes: number of classes; with 0, no labels are read.
        holdout: fraction kept for testing; None where the file has images for testing.

    Raises:
        UserError: if the file is missing, cannot be read, or holds other arrays than these.
    """
    parts = ("train_", "test_") if holdout is None else ("",)
    arrays = _arrays(path, [f"{part}{kind}" for part in parts for kind in ("images", "labels")[: 1 + bool(classes)]])
    found = [(_images(path, arrays, part, shape), _labels(path, arrays, part, classes)) for part in parts]
    if len({images.dtype.kind for images, _ in found}) == 2:
        raise _unfit(path, "test_images", arrays, "of the type of train_images, uint8 or floats")
    if holdout is None:
        return Own(*found[0], *found[1])
    (images, labels), (test, train) = found[0], split("npz", len(found[0][0]), holdout)
    return Own(images[train], _at(labels, train), images[test], _at(labels, test))


def _at(labels: NDArray[np.int64] | None, places: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return None if labels is None else labels[places]


def _arrays(path: Path, keys: list[str]) -> Arrays:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            if missing := [key for key in keys if key not in archive]:
                raise UserError(
                    f"{path}: no array {', '.join(missing)}, found {', '.join(archive)}; expected {', '.join(keys)}: "
                    "save them so, or change `holdout` and `classes` of the data set"
                )
            return {key: np.asarray(archive[key]) for key in keys}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name it in dataset.path, from data_root or in full") from None
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not an npz file ({' '.join(str(error).split())}); save it by numpy.savez") from None


def _images(path: Path, arrays: Arrays, part: str, shape: tuple[int, ...]) -> NDArray[Any]:
    name = f"{part}images"
    images = arrays[name]
    short = shape[:2] if shape[2] == 1 else shape
    if images.shape[1:] not in (shape, short) or not len(images):
        raise _unfit(path, name, arrays, f"of shape (n, {', '.join(map(str, short))})")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise _unfit(path, name, arrays, "uint8, or floats from 0 to 1")
    if images.dtype.kind == "f" and not ((images >= 0) & (images <= 1)).all():  # not a number is neither
        raise UserError(f"{path}: {name} holds floats outside 0 to 1; divide by the largest pixel, or save uint8")
    return images.reshape(len(images), *shape)


def _labels(path: Path, arrays: Arrays, part: str, classes: int) -> NDArray[np.int64] | None:
    if not classes:
        return None
    name = f"{part}labels"
    labels, count = arrays[name], len(arrays[f"{part}images"])
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise _unfit(path, name, arrays, f"integers of shape ({count},)")
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise UserError(f"{path}: {name} holds {outside[0]}, expected 0 to {classes - 1}; change dataset.classes")
    return labels.astype(np.int64)


def _unfit(path: Path, name: str, arrays: Arrays, expected: str) -> UserError:
    found = arrays[name]
    return UserError(f"{path}: {name} is {found.dtype} of shape {found.shape}, expected {expected}; save it so")
