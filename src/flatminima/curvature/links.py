"""Layers at given inputs, by how they pass on changes of activations, and of gradients in activations."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar

import torch
from torch import Tensor

from flatminima.curvature.differentiation import grad


class Link(ABC):
    """A layer at given inputs.

    Attributes:
        count: number of its parameters.
        outputs: its values, until they are handed on.
    """

    count: int = 0
    outputs: Tensor

    @abstractmethod
    def __init__(self, layer: Any, inputs: Tensor, parameters: Sequence[Tensor]) -> None:
        """Compute the outputs, and store what changes need."""

    @classmethod
    def knows(cls, layer: Any) -> bool:
        """Whether the settings of a layer are among those that are written out."""
        return True

    def release(self) -> Tensor:
        """Hand the outputs on."""
        outputs = self.outputs.detach()
        del self.outputs
        return outputs

    @abstractmethod
    def forth(self, change: Tensor) -> Tensor:
        """Change of the outputs with the inputs."""

    @abstractmethod
    def back(self, cotangent: Tensor) -> Tensor:
        """Gradient in the inputs from that in the outputs."""

    def push(self, change: Tensor | None, direction: Sequence[Tensor]) -> Tensor | None:
        """Change of the outputs with the inputs and the parameters; None stands for no change."""
        return None if change is None else self.forth(change)

    def hold(self, cotangent: Tensor | None) -> None:  # noqa: B027
        """Store the gradient in the outputs, as far as `pull` and `gradients` need it; None where they leave it out."""

    def pull(self, cotangent: Tensor, change: Tensor, direction: Sequence[Tensor]) -> Tensor:
        """Change of the gradient in the inputs, from that of the gradient in the outputs and `push`'s arguments."""
        return self.back(cotangent)

    def gradients(self, cotangent: Tensor, change: Tensor | None) -> list[Tensor]:
        """Changes of the gradients in the parameters, from that of the gradient in the outputs and of the inputs."""
        return []


class Pointwise(Link):
    """A function of each number by itself."""

    bent: ClassVar[bool] = True
    """Whether it has second derivatives."""

    def __init__(self, layer: Any, inputs: Tensor, parameters: Sequence[Tensor]) -> None:
        with torch.enable_grad():
            point = (inputs.detach().requires_grad_(),)
            self.outputs = layer(*point)
            (slope,) = grad(self.outputs.sum(), point, create_graph=self.bent)
        self._slope, self._curved = slope.detach(), (slope, *point)
        self._turn: Tensor | None = None

    def forth(self, change: Tensor) -> Tensor:
        """Change of the outputs with the inputs."""
        return change * self._slope

    def back(self, cotangent: Tensor) -> Tensor:
        """Gradient in the inputs from that in the outputs."""
        return cotangent * self._slope

    def hold(self, cotangent: Tensor | None) -> None:
        """Store the gradient in the outputs."""
        slope, point = self._curved
        if cotangent is not None and self.bent:
            (self._turn,) = torch.autograd.grad(slope, point, cotangent)
        del self._curved

    def pull(self, cotangent: Tensor, change: Tensor, direction: Sequence[Tensor]) -> Tensor:
        """Change of the gradient in the inputs."""
        result = self.back(cotangent)
        return result if self._turn is None else result.addcmul_(self._turn, change)


class Kinked(Pointwise):
    """A function of each number by itself that is linear but at corners."""

    bent = False


class Fixed(Link):
    """A linear map without parameters."""

    def __init__(self, layer: Any, inputs: Tensor, parameters: Sequence[Tensor]) -> None:
        self._layer = layer
        with torch.enable_grad():
            self._point = inputs.detach().requires_grad_()
            self.outputs = self._image = layer(self._point)

    def forth(self, change: Tensor) -> Tensor:
        """Change of the outputs with the inputs."""
        result: Tensor = self._layer(change)
        return result

    def back(self, cotangent: Tensor) -> Tensor:
        """Gradient in the inputs from that in the outputs."""
        (result,) = torch.autograd.grad(self._image, self._point, cotangent, retain_graph=True)
        return result


class Maximum(Link):
    """Pooling by maxima: each output is one of the inputs, by its place among all of them with their channels last."""

    @classmethod
    def knows(cls, layer: Any) -> bool:
        """Whether it gives its values alone."""
        return not layer.return_indices

    def __init__(self, layer: Any, inputs: Tensor, parameters: Sequence[Tensor]) -> None:
        pool = copy(layer)
        pool.return_indices = True
        self.outputs, places = pool(inputs)
        places = places.movedim(1, -1)
        samples = torch.arange(len(inputs), device=inputs.device).view(-1, *[1] * (places.dim() - 1))
        channels = torch.arange(inputs.shape[1], device=inputs.device)
        self._shape = inputs.movedim(1, -1).shape
        self._chosen = (samples * inputs[0, 0].numel() + places) * len(channels) + channels

    def forth(self, change: Tensor) -> Tensor:
        """Change of the outputs with the inputs."""
        flat = change.movedim(1, -1).reshape(-1)
        return flat.index_select(0, self._chosen.flatten()).view(self._chosen.shape).movedim(-1, 1)

    def back(self, cotangent: Tensor) -> Tensor:
        """Gradient in the inputs from that in the outputs."""
        flat = cotangent.new_zeros(self._shape.numel())
        flat.scatter_add_(0, self._chosen.flatten(), cotangent.movedim(1, -1).reshape(-1))
        return flat.view(self._shape).movedim(-1, 1)
