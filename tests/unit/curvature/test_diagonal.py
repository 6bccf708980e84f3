"""Diagonals of Gauss-Newton matrices and, for rectified networks, of Hessians, against dense matrices."""

import pytest
import torch
from curvature.modules import data, dense_gauss_newton, dense_hessian, mlp
from references import DTYPE, normal
from rescalable import convolutional, inputs_of, perceptron, residual, seeded, squared
from torch import nn
from torch.nn import functional

from flatminima.curvature import diagonal
from flatminima.curvature.diagonal import gauss_newton_diagonal


def cubic(outputs, targets):
    """A loss whose curvature couples the outputs."""
    return ((outputs - targets).sum(1) ** 2 + (outputs**2).sum(1) ** 1.5).mean()


LOSSES = {
    "squared": (squared, lambda labels: functional.one_hot(labels, 3).to(DTYPE)),
    "cross entropy": (functional.cross_entropy, lambda labels: labels),
    "coupled": (cubic, lambda labels: functional.one_hot(labels, 3).to(DTYPE)),
}


@pytest.mark.parametrize(("loss", "targets"), LOSSES.values(), ids=LOSSES)
def test_any_network_and_loss(loss, targets):
    model = mlp()
    inputs, labels = data(model)
    matrix = dense_gauss_newton(model, loss, inputs, targets(labels))
    found = gauss_newton_diagonal(model, loss, inputs, targets(labels))
    torch.testing.assert_close(found, matrix.diagonal(), rtol=1e-10, atol=1e-12)


BUILDS = {
    "perceptron": lambda: perceptron([4, 5, 3, 2]),
    "leaky": lambda: perceptron([4, 5, 3, 2], nn.LeakyReLU),
    "residual": residual,
    "images": convolutional,
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_rectified_networks_have_the_diagonal_of_the_hessian(build):
    """Squared errors, far from a minimum: outputs are linear in each weight alone."""
    model = seeded(build(), 1)
    inputs = inputs_of(model, 2)
    outputs = model(inputs).detach()
    targets = outputs + normal(3, *outputs.shape)
    found = gauss_newton_diagonal(model, squared, inputs, targets)
    torch.testing.assert_close(found, dense_gauss_newton(model, squared, inputs, targets).diagonal(), rtol=1e-9, atol=0)
    torch.testing.assert_close(found, dense_hessian(model, squared, inputs, targets).diagonal(), rtol=1e-9, atol=1e-9)


def test_a_smooth_network_has_another_diagonal():
    """The control of the test above."""
    model = seeded(perceptron([4, 5, 2], nn.Tanh), 1)
    inputs = inputs_of(model, 2)
    targets = normal(3, 11, 2)
    found = gauss_newton_diagonal(model, squared, inputs, targets)
    assert (found - dense_hessian(model, squared, inputs, targets).diagonal()).abs().max() > 0.01 * found.max()


@pytest.mark.parametrize("chunk", [1, 4, 11])
def test_the_chunk_changes_nothing_but_rounding(chunk, monkeypatch):
    model = seeded(perceptron([4, 5, 2]), 1)
    batch = inputs_of(model, 2), normal(3, 11, 2)
    whole = gauss_newton_diagonal(model, squared, *batch)
    monkeypatch.setattr(diagonal, "CHUNK", chunk)
    torch.testing.assert_close(gauss_newton_diagonal(model, squared, *batch), whole, rtol=1e-13, atol=0)


ARRANGEMENTS = {
    "nested": (nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Linear(5, 2)), (11, 4)),
    "sequences": (nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2), nn.Flatten()), (11, 3, 4)),
    "without biases": (nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 2)), (11, 4)),
    "linear": (nn.Sequential(nn.Linear(4, 2)), (11, 4)),
}


@pytest.mark.parametrize(("model", "shape"), ARRANGEMENTS.values(), ids=ARRANGEMENTS)
def test_layers_in_other_arrangements(model, shape):
    model, inputs = seeded(model, 1), normal(2, *shape)
    targets = normal(3, *model(inputs).shape)
    found = gauss_newton_diagonal(model, squared, inputs, targets)
    torch.testing.assert_close(found, dense_gauss_newton(model, squared, inputs, targets).diagonal(), rtol=1e-9, atol=0)


def test_a_layer_that_is_used_twice():
    """Its parameters are there once, with derivatives through both places."""
    shared = nn.Linear(3, 3)
    model = seeded(nn.Sequential(shared, nn.ReLU(), shared), 1)
    inputs, targets = normal(2, 11, 3), normal(3, 11, 3)
    found = gauss_newton_diagonal(model, squared, inputs, targets)
    torch.testing.assert_close(found, dense_gauss_newton(model, squared, inputs, targets).diagonal(), rtol=1e-9, atol=0)
