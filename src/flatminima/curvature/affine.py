"""Layers that are linear in their inputs and in their weights."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from flatminima.curvature.links import Link

IMAGES = 4
"""Axes of a batch of images: samples, channels, rows, columns."""


class Affine(Link):
    """A map that is linear in its inputs and in its weight, and a bias."""

    channel: ClassVar[int]
    """Axis of the bias."""

    def __init__(self, layer: Any, inputs: Tensor, parameters: Sequence[Tensor]) -> None:
        self._layer, self._inputs, self._weight, self.count = layer, inputs, parameters[0], len(parameters)
        self._cotangent: Tensor | None = None
        self.outputs = self.image(inputs, *parameters)

    @abstractmethod
    def image(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Outputs."""

    @abstractmethod
    def to_inputs(self, cotangent: Tensor, weight: Tensor) -> Tensor:
        """Gradient in the inputs."""

    @abstractmethod
    def to_weight(self, cotangent: Tensor, inputs: Tensor) -> Tensor:
        """Gradient in the weight."""

    def forth(self, change: Tensor) -> Tensor:
        """Change of the outputs with the inputs."""
        return self.image(change, self._weight)

    def push(self, change: Tensor | None, direction: Sequence[Tensor]) -> Tensor:
        """Change of the outputs with the inputs and the parameters."""
        result = self.image(self._inputs, *direction)
        return result if change is None else result.add_(self.forth(change))

    def back(self, cotangent: Tensor) -> Tensor:
        """Gradient in the inputs from that in the outputs."""
        return self.to_inputs(cotangent, self._weight)

    def hold(self, cotangent: Tensor | None) -> None:
        """Store the gradient in the outputs."""
        self._cotangent = cotangent

    def pull(self, cotangent: Tensor, change: Tensor, direction: Sequence[Tensor]) -> Tensor:
        """Change of the gradient in the inputs."""
        result = self.back(cotangent)
        return result if self._cotangent is None else result.add_(self.to_inputs(self._cotangent, direction[0]))

    def gradients(self, cotangent: Tensor, change: Tensor | None) -> list[Tensor]:
        """Changes of the gradients in the weight and the bias."""
        weight = self.to_weight(cotangent, self._inputs)
        if change is not None and self._cotangent is not None:
            weight += self.to_weight(self._cotangent, change)
        others = [axis for axis in range(cotangent.dim()) if axis != self.channel % cotangent.dim()]
        return [weight, cotangent.sum(others)][: self.count]


class Dense(Affine):
    """nn.Linear on inputs of any number of axes."""

    channel = -1

    def image(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Outputs."""
        return nn.functional.linear(inputs, weight, bias)

    def to_inputs(self, cotangent: Tensor, weight: Tensor) -> Tensor:
        """Gradient in the inputs."""
        return cotangent @ weight

    def to_weight(self, cotangent: Tensor, inputs: Tensor) -> Tensor:
        """Gradient in the weight."""
        return cotangent.flatten(0, -2).mT @ inputs.flatten(0, -2)


class Convolution(Affine):
    """nn.Conv1d, Conv2d and Conv3d with zeros around; images lie with their channels last, where kernels are faster."""

    channel = 1

    @classmethod
    def knows(cls, layer: Any) -> bool:
        """Whether zeros lie around, as many on all sides."""
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)

    def __init__(self, layer: Any, inputs: Tensor, parameters: Sequence[Tensor]) -> None:
        super().__init__(layer, _channels_last(inputs), parameters)

    def image(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Outputs."""
        result: Tensor = torch.ops.aten.convolution.default(inputs, weight, bias, *self._settings())
        return result

    def to_inputs(self, cotangent: Tensor, weight: Tensor) -> Tensor:
        """Gradient in the inputs."""
        return self._gradients(cotangent, self._inputs, weight, [True, False, False])[0]

    def to_weight(self, cotangent: Tensor, inputs: Tensor) -> Tensor:
        """Gradient in the weight."""
        return self._gradients(cotangent, inputs, self._weight, [False, True, False])[1]

    def _gradients(self, cotangent: Tensor, inputs: Tensor, weight: Tensor, wanted: list[bool]) -> tuple[Tensor, ...]:
        function = torch.ops.aten.convolution_backward.default
        result: tuple[Tensor, ...] = function(
            _channels_last(cotangent), inputs, weight, None, *self._settings(), wanted
        )
        return result

    def _settings(self) -> tuple[object, ...]:
        layer = self._layer
        transposed, output_padding = False, layer.output_padding
        return layer.stride, layer.padding, layer.dilation, transposed, output_padding, layer.groups


def _channels_last(values: Tensor) -> Tensor:
    """Images with their channels last in memory, anything else as it is."""
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == IMAGES else values
