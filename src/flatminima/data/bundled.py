"""Images bundled with scikit-learn, which need no download: handwritten digits, and patches of two photographs."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from flatminima.data.holdout import kept_apart, split
from flatminima.errors import UserError
from flatminima.seeding import sequence
from flatminima.settings.datasets import Patches

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in the grey value (ITU-R BT.601)."""


def digits(
    holdout: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """The 1,797 digits of 8 x 8 pixels from 0 to 16, split by a fixed permutation.

    Args:
        holdout: fraction kept for testing, rounded to whole images.

    Returns:
        Training images (n, 8, 8, 1) and labels (n,), test images and labels.

    Raises:
        UserError: if the fraction leaves no training or no test image.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = bunch.images[..., np.newaxis], bunch.target.astype(np.int64)
    test, train = split("digits", len(images), holdout)
    return images[train], labels[train], images[test], labels[test]


def patches(settings: Patches, holdout: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Square patches at random positions of the two photographs of 427 x 640 pixels.

    Each photograph is cut by a vertical line: training patches come from the left, test patches from the right
    `holdout` of its width, so that no pixel is in both. Positions are uniform, with replacement. The test patches
    are the fraction `holdout` of the count, rounded.

    Args:
        settings: size, colour and total count.
        holdout: fraction kept for testing.

    Returns:
        Training and test patches, shape (n, size, size, channels), from 0 to 255: three channels of uint8, or one of
        float64 luminance (ITU-R BT.601).

    Raises:
        UserError: if a patch does not fit, or the fraction leaves no training or no test patch.
    """
    from sklearn.datasets import load_sample_images

    photographs = np.stack(load_sample_images().images)
    if not settings.colour:
        photographs = (photographs @ LUMINANCE)[..., np.newaxis]
    size, test_count = settings.size, kept_apart(settings.count, holdout)
    width = photographs.shape[2]
    line = width - round(holdout * width)
    narrowest = min(line, width - line)
    if size > narrowest:
        raise UserError(
            f"dataset.patches.size is {size}, but dataset.holdout {holdout} leaves a strip {narrowest} pixels wide on "
            "one side of the photographs: choose a smaller size, or a holdout nearer 0.5"
        )
    return (
        _cut(photographs[:, :, :line], size, settings.count - test_count, "train"),
        _cut(photographs[:, :, line:], size, test_count, "test"),
    )


def _cut(photographs: NDArray[Any], size: int, count: int, part: str) -> NDArray[Any]:
    windows = sliding_window_view(photographs, (size, size), axis=(1, 2))
    generator = np.random.default_rng(sequence("patches", "positions", part))
    chosen = windows[tuple(generator.integers(choices, size=count) for choices in windows.shape[:3])]
    return np.moveaxis(chosen, 1, -1)
