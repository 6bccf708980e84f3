"""Images by name: scikit-learn's bundled digits and photographs, and the published MNIST, Fashion-MNIST, CIFAR-10."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flatminima.data import bundled, published
from flatminima.settings.folders import expanded
from flatminima.settings.training import Dataset


@dataclass(frozen=True, eq=False)
class Images:
    """Training and test images of one data set.

    Attributes:
        train_images: shape (n, height, width, channels), uint8 or float64, from 0 to `largest_pixel`.
        train_labels: shape (n,), int64, from 0 to `classes` - 1; None where the images have no labels.
        test_images: shape (n_test, height, width, channels).
        test_labels: shape (n_test,), or None.
        classes: number of classes; 0 without labels.
        largest_pixel: the value of a full pixel: 16 for digits, 255 otherwise.
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
    see `published.load`.

    Args:
        dataset: the data set's section of the configuration.
        data_root: folder that holds, or will receive, published data sets; ~ and $VARIABLE are put in.

    Raises:
        UserError: if the data cannot be had, are damaged, or do not fit the configuration.
    """
    if dataset.holdout is None:
        folder = expanded(str(data_root), "data_root")
        return Images(*published.load(dataset.name, folder), classes=10, largest_pixel=255.0)
    if dataset.patches is None:
        return Images(*bundled.digits(dataset.holdout), classes=10, largest_pixel=16.0)
    train, test = bundled.patches(dataset.patches, dataset.holdout)
    return Images(train, None, test, None, classes=0, largest_pixel=255.0)
