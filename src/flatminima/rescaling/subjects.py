"""Trained networks as PyTorch modules with their data: what is rescaled."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from flatminima.curvature.certified import top_eigenpair
from flatminima.curvature.diagonal import gauss_newton_diagonal
from flatminima.curvature.operators import GaussNewton, Hessian, Operator
from flatminima.curvature.samples import Batch
from flatminima.data.moments import Moments, equivalent_samples
from flatminima.data.tasks import Loss, Samples
from flatminima.errors import UserError
from flatminima.networks import convolutional, storage
from flatminima.networks.losses import squared_error
from flatminima.networks.modules import as_module
from flatminima.networks.storage import Networks
from flatminima.record import long_table
from flatminima.rescaling.sharpness import best_constant_loss

COLLAPSED = 0.99
"""Of the best constant function's loss: a network that does no better has not learned anything."""
MANY = 10_000
"""Samples from which solvers begin on a part of them."""
CONVOLUTIONAL = "convolutional"
TANH = "-tanh"
"""Ending of experiments whose networks have lost their homogeneity."""

Curvature = Hessian | GaussNewton


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

    @property
    def hessian(self) -> Hessian:
        """Of the training loss; made anew each time, because it holds graphs of all samples."""
        return Hessian(self.model, squared_error, self.data)

    @property
    def gauss_newton(self) -> GaussNewton:
        """Of the training loss; made anew each time as well."""
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
        """Of the Gauss-Newton matrix, shape (P,)."""
        return gauss_newton_diagonal(self.model, squared_error, *self.data)

    @cached_property
    def parameters(self) -> Tensor:
        """Flattened, shape (P,)."""
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])

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
        """Fraction of test images that are misread; without classes, loss relative to that of predicting zero."""
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
        return f"_{CONVOLUTIONAL}" if self.labels["family"] == CONVOLUTIONAL else ""

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

    def rough(self, curvature: Curvature) -> Curvature | None:
        """Its curvature on every tenth sample, where there are many: solvers begin with the eigenvectors of that."""
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


def load(path: Path, samples: Samples) -> list[Subject]:
    """The final networks of a file, fully connected or convolutional, whether they learned or not.

    Raises:
        UserError: if the file cannot be read, or the loss of the task is not the sum over outputs.
    """
    if path.stem == CONVOLUTIONAL:
        return convolutions(*convolutional.load(path), samples)
    return fully_connected(storage.load(path), samples)


def fully_connected(networks: Networks, samples: Samples) -> list[Subject]:
    """The final networks of a file, whether they learned or not.

    Raises:
        UserError: if the loss of their task is not the sum over outputs.
    """
    return _replicas(networks, *_batches(samples), classes=samples.noise_draw == "none")


def linear(networks: Networks, moments: Moments) -> list[Subject]:
    """The final linear networks of a file, with d_x samples that have the second moments of their task.

    Raises:
        UserError: if the loss of their task is not the sum over outputs.
    """
    _check_loss(moments.loss)
    inputs, targets = (torch.from_numpy(array) for array in equivalent_samples(moments))
    return _replicas(networks, (inputs, targets), (inputs, targets), classes=False)


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
    """Rows of the tidy table for one network that did not diverge; column seed numbers the networks of its shape."""
    known = subject.labels
    columns = {"study": study, "experiment": experiment, "seed": known["replica"], "step": 0, "final": True}
    kept = {key: known[key] for key in ("family", "task", "initialisation", "optimiser", "depth", "step_size")}
    table = pd.DataFrame([columns | kept | {"step_fraction": np.nan} | labels])
    return long_table(table, {name: np.asarray(value)[None] for name, value in {"diverged": 0.0, **values}.items()})


def curve(study: str, subject: Subject, name: str, x: ArrayLike, value: ArrayLike, y: ArrayLike = 0.0) -> pd.DataFrame:
    """Rows of the table of curves: study, experiment (the curve's name), depth, seed, x, y and value."""
    columns = {"study": study, "experiment": name + subject.suffix, "depth": subject.labels["depth"]}
    columns["seed"] = subject.labels["replica"]
    return pd.DataFrame({"x": np.asarray(x, float), "y": y, "value": np.asarray(value, float)}).assign(
        error_bound=np.nan, **columns
    )


def _replicas(networks: Networks, data: Batch, test: Batch, *, classes: bool) -> list[Subject]:
    stack, final = networks.stack.double(), networks.replicas[networks.replicas["final"]]
    return [
        Subject(
            as_module(stack, index),
            data,
            test,
            classes,
            {**networks.labels, **known, "replica": networks.first + index},
        )
        for index, known in zip(final.index.tolist(), _records(final), strict=True)
    ]


def _records(replicas: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in replicas.to_dict("records")]


def _batches(samples: Samples) -> tuple[Batch, Batch]:
    _check_loss(samples.loss)
    tensors = (samples.inputs, samples.targets, samples.test_inputs, samples.test_targets)
    inputs, targets, test_inputs, test_targets = (torch.from_numpy(array).double() for array in tensors)
    return (inputs, targets), (test_inputs, test_targets)


def _check_loss(loss: Loss) -> None:
    if loss != "sum":
        raise UserError(f"loss: is the {loss} over outputs; rescaling expects a task with loss: sum")
