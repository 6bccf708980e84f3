"""Images by name: scikit-learn's bundled digits and photographs, published data sets, and files of the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flatminima.data import bundled, own_images, published
from flatminima.settings.datasets import DATASETS, Dataset, Patches
from flatminima.settings.folders import expanded, placed


@dataclass(frozen=True, eq=False)
class Images:
    """Training and test images of one data set.

    Attributes:
        train_images: shape (n, height, width, channels), uint8 or float64, from 0 to `largest_pixel`.
        train_labels: shape (n,), int64, from 0 to `classes` - 1; None where the images have no labels.
        test_images: shape (n_test, height, width, channels).
        test_labels: shape (n_test,), or None.
        classes: number of classes; 0 without labels.
        largest_pixel: the value of a full pixel: 16 for digits, 1 for floats of the user's own, 255 otherwise.
    """

    train_images: NDArray[Any]
    train_labels: NDArray[np.int64] | None
    test_images: NDArray[Any]
    test_labels: NDArray[np.int64] | None
    classes: int
    largest_pixel: float


def load_images(dataset: Dataset, data_root: Path) -> Images:
    """Load a data set, downloading a published one that is not there yet.

    Bundled sources are split by a fixed permutation (digits) or by image region (patches); see `bundled`.
    Published ones keep their own split and are looked for under `data_root`, then downloaded into it;
    see `published.load`. For files of the user's own see `own_images.load`.

    Args:
        dataset: the data set's section of the configuration.
        data_root: folder that holds, or will receive, published data sets; ~ and $VARIABLE are put in.

    Raises:
        UserError: if the data cannot be had, are damaged, or do not fit the configuration.
    """
    classes = dataset.classes or DATASETS[dataset.name].classes
    match dataset:
        case Dataset(name="digits", holdout=float(holdout)):
            return Images(*bundled.digits(holdout), classes, largest_pixel=16.0)
        case Dataset(name="patches", holdout=float(holdout), patches=Patches() as cut):
            train, test = bundled.patches(cut, holdout)
            return Images(train, None, test, None, classes, largest_pixel=255.0)
        case Dataset(name="npz", path=str(path), shape=list(shape)):
            own = own_images.load(placed(path, str(data_root)), tuple(shape), classes, dataset.holdout)
            return Images(*own, classes, largest_pixel=255.0 if own.train_images.dtype == np.uint8 else 1.0)
    return Images(*published.load(dataset.name, expanded(str(data_root), "data_root")), classes, largest_pixel=255.0)


def is_there(name: str, path: str | None, data_root: str) -> bool:
    """Whether a data set can be read without a download; says nothing of what is in its files.

    Args:
        name: the data set.
        path: where a file of the user's own images lies, as `dataset.path` has it; None for other data sets.
        data_root: the folder of data.

    Raises:
        UserError: if a folder cannot be read, or is not known here.
    """
    if path is not None:
        return placed(path, data_root).is_file()
    return published.is_there(name, expanded(data_root, "data_root"))
