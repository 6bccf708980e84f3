"""Published data sets as torchvision stores them: where the files lie, reading them whole, and downloading them."""

import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatminima.data.usual_names import candidates, match, suggestive
from flatminima.errors import UserError
from flatminima.files import DISK_FULL
from flatminima.settings.datasets import DATASETS

CLASSES = 10
DOWNLOAD_TIMEOUT = 60.0
"""Seconds without an answer after which a download has failed."""


class Split(NamedTuple):
    """Images (n, height, width, channels) uint8 and labels (n,) int64 from 0 to 9, for training and testing."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


PUBLISHED = {name: known.published for name, known in DATASETS.items() if known.published}
IDX_COUNTS = {"train": 60_000, "t10k": 10_000}
"""Images in the training and test files of MNIST and of Fashion-MNIST."""


class Layout(NamedTuple):
    """Files below the data folder, each with its published MD5 where torchvision knows one."""

    files: Mapping[Path, str | None]
    archives: Mapping[Path, str | None]


def complete(name: str, data_root: Path) -> dict[Path, Path] | None:
    """Find the places of all files that torchvision reads; None if one is missing. Their content is not read.

    Args:
        name: mnist, fashion_mnist or cifar10.
        data_root: the folder of data, in which files may have the other names that `usual_names` lists.

    Raises:
        UserError: if a folder cannot be read.
    """
    near = candidates(name, data_root)
    if all(one.path.suffix == ".npz" for one in near):  # torchvision takes seconds to load
        return None
    files = _layout(name).files
    places = match(files, near, data_root)
    return places if len(places) == len(files) else None


def read(name: str, places: Mapping[Path, Path]) -> Split:
    """Read a complete data set from torchvision's files.

    torchvision itself takes an idx file (MNIST, Fashion-MNIST) of any size for whole, so its header and size are
    compared with the published ones here. A CIFAR-10 batch must have its published MD5.

    Args:
        name: mnist, fashion_mnist or cifar10.
        places: where the files lie, by torchvision's names.

    Raises:
        UserError: naming the first file that is not what was published.
    """
    if name == "cifar10":
        return _read_batches(places)
    return Split(*_read_idx(name, places, "train"), *_read_idx(name, places, "t10k"))


def download(name: str, data_root: Path) -> dict[Path, Path]:
    """Download a data set through torchvision, which compares each archive with its published MD5.

    torchvision unpacks straight to the final names, and later takes a half-unpacked idx file for whole. So it works
    in a temporary folder below `data_root`, from which whole files alone are moved; files that are already there
    stay, and whole archives that are already there are used in place of the network.

    Returns:
        Where every file that torchvision reads lies now, as `complete` does.

    Raises:
        UserError: if an archive that is already there is damaged, the download fails, or `data_root` cannot be
            written.
    """
    layout, near = _layout(name), candidates(name, data_root)
    archives = match(layout.archives, near, data_root)
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        workplace = tempfile.TemporaryDirectory(prefix=f".{name}-", dir=data_root)
    except OSError as error:
        raise UserError(
            f"{data_root}: cannot be written ({error.strerror}), and {name} must be downloaded into it; "
            "make it writable or choose another data_root"
        ) from error
    with workplace as folder:
        try:
            _stage_archives(layout, archives, Path(folder))
            with _socket_timeout(DOWNLOAD_TIMEOUT):
                _dataset_class(name)(folder, download=True)
            _move_missing(layout, Path(folder), data_root)
        except (OSError, RuntimeError, HTTPException) as error:
            raise _failed(name, data_root, suggestive(near, [*archives.values()]), error) from error
    return {file: data_root / file for file in layout.files}


def damaged(path: Path, found: str) -> UserError:
    """The error of a data file that is not what was published."""
    return UserError(f"{path}: damaged: {found}; replace it by a whole copy, or delete it and run again to download it")


def checked_labels(labels: NDArray[np.integer[Any]], path: Path) -> NDArray[np.int64]:
    """The labels as int64, if all are classes.

    Raises:
        UserError: naming the file and the first label out of range.
    """
    outside = labels[(labels < 0) | (labels >= CLASSES)]
    if outside.size:
        raise damaged(path, f"label {outside[0]}, expected 0 to {CLASSES - 1}")
    return labels.astype(np.int64)


def _dataset_class(name: str) -> type[Any]:
    import torchvision.datasets

    dataset_class: type[Any] = getattr(torchvision.datasets, PUBLISHED[name].dataset_class)
    return dataset_class


def _layout(name: str) -> Layout:
    dataset_class, folder = _dataset_class(name), Path(PUBLISHED[name].folder)
    if name == "cifar10":
        meta = (dataset_class.meta["filename"], dataset_class.meta["md5"])
        listed = [*dataset_class.train_list, *dataset_class.test_list, meta]
        return Layout(
            {folder / file: md5 for file, md5 in listed}, {Path(dataset_class.filename): dataset_class.tgz_md5}
        )
    archives = {folder / archive: md5 for archive, md5 in dataset_class.resources}
    return Layout({archive.with_suffix(""): None for archive in archives}, archives)


def _read_batches(places: Mapping[Path, Path]) -> Split:
    for file, md5 in _layout("cifar10").files.items():
        _check_md5(places[file], md5)
    with tempfile.TemporaryDirectory() as folder:
        for file, place in places.items():
            link = Path(folder) / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(place.resolve())
        parts = [_dataset_class("cifar10")(folder, train=train) for train in (True, False)]
    train, test = ((part.data, np.array(part.targets, np.int64)) for part in parts)
    return Split(*train, *test)


def _read_idx(name: str, places: Mapping[Path, Path], part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    folder, count = Path(PUBLISHED[name].folder), IDX_COUNTS[part]
    images, labels = (places[folder / f"{part}-{file}-ubyte"] for file in ("images-idx3", "labels-idx1"))
    _check_idx(images, (count, *PUBLISHED[name].shape))
    _check_idx(labels, (count,))
    return read_image_file(images).numpy()[..., np.newaxis], checked_labels(read_label_file(labels).numpy(), labels)


def _check_idx(path: Path, shape: tuple[int, ...]) -> None:
    """Compare header (unsigned bytes, number of axes, big-endian lengths) and size of an idx file with a shape."""
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    size = len(header) + int(np.prod(shape))
    with path.open("rb") as file:
        found = file.read(len(header))
    if found != header:
        raise damaged(path, f"not the header of an idx file of {' x '.join(map(str, shape))} bytes")
    if path.stat().st_size != size:
        raise damaged(path, f"{path.stat().st_size} bytes, expected {size}")


def _check_md5(path: Path, md5: str | None) -> None:
    from torchvision.datasets.utils import check_integrity

    if not check_integrity(path, md5):
        raise damaged(path, f"its MD5 is not the published {md5}")


def _stage_archives(layout: Layout, places: Mapping[Path, Path], folder: Path) -> None:
    for archive, place in places.items():
        _check_md5(place, layout.archives[archive])
        (folder / archive).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place, folder / archive)


def _move_missing(layout: Layout, folder: Path, data_root: Path) -> None:
    for file in layout.files:
        if not (data_root / file).exists():
            (data_root / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).rename(data_root / file)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Limit the wait for an answer: torchvision sets none, and would wait forever for a silent host."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _failed(name: str, data_root: Path, unread: Sequence[Path], error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return UserError(f"{data_root}: no space left while downloading {name}; free some and run again")
    shown = ", ".join(str(path) for path in unread[:3]) + (f" and {len(unread) - 3} more" if unread[3:] else "")
    return UserError(
        f"{name}: download failed ({' '.join(str(error).split()) or type(error).__name__}); allow network access and "
        f"run again, or put torchvision's files ({PUBLISHED[name].folder}) or {name}.npz "
        f"(x_train, y_train, x_test, y_test) in {data_root}"
        + (f"; found there, but not read: {shown}: move or convert what is {name}'s" if unread else "")
    )
