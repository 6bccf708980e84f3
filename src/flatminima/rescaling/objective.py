"""A network's loss as a function of its flattened parameters."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from flatminima.curvature.mean import MeanLoss
from flatminima.curvature.network import Network, Parameters
from flatminima.curvature.samples import Batch


class Objective:
    """The loss in float64, whatever the dtype of the network.

    Attributes:
        model: the network, in float64.
        data: its inputs and targets, in float64 if real.
        point: the network's parameters, flattened in the order of `named_parameters`, shape (P,).
    """

    def __init__(self, model: nn.Module, loss: MeanLoss, data: Batch) -> None:
        """Copy the network and cast the data.

        Args:
            model: any network without batch statistics or dropout.
            loss: maps (outputs, targets) to a number.
            data: all inputs and targets.

        Raises:
            UserError: if no parameter requires gradients, or layers behave at random or by batch.
        """
        self.model = deepcopy(model).double()
        self._network, self._loss = Network(self.model), loss
        self.data = self._network.cast(data[0]), self._network.cast(data[1])
        self.point = torch.cat([part.detach().flatten() for part in self._network.parameters])

    def value(self, point: Tensor) -> float:
        """Loss at a point, shape (P,)."""
        with torch.no_grad():
            return float(self._value(self._parts(point)))

    def value_and_gradient(self, point: Tensor) -> tuple[float, Tensor]:
        """Loss at a point, and its gradient, both of shape (P,)."""
        parts = tuple(part.requires_grad_() for part in self._parts(point.detach()))
        value = self._value(parts)
        gradient = torch.autograd.grad(value, parts, materialize_grads=True)
        return float(value.detach()), torch.cat([part.flatten() for part in gradient])

    def _value(self, parts: Parameters) -> Tensor:
        inputs, targets = self.data
        return self._loss(self._network(parts, inputs), targets)

    def _parts(self, point: Tensor) -> Parameters:
        shapes = [part.shape for part in self._network.parameters]
        parts = torch.split(point, [shape.numel() for shape in shapes])
        return tuple(part.view(shape) for part, shape in zip(parts, shapes, strict=True))
