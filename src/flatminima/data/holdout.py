"""Images kept apart for testing, where a data set has no published split."""

import numpy as np
from numpy.typing import NDArray

from flatminima.errors import UserError
from flatminima.seeding import sequence


def split(name: str, total: int, holdout: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the images for testing and of those for training, by a fixed permutation.

    Args:
        name: the data set, after which the random stream is named.
        total: number of images.
        holdout: fraction kept for testing, rounded to whole images.

    Raises:
        UserError: if the fraction leaves no training or no test image.
    """
    order = np.random.default_rng(sequence(name, "holdout")).permutation(total)
    test, train = np.split(order, [kept_apart(total, holdout)])
    return test, train


def kept_apart(total: int, holdout: float) -> int:
    """Number of images kept for testing.

    Raises:
        UserError: if the fraction leaves no training or no test image.
    """
    count = round(holdout * total)
    if not 0 < count < total:
        raise UserError(
            f"dataset.holdout is {holdout}: of {total} images it keeps {count} for testing; "
            "expected at least one for testing and one for training: choose a fraction nearer 0.5"
        )
    return count
