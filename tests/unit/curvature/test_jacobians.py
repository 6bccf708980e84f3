"""Singular triplets, gains and path cosines of samples against dense Jacobians, one sample at a time."""

import numpy as np
import pytest
import torch
from modules import convolutional, data, mlp
from references import DTYPE, layers, normal
from torch import nn

from flatminima.curvature.jacobians import SampleJacobians, layer_maps, signal_path, top_singular_triplets
from flatminima.networks.stack import Stack

MODELS = [(mlp, ["1", "3"]), (convolutional, ["0", "2", "3"])]


def prefix(model, name):
    """The layers up to and with one of a sequence, and those after it."""
    index = [key for key, _ in model.named_children()].index(name) + 1
    return model[:index], model[index:]


def dense_jacobian(function, sample):
    """Of one sample, by torch.autograd.functional."""
    outputs = torch.autograd.functional.jacobian(lambda x: function(x.unsqueeze(0)).squeeze(0), sample)
    return outputs.reshape(-1, sample.numel()).numpy()


def check_triplets(jacobians, dense, tolerance=1e-7):
    top = top_singular_triplets(jacobians, tolerance=tolerance)
    for k, matrix in enumerate(dense):
        value, left, right = top.singular_values[k].item(), top.left[k].numpy(), top.right[k].numpy()
        assert value == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-9)
        residual = max(np.linalg.norm(matrix @ right - value * left), np.linalg.norm(matrix.T @ left - value * right))
        assert top.residuals[k].item() == pytest.approx(residual, abs=1e-10)
        assert residual <= 2 * tolerance * value


@pytest.mark.parametrize(("build", "names"), MODELS)
def test_maps_between_layers_of_modules(build, names):
    model = build()
    inputs, _ = data(model, samples=6)
    maps = layer_maps(model, inputs, names)
    for k, name in enumerate(names, 1):
        before, after = prefix(model, name)
        first = [dense_jacobian(before, sample) for sample in inputs]
        last = [dense_jacobian(after, before(sample.unsqueeze(0)).squeeze(0).detach()) for sample in inputs]
        check_triplets(maps.between(0, k), first)
        check_triplets(maps.between(k, len(names) + 1), last)
    check_triplets(maps.between(0, len(names) + 1), [dense_jacobian(model, sample) for sample in inputs])


@pytest.mark.parametrize(("build", "names"), MODELS)
def test_gains_and_cosines_along_the_path(build, names):
    model = build()
    inputs, _ = data(model, samples=6)
    path = signal_path(layer_maps(model, inputs, names), tolerance=1e-9)
    depth = len(names) + 1
    for index, sample in enumerate(inputs):
        left, values, right = np.linalg.svd(dense_jacobian(model, sample))
        for k, name in enumerate(names, 1):
            before, after = prefix(model, name)
            image = dense_jacobian(before, sample) @ right[0]
            pulled = dense_jacobian(after, before(sample.unsqueeze(0)).squeeze(0).detach()).T @ left[:, 0]
            gain = np.linalg.norm(image) / values[0] ** (k / depth)
            cosine = image @ pulled / np.linalg.norm(image) / np.linalg.norm(pulled)
            assert path.gain[index, k - 1].item() == pytest.approx(gain, rel=1e-6, nan_ok=True)
            assert path.cosine[index, k - 1].item() == pytest.approx(cosine, abs=1e-6, nan_ok=True)
        assert path.gain[index, -1].item() == pytest.approx(1 if values[0] else np.nan, rel=1e-12, nan_ok=True)
    assert path.gain[:, -1].isfinite().sum() >= 4


def test_a_wide_map_through_a_few_outputs():
    """100 inputs, 80 hidden units, 3 outputs: no space is small enough to be diagonalised whole but the last."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(100, 80), nn.ReLU(), nn.Linear(80, 70), nn.ReLU(), nn.Linear(70, 3)).double()
    inputs = normal(1, 5, 100)
    maps = layer_maps(model, inputs, ["1", "3"])
    for k, part in enumerate([model[:2], model[:4], model], 1):
        check_triplets(maps.between(0, k), [dense_jacobian(part, sample) for sample in inputs])


@pytest.mark.parametrize("bias", [False, True])
def test_stacks_of_replicas_and_samples(bias):
    weights, biases = layers(5, 3, [6, 9, 7, 4], bias)
    stack = Stack(weights, biases, rectified=True)
    start = normal(1, 5, 6).repeat(3, 1, 1).requires_grad_()
    for k, outputs in enumerate(stack.layers(start), 1):
        dense = []
        for replica in range(3):
            one = stack.select(torch.tensor([replica]))
            for sample in start[replica].detach():
                dense.append(dense_jacobian(lambda x, one=one, k=k: list(one.layers(x[None]))[k - 1][0], sample))
        check_triplets(SampleJacobians(start, outputs, batch=2), dense)


def test_a_sample_whose_units_are_all_off():
    """Its Jacobian is zero, and so are its vectors; the other sample's are not disturbed."""
    model = nn.Sequential(nn.Linear(70, 70, bias=False), nn.ReLU(), nn.Linear(70, 70, bias=False)).to(DTYPE)
    model[0].weight.data = torch.eye(70, dtype=DTYPE)
    inputs = torch.stack([-torch.ones(70), torch.ones(70)]).double()
    top = top_singular_triplets(layer_maps(model, inputs, []).between(0, 1))
    assert top.singular_values[0] == top.residuals[0] == 0
    assert not top.left[0].any()
    assert not top.right[0].any()
    assert top.singular_values[1].item() == pytest.approx(torch.linalg.matrix_norm(model[2].weight, 2).item(), rel=1e-9)


def test_layers_that_work_in_place():
    plain, in_place = (
        nn.Sequential(nn.Linear(5, 7), nn.ReLU(inplace=in_place), nn.Linear(7, 3)).to(DTYPE)
        for in_place in (False, True)
    )
    in_place.load_state_dict(plain.state_dict())
    inputs = normal(1, 4, 5)
    paths = [signal_path(layer_maps(model, inputs, ["0"])) for model in (plain, in_place)]
    torch.testing.assert_close(paths[1].cosine, paths[0].cosine)
    torch.testing.assert_close(paths[1].gain, paths[0].gain)


def test_a_module_is_left_as_it_was():
    model = mlp()
    layer_maps(model, data(model)[0], ["1"])
    assert not model[1]._forward_hooks
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_single_precision():
    model = mlp().float()
    inputs = data(model)[0]
    top = top_singular_triplets(layer_maps(model, inputs.float(), []).between(0, 1), tolerance=1e-4)
    dense = [np.linalg.norm(dense_jacobian(mlp(), sample), 2) for sample in inputs]
    assert top.singular_values.tolist() == pytest.approx(dense, rel=1e-4)
