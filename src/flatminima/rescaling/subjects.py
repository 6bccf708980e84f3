"""Trained networks as PyTorch modules with their data: what is rescaled."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.curvature.samples import Batch
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks import convolutional
from flatminima.networks.modules import as_module
from flatminima.networks.storage import Networks
from flatminima.provenance.tables import long_table
from flatminima.rescaling.sharpness import best_constant_loss
from flatminima.training.convolutional import squared_error

COLLAPSED = 0.99
"""Of the best constant function's loss: a network that does no better has not learned anything."""


@dataclass(frozen=True)
class Subject:
    """A network in float64, with training and test data.

    Attributes:
        model: see above.
        data: training inputs and targets.
        test: the same for testing.
        classes: whether the outputs are scores of classes.
        labels: columns of the tidy table: family, task, optimiser, depth, seed and so on.
    """

    model: nn.Module
    data: Batch
    test: Batch
    classes: bool
    labels: dict[str, Any]

    @cached_property
    def hessian(self) -> Hessian:
        """Of the training loss."""
        return Hessian(self.model, squared_error, self.data)

    @cached_property
    def gauss_newton(self) -> GaussNewton:
        """Of the training loss."""
        return GaussNewton(self.model, squared_error, self.data)

    @cached_property
    def loss(self) -> float:
        """On the training data."""
        return self._loss(self.data)

    @cached_property
    def test_loss(self) -> float:
        """On the test data."""
        return self._loss(self.test)

    @cached_property
    def test_error(self) -> float:
        """Fraction of the test images that are misread; without classes, the loss relative to that of predicting zero."""
        if not self.classes:
            return self.test_loss / float(self.test[1].square().sum(1).mean())
        return float((self.outputs.argmax(1) != self.test[1].argmax(1)).double().mean())

    @cached_property
    def outputs(self) -> Tensor:
        """On the test inputs, shape (samples, d_y)."""
        with torch.no_grad():
            result: Tensor = self.model(self.test[0])
        return result

    @property
    def suffix(self) -> str:
        """Of the names of experiments: empty, but for convolutional networks."""
        return "_convolutional" if self.labels["family"] == "convolutional" else ""

    @property
    def names(self) -> tuple[str, int, int]:
        """What tells the network from others, for random streams."""
        return str(self.labels["family"]), int(self.labels["depth"]), int(self.labels["replica"])

    @property
    def learned(self) -> bool:
        """Whether the parameters are finite and the loss is lower than the best constant function's."""
        return self.loss < COLLAPSED * best_constant_loss(self.data[1])

    def with_model(self, model: nn.Module) -> Self:
        """The same data, another network."""
        return replace(self, model=model)

    def with_tanh(self) -> Self:
        """The control of all that rests on homogeneity: the same parameters, with the rectifiers replaced."""
        model = deepcopy(self.model)
        for name, layer in model.named_children():
            if isinstance(layer, nn.ReLU):
                setattr(model, name, nn.Tanh())
        return self.with_model(model)

    def _loss(self, batch: Batch) -> float:
        with torch.no_grad():
            return float(squared_error(self.model(batch[0]), batch[1]))


def fully_connected(networks: Networks, samples: Samples) -> list[Subject]:
    """The final networks of a file, whether they learned or not.

    Raises:
        UserError: if the loss of their task is not the sum over outputs.
    """
    final = networks.replicas[networks.replicas["final"]]
    stack, (data, test), classes = networks.stack.double(), _batches(samples), samples.noise_draw == "none"
    return [
        Subject(as_module(stack, index), data, test, classes, {**networks.labels, **_labels(row), "replica": index})
        for index, row in zip(final.index.tolist(), final.to_dict("records"), strict=True)
    ]


def convolutions(
    models: Sequence[nn.Module], shape: convolutional.Shape, labels: dict[str, Any], samples: Samples
) -> list[Subject]:
    """Convolutional networks, whether they learned or not.

    Raises:
        UserError: as `fully_connected`.
    """
    (inputs, targets), (test_inputs, test_targets) = _batches(samples)
    data, test = (shape.images(inputs), targets), (shape.images(test_inputs), test_targets)
    depth, classes = len(shape.channels) + 1, samples.noise_draw == "none"
    return [
        Subject(model.double(), data, test, classes, {**labels, "depth": depth, "seed": seed, "replica": seed})
        for seed, model in enumerate(models)
    ]


def rows(study: str, subject: Subject, experiment: str, values: Mapping[str, ArrayLike], **labels: Any) -> pd.DataFrame:
    """Rows of the tidy table for one network that did not diverge; column seed numbers the networks of a file."""
    known = subject.labels
    columns = {"study": study, "experiment": experiment, "seed": known["replica"], "step": 0, "final": True}
    kept = {key: known[key] for key in ("family", "task", "initialisation", "optimiser", "depth", "step_size")}
    table = pd.DataFrame([columns | kept | {"step_fraction": np.nan} | labels])
    return long_table(table, {name: np.asarray(value)[None] for name, value in {"diverged": 0.0, **values}.items()})


def curve(study: str, subject: Subject, name: str, x: ArrayLike, value: ArrayLike, y: ArrayLike = 0.0) -> pd.DataFrame:
    """Rows of the table of curves: study, experiment (the curve's name), depth, seed, x, y and value."""
    columns = {"study": study, "experiment": name + subject.suffix, "depth": subject.labels["depth"]}
    columns["seed"] = subject.labels["replica"]
    return pd.DataFrame({"x": np.asarray(x, float), "y": y, "value": np.asarray(value, float)}).assign(**columns)


def _labels(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("seed", "step_size", "step_fraction")}


def _batches(samples: Samples) -> tuple[Batch, Batch]:
    if samples.loss != "sum":
        raise UserError(f"loss: is the {samples.loss} over outputs; rescaling expects a task with loss: sum")
    tensors = (samples.inputs, samples.targets, samples.test_inputs, samples.test_targets)
    inputs, targets, test_inputs, test_targets = (torch.from_numpy(array).double() for array in tensors)
    return (inputs, targets), (test_inputs, test_targets)
