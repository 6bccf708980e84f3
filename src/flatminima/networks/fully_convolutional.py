"""Stacks of fully convolutional networks, whose layers are all filters: denoisers of images."""

from dataclasses import dataclass, field
from math import isqrt

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from flatminima.errors import UserError
from flatminima.networks.stack import Stack

FILTER = 3
CHANNELS = (1, 3)
"""Of grey and of colour images: no number of pixels is both a square and three times one."""


@dataclass(frozen=True)
class FullyConvolutionalStack(Stack):
    """Replicas of one network whose layers are 3x3 filters at every pixel, with zeros around the image.

    Samples are rows, images of shape (side, side, channels) flattened, and so are the outputs of every layer.

    Attributes:
        weights: m tensors, W_k of shape (replicas, c_k, c_{k-1}, 3, 3) with c_k the channels after layer k.
        biases: m tensors of shape (replicas, c_k), or empty.
        side: pixels along an edge of the images.
    """

    side: int = field(kw_only=True)

    @property
    def units(self) -> int:
        """Outputs of all layers together, for one sample."""
        return self.side**2 * super().units

    def _affine(self, k: int, hidden: Tensor) -> Tensor:
        """Layer k + 1 without its activation: one replica after the other, which is faster than grouped filters."""
        images = hidden.reshape(*hidden.shape[:2], self.side, self.side, -1).movedim(-1, 2)
        biases = self.biases[k] if self.biases else [None] * self.replicas
        filtered = [
            conv2d(image, weight, bias, padding=FILTER // 2)
            for image, weight, bias in zip(images, self.weights[k], biases, strict=True)
        ]
        return torch.stack([maps.movedim(1, -1) for maps in filtered]).flatten(2)


def image_shape(pixels: int, what: str) -> tuple[int, int]:
    """Side and channels of square images, grey or of three colours.

    Args:
        pixels: entries of a flattened image.
        what: the setting to name in an error.

    Raises:
        UserError: if there are no such images.
    """
    for channels in CHANNELS:
        side = isqrt(pixels // channels)
        if channels * side**2 == pixels:
            return side, channels
    raise UserError(
        f"{what}: {pixels} values per sample; expected square images of 1 or 3 channels, such as 28 x 28 or "
        "32 x 32 x 3: use another data set, or the family relu"
    )
