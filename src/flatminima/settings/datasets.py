"""The data sets by name: what each asks of its section of the configuration, and where torchvision keeps its files.

A new one is an entry here and, unless torchvision publishes it, a reader in `data.sources`.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Published(NamedTuple):
    """A published data set: its torchvision class and folder, and the shape of an image as stored."""

    dataset_class: str
    folder: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set before its images are read.

    Attributes:
        classes: number of classes; 0 without labels, or where its section says it.
        needs: keys that its section must have.
        allows: keys that its section may have. All others but `name` are refused.
        published: where torchvision keeps it; None for other sources.
        bundled: whether it is installed with scikit-learn, so that no folder of data is read.
    """

    classes: int = 0
    needs: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()
    published: Published | None = None
    bundled: bool = False


DATASETS = {
    "digits": DataSet(classes=10, needs=("holdout",), bundled=True),
    "patches": DataSet(needs=("holdout", "patches"), bundled=True),
    "mnist": DataSet(classes=10, published=Published("MNIST", "MNIST/raw", (28, 28))),
    "fashion_mnist": DataSet(classes=10, published=Published("FashionMNIST", "FashionMNIST/raw", (28, 28))),
    "cifar10": DataSet(classes=10, published=Published("CIFAR10", "cifar-10-batches-py", (32, 32, 3))),
    "npz": DataSet(needs=("path", "shape"), allows=("classes", "holdout")),
}
"""npz: images of the user's own, in a file of numpy's."""
