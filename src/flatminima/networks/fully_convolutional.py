"""Stacks of fully convolutional networks, whose layers are all filters: denoisers of images."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from flatminima.networks.stack import Stack

FILTER = 3


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
