"""The data sets by name: what each asks of its section of the configuration, and where torchvision keeps its files.

A new one is an entry here and, unless torchvision publishes it, a reader in `data.sources`.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticKnownError

from flatminima.settings.base import Count, Fraction, Hyperparameters


class Published(NamedTuple):
    """A published data set: its torchvision class and folder, and the shape of an image as stored."""

    dataset_class: str
    folder: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """Facts of a data set that are known before its images are read.

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
    "digits": Entry(classes=10, needs=("holdout",), bundled=True),
    "patches": Entry(needs=("holdout", "patches"), bundled=True),
    "mnist": Entry(classes=10, published=Published("MNIST", "MNIST/raw", (28, 28))),
    "fashion_mnist": Entry(classes=10, published=Published("FashionMNIST", "FashionMNIST/raw", (28, 28))),
    "cifar10": Entry(classes=10, published=Published("CIFAR10", "cifar-10-batches-py", (32, 32, 3))),
    "npz": Entry(needs=("path", "shape"), allows=("classes", "holdout")),
}
"""npz: images of the user's own, in a file of numpy's."""


def _known(name: str) -> str:
    if name not in DATASETS:
        raise PydanticKnownError("literal_error", {"expected": ", ".join(DATASETS)})
    return name


DatasetName = Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)}), AfterValidator(_known)]


class Patches(Hyperparameters):
    """Patches of scikit-learn's two bundled photographs."""

    size: Annotated[int, Field(ge=2, le=64)]
    colour: bool
    count: Annotated[int, Field(ge=10)]


class Dataset(Hyperparameters):
    """Source of the images, and the share kept apart for testing."""

    PARTS = frozenset({"name", "patches", "path", "shape", "classes"})

    name: DatasetName
    patches: Patches | None = None
    holdout: Fraction | None = Field(
        default=None, description="Fraction kept for testing, for sources without a published split."
    )
    path: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="For npz: the file, from data_root or in full; ~ and $VARIABLE are put in."
    )
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = Field(
        default=None, description="For npz: height, width and channels of an image."
    )
    classes: Annotated[int, Field(ge=2, le=10**6)] | None = Field(
        default=None, description="For npz with labels: number of classes."
    )

    @model_validator(mode="after")
    def _fits_the_source(self) -> Self:
        known = DATASETS[self.name]
        for key in ("patches", "holdout", "path", "shape", "classes"):
            if key in known.needs and getattr(self, key) is None:
                raise ValueError(f"`{key}` is missing: the data set {self.name} needs it")
            if key not in (*known.needs, *known.allows) and getattr(self, key) is not None:
                takers = [name for name, other in DATASETS.items() if key in (*other.needs, *other.allows)]
                raise ValueError(f"`{key}` is for {', '.join(takers)} alone: leave it out of the data set {self.name}")
        return self
