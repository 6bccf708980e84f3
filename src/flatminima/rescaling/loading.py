"""Trained networks read from their files, with the data that they were trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from flatminima.curvature.samples import Batch
from flatminima.data.moments import Moments, equivalent_samples
from flatminima.data.storage import load_samples
from flatminima.data.tasks import Loss, Samples
from flatminima.errors import UserError
from flatminima.networks import convolutional, storage
from flatminima.networks.modules import as_module
from flatminima.networks.storage import Networks
from flatminima.rescaling.rows import CONVOLUTIONAL
from flatminima.rescaling.subjects import Subject


def load_all(networks: Sequence[Path], samples: Path) -> list[Subject]:
    """Read the final networks of several files, with the samples that they were trained on.

    Raises:
        UserError: if a file cannot be read, or the loss of the task is not the sum over outputs.
    """
    known = load_samples(samples)
    return [subject for path in networks for subject in load(path, known)]


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
        UserError: if the loss of their task is not the sum over outputs.
    """
    (inputs, targets), (test_inputs, test_targets) = _batches(samples)
    data, test = (shape.images(inputs), targets), (shape.images(test_inputs), test_targets)
    depth, classes = len(shape.channels) + 1, samples.noise_draw == "none"
    return [
        Subject(model.double(), data, test, classes, {**labels, "depth": depth, "seed": seed, "replica": seed})
        for seed, model in enumerate(models)
    ]


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
