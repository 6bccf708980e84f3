"""A trained network as a PyTorch module, with its data: what is rescaled."""

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn

from flatminima.curvature.certified import top_eigenpair
from flatminima.curvature.diagonal import gauss_newton_diagonal
from flatminima.curvature.operators import GaussNewton, Hessian, Operator
from flatminima.curvature.samples import Batch
from flatminima.networks.losses import squared_error
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.sharpness import best_constant_loss

COLLAPSED = 0.99
"""Fraction of the best constant function's loss from which on a network has not learned anything."""
MANY = 10_000
"""Number of samples from which on eigensolvers begin on a tenth of them."""
TANH = "tanh"
"""Control of networks that have lost their homogeneity: tanh in place of the rectifier."""

Curvature = Hessian | GaussNewton


@dataclass(frozen=True)
class Subject:
    """A network in float64, with training and test data.

    Attributes:
        model: the network, in float64.
        data: training inputs and targets.
        test: test inputs and targets.
        classes: whether the outputs are scores of classes.
        labels: columns of the table of measures: family, task, optimiser, depth and step_size; seed, that of its start,
            and replica, its number in its file.
    """

    model: nn.Module
    data: Batch
    test: Batch
    classes: bool
    labels: dict[str, Any]

    @property
    def hessian(self) -> Hessian:
        """Hessian of the training loss, not cached: it holds graphs of all samples."""
        return Hessian(self.model, squared_error, self.data)

    @property
    def gauss_newton(self) -> GaussNewton:
        """Gauss-Newton matrix of the training loss, not cached: it holds graphs of all samples."""
        return GaussNewton(self.model, squared_error, self.data)

    @cached_property
    def sharpness(self) -> float:
        """The Hessian's largest eigenvalue."""
        return self._top(self.hessian)

    @cached_property
    def gauss_newton_sharpness(self) -> float:
        """The Gauss-Newton matrix's largest eigenvalue."""
        return self._top(self.gauss_newton)

    @cached_property
    def diagonal(self) -> Tensor:
        """Diagonal of the Gauss-Newton matrix, shape (P,)."""
        return gauss_newton_diagonal(self.model, squared_error, *self.data)

    @cached_property
    def parameters(self) -> Tensor:
        """Parameters, flattened, shape (P,)."""
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])

    @cached_property
    def loss(self) -> float:
        """Loss on the training data."""
        return self._loss(self.data)

    @cached_property
    def test_loss(self) -> float:
        """Loss on the test data."""
        return self._loss(self.test)

    @cached_property
    def test_error(self) -> float:
        """Fraction of test images that are misread; without classes, loss relative to that of predicting zero."""
        if not self.classes:
            return self.test_loss / float(self.test[1].square().sum(1).mean())
        return float((self.outputs.argmax(1) != self.test[1].argmax(1)).double().mean())

    @cached_property
    def outputs(self) -> Tensor:
        """Outputs on the test inputs, shape (samples, d_y)."""
        with torch.no_grad():
            result: Tensor = self.model(self.test[0])
        return result

    @cached_property
    def rescaling(self) -> Rescaling:
        """Rescalings of whole layers that leave the function as it is."""
        return Rescaling(self.model, "layers")

    @property
    def names(self) -> tuple[str, int, int]:
        """Names that tell the network from others, for random streams."""
        return str(self.labels["family"]), int(self.labels["depth"]), int(self.labels["replica"])

    @property
    def learned(self) -> bool:
        """Whether the parameters are finite and the loss is lower than the best constant function's."""
        return self.loss < COLLAPSED * best_constant_loss(self.data[1])

    def with_model(self, model: nn.Module) -> Self:
        """Another network with these data and labels."""
        return replace(self, model=model)

    def with_tanh(self) -> Self:
        """Control of all that rests on homogeneity: these parameters, with tanh in place of the rectifiers."""
        model = deepcopy(self.model)
        for name, layer in model.named_children():
            if isinstance(layer, nn.ReLU):
                setattr(model, name, nn.Tanh())
        return self.with_model(model)

    def rough(self, curvature: Curvature) -> Curvature | None:
        """Curvature on every tenth of MANY samples or more, with whose eigenvectors solvers begin; None for fewer."""
        return curvature.thinned() if len(self.data[0]) >= MANY else None

    def _top(self, curvature: Curvature) -> float:
        return top(curvature, self.rough(curvature))

    def _loss(self, batch: Batch) -> float:
        with torch.no_grad():
            return float(squared_error(self.model(batch[0]), batch[1]))


def top(operator: Operator, rough: Operator | None = None) -> float:
    """The largest eigenvalue, searched from eigenvectors of a rough approximation where there is one.

    Raises:
        UserError: if its residual stays too large.
    """
    value, _, _ = top_eigenpair(operator, rough=rough)
    return value
