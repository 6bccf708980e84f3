"""Tasks on images: what goes in, what comes out, and how the loss is scaled."""

from typing import Literal, Self

from pydantic import Field, model_validator

from flatminima.settings.base import Count, Hyperparameters, PositiveFloat, Strict
from flatminima.settings.datasets import Dataset


class Task(Hyperparameters):
    """A supervised problem made from the images: what goes in, what comes out, and how the loss is scaled."""

    PARTS = frozenset({"kind"})

    kind: Literal["denoise", "classify"]
    noise: PositiveFloat | None = Field(default=None, description="Standard deviation, in scaled pixels.")
    noise_draw: Literal["fixed", "fresh"] | None = Field(
        default=None, description="fixed: one draw per image; fresh: a new draw at every step."
    )
    pixels: Literal["unit", "raw"] = Field(description="unit: divided by the largest pixel value.")
    centre: bool = Field(description="Subtract the training mean of the images.")
    components: Count | None = Field(
        default=None, description="Keep only so many leading principal components of the training images."
    )
    whiten: bool = Field(description="Whiten the inputs by their training second moment.")
    loss: Literal["sum", "mean"] = Field(description="Squared error summed or averaged over outputs.")

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        denoise = self.kind == "denoise"
        if (self.noise is not None) != denoise or (self.noise_draw is not None) != denoise:
            raise ValueError("`noise` and `noise_draw` are required for denoise, and only allowed there")
        if denoise and self.whiten and self.noise_draw == "fresh":
            raise ValueError("`whiten` needs a fixed noise_draw: fresh noise leaves no fixed inputs to whiten")
        return self


class DataSettings(Strict):
    """Ingredients of samples: the images, and the task set on them."""

    dataset: Dataset
    task: Task
