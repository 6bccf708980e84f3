"""Hessians and Gauss-Newton matrices of modules against dense float64 ones, in any chunks."""

import numpy as np
import pytest
import torch
from modules import (
    Dense,
    columns,
    convolutional,
    data,
    dense_gauss_newton,
    dense_hessian,
    flat_loss,
    mlp,
    tied,
    with_spectrum,
)
from references import DTYPE, normal
from scipy.sparse.linalg import eigsh
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from flatminima.curvature import operators
from flatminima.curvature.operators import GaussNewton, Hessian, Sum

LOSS = nn.CrossEntropyLoss()
MODELS = [mlp, convolutional, tied]
EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("build", MODELS)
def test_hessians_against_dense_autograd(build):
    model = build()
    hessian = Hessian(model, LOSS, data(model))
    reference = dense_hessian(model, LOSS, *data(model))
    assert (hessian.shape, hessian.dtype, hessian.device.type) == (tuple(reference.shape), DTYPE, "cpu")
    torch.testing.assert_close(columns(hessian), reference, **EXACT)
    vector = normal(1, len(reference))
    torch.testing.assert_close(hessian.matvec(vector), reference @ vector, **EXACT)


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("loss", [LOSS, nn.MSELoss()])
def test_gauss_newton_matrices_against_dense_jacobians(build, loss):
    model = build()
    inputs, labels = data(model)
    targets = labels if loss is LOSS else normal(3, len(labels), 3)
    reference = dense_gauss_newton(model, loss, inputs, targets)
    torch.testing.assert_close(columns(GaussNewton(model, loss, (inputs, targets))), reference, **EXACT)


def test_a_quadratic_has_the_hessian_of_the_textbook():
    """Linear regression: mean (w x + b - y)^2 has the Hessian 2 E[(x, 1)(x, 1)'], whatever its parameters."""
    model = nn.Linear(4, 1).to(DTYPE)
    inputs, targets = normal(1, 30, 4), normal(2, 30, 1)
    extended = np.concatenate([inputs.numpy(), np.ones((30, 1))], 1)
    expected = torch.from_numpy(2 * extended.T @ extended / 30)
    for kind in (Hessian, GaussNewton):
        torch.testing.assert_close(columns(kind(model, nn.MSELoss(), (inputs, targets))), expected, **EXACT)


def test_products_against_finite_differences_of_the_gradient():
    model = mlp()
    hessian = Hessian(model, LOSS, data(model))
    direction, step = normal(4, hessian.shape[0]), 1e-6
    _, loss, flat = flat_loss(model, LOSS, *data(model))
    forth, back = (torch.autograd.functional.jacobian(loss, flat + s * direction) for s in (step, -step))
    torch.testing.assert_close(hessian.matvec(direction), (forth - back) / (2 * step), rtol=1e-6, atol=1e-7)
    expected = torch.autograd.functional.jacobian(loss, flat)
    torch.testing.assert_close(hessian.gradient(), expected, **EXACT)


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize("chunk", [1, 5, 7, 22, 23, 100])
@pytest.mark.parametrize("room", [0, 2, 100])
def test_chunks_are_weighted_by_their_sizes(kind, chunk, room, monkeypatch):
    """23 samples: the last chunk is smaller, and the mean of the chunks' means would be wrong."""
    monkeypatch.setattr(operators, "plan", lambda *_: (chunk, room))
    model = mlp()
    reference = (dense_hessian if kind is Hessian else dense_gauss_newton)(model, LOSS, *data(model))
    operator = kind(model, LOSS, data(model))
    for seed in range(3):
        block = normal(seed, len(reference), 4)
        torch.testing.assert_close(operator.matmat(block), reference @ block, **EXACT)
    _, loss, flat = flat_loss(model, LOSS, *data(model))
    torch.testing.assert_close(operator.gradient(), torch.autograd.functional.jacobian(loss, flat), **EXACT)


def test_the_mean_of_the_chunks_means_would_be_wrong():
    model = mlp()
    inputs, targets = data(model)
    parts = [dense_hessian(model, LOSS, inputs[a:b], targets[a:b]) for a, b in [(0, 20), (20, 23)]]
    whole = dense_hessian(model, LOSS, inputs, targets)
    assert (sum(parts) / 2 - whole).norm() > 0.05 * whole.norm()
    shards = [Hessian(model, LOSS, (inputs[a:b], targets[a:b])) for a, b in [(0, 20), (20, 23)]]
    torch.testing.assert_close(columns(Sum(shards, [20 / 23, 3 / 23])), whole, **EXACT)


class Passes:
    """A loader that counts how often it is read."""

    def __init__(self, loader):
        self.loader, self.count = loader, 0

    def __iter__(self):
        self.count += 1
        return iter(self.loader)


@pytest.mark.parametrize(("memory", "passes"), [(1024, 1), (0.006, 5)])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [3, 8, 400])
def test_loaders_give_the_hessian_of_all_their_samples(memory, passes, shuffle, batch_size):
    """Held in memory, or read again for every product in another order: once to set up, then once for each product."""
    model = mlp()
    inputs, targets = data(model, samples=301)
    loader = Passes(DataLoader(TensorDataset(inputs, targets), batch_size=batch_size, shuffle=shuffle))
    hessian = Hessian(model, LOSS, loader, memory=memory)
    reference = dense_hessian(model, LOSS, inputs, targets)
    for seed in range(4):
        vector = normal(seed, hessian.shape[0])
        torch.testing.assert_close(hessian.matvec(vector), reference @ vector, **EXACT)
    assert loader.count == passes


def test_a_list_of_batches_of_any_sizes():
    model = mlp()
    inputs, targets = data(model)
    batches = list(zip(inputs.split([1, 13, 9]), targets.split([1, 13, 9]), strict=True))
    reference = dense_hessian(model, LOSS, inputs, targets)
    torch.testing.assert_close(columns(Hessian(model, LOSS, batches)), reference, **EXACT)


@pytest.mark.parametrize(
    ("build", "wanted", "names"),
    [
        (mlp, ["2"], ["2.weight", "2.bias"]),
        (mlp, ["4.bias", "0.weight"], ["0.weight", "4.bias"]),
        (tied, ["again", "scale"], ["scale", "middle.weight", "middle.bias"]),
        (tied, ["encoder"], ["encoder.weight"]),
    ],
)
def test_a_restriction_to_parameters_or_layers_is_a_block(build, wanted, names):
    model = build()
    for kind, dense in ((Hessian, dense_hessian), (GaussNewton, dense_gauss_newton)):
        block = columns(kind(model, LOSS, data(model), parameters=wanted))
        torch.testing.assert_close(block, dense(model, LOSS, *data(model), names), **EXACT)


def test_frozen_parameters_do_not_count():
    model = mlp()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("2"))
    reference = dense_hessian(model, LOSS, *data(model), ["2.weight", "2.bias"])
    torch.testing.assert_close(columns(Hessian(model, LOSS, data(model))), reference, **EXACT)


def test_the_operator_is_that_of_the_network_when_it_was_made():
    model = mlp()
    reference = dense_hessian(model, LOSS, *data(model))
    hessian = Hessian(model, LOSS, data(model), memory=0.006)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    torch.testing.assert_close(columns(hessian), reference, **EXACT)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("build", MODELS)
def test_a_model_is_left_as_it_was(build):
    """torch.func.functional_call leaves other tensors in a layer that has two names."""
    model = build()
    tensors = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    values = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    Hessian(model, LOSS, data(model)).gradient()
    left = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    assert all(left[name] is tensor and torch.equal(tensor, values[name]) for name, tensor in tensors.items())


def test_float32_products_on_float64_vectors():
    model = mlp()
    inputs, targets = data(model)
    single = Hessian(mlp().float(), LOSS, (inputs, targets))
    reference = dense_hessian(model, LOSS, inputs, targets)
    assert single.dtype == torch.float32
    assert columns(single).dtype == DTYPE
    torch.testing.assert_close(columns(single), reference, rtol=1e-4, atol=1e-5)


def test_scipy_solves_with_it():
    model = mlp()
    reference = np.linalg.eigvalsh(dense_hessian(model, LOSS, *data(model)).numpy())
    values = eigsh(Hessian(model, LOSS, data(model)).scipy(), k=3, which="LA", return_eigenvectors=False)
    assert sorted(values) == pytest.approx(sorted(reference)[-3:], rel=1e-8)
    block = normal(1, len(reference), 4)
    matrix = Hessian(model, LOSS, data(model))
    np.testing.assert_allclose(matrix.scipy() @ block.numpy(), matrix.matmat(block).numpy(), rtol=1e-12, atol=1e-14)


def test_thinned_is_the_operator_of_every_tenth_sample():
    model = mlp()
    inputs, targets = data(model, samples=257)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=4)
    reference = dense_hessian(model, LOSS, inputs[::10], targets[::10])
    for source in ((inputs, targets), loader):
        for memory in (1024, 0.006):
            thinned = Hessian(model, LOSS, source, memory=memory).thinned(10)
            torch.testing.assert_close(columns(thinned), reference, **EXACT)


def test_a_constant_network_has_no_curvature():
    """Outputs that do not depend on the parameters through a graph, and a loss that is linear in them."""
    model = nn.Linear(3, 1).to(DTYPE)
    hessian = Hessian(model, lambda outputs, _: outputs.mean(), (normal(1, 6, 3), normal(2, 6, 1)))
    assert not columns(hessian).any()
    gauss_newton = GaussNewton(model, lambda outputs, _: outputs.mean(), (normal(1, 6, 3), normal(2, 6, 1)))
    assert not columns(gauss_newton).any()


def test_sums_of_matrices():
    first, second = with_spectrum([1.0, 2.0, 3.0])[0], with_spectrum([0.5, 0.1, -3.0], 1)[0]
    torch.testing.assert_close(columns(Sum([Dense(first), Dense(second)], [2.0, -0.5])), 2 * first - 0.5 * second)
