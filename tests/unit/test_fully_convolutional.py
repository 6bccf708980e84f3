"""Stacks of filters against torch's own convolutions, one network at a time."""

import pandas as pd
import pytest
import torch
from filtered import SIDE, images, rows_of, sequential, stack_of
from hypothesis import given
from hypothesis import strategies as st
from references import DTYPE, generator, normal
from torch import nn

from flatminima.errors import UserError
from flatminima.networks.fully_convolutional import CHANNELS, image_shape
from flatminima.networks.initialisations import initialise_filters
from flatminima.networks.storage import Networks, load, save
from flatminima.networks.symmetries import rescale_layers
from flatminima.training.backpropagation import loss_and_gradient_by_autograd


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("channels", [(1, 1), (1, 4, 1), (3, 4, 2, 3)])
def test_every_replica_is_its_own_torch_network(channels, bias):
    stack = stack_of(3, channels, bias)
    inputs = normal(2, 3, 7, SIDE**2 * channels[0])
    hidden = list(stack.layers(inputs))
    for index in range(3):
        network, expected = sequential(stack, index), images(inputs[index])
        torch.testing.assert_close(stack(inputs)[index], rows_of(network(expected)), rtol=1e-12, atol=1e-12)
        layers = [module for module in network if isinstance(module, nn.Conv2d)]
        for k, layer in enumerate(layers):
            expected = layer(expected) if k == len(layers) - 1 else torch.relu(layer(expected))
            torch.testing.assert_close(hidden[k][index], rows_of(expected), rtol=1e-12, atol=1e-12)


def test_one_batch_serves_all_replicas():
    stack, inputs = stack_of(3), normal(2, 1, 7, 3 * SIDE**2)
    assert torch.equal(stack(inputs), stack(inputs.expand(3, -1, -1)))


def test_units_are_the_outputs_of_all_layers():
    stack = stack_of()
    assert stack.units == sum(hidden.shape[2] for hidden in stack.layers(normal(1, 1, 1, 3 * SIDE**2)))


def test_selected_and_single_precision_stacks_are_convolutional_too():
    stack, inputs = stack_of(3), normal(2, 1, 4, 3 * SIDE**2)
    torch.testing.assert_close(stack.select(torch.tensor([2, 0]))(inputs), stack(inputs)[[2, 0]])
    single = stack.with_parameters([p.float() for p in stack.parameters])
    torch.testing.assert_close(single(inputs.float()).double(), stack(inputs), rtol=1e-4, atol=1e-4)


@given(st.integers(1, 2000), st.sampled_from(CHANNELS))
def test_the_shape_of_an_image_follows_from_its_size(side, channels):
    assert image_shape(channels * side**2, "images") == (side, channels)


@given(st.integers(1, 10**6))
def test_only_square_images_are_taken(pixels):
    try:
        side, channels = image_shape(pixels, "experiments.run")
    except UserError as error:
        assert str(error).startswith(f"experiments.run: {pixels} values per sample; expected square images")
        assert all((pixels / c) ** 0.5 % 1 for c in CHANNELS)
    else:
        assert channels * side**2 == pixels


def test_filters_start_as_torch_starts_them():
    """One layer with its bias, and two layers without: the same draws in the same order as torch.nn.Conv2d."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        layer = nn.Conv2d(3, 3, 3, dtype=DTYPE)
        torch.manual_seed(6)
        pair = [nn.Conv2d(a, b, 3, bias=False, dtype=DTYPE) for a, b in ((1, 9), (9, 1))]
    one = initialise_filters([3, 3], 8, [generator(4), generator(5)], bias=True)
    assert torch.equal(one.weights[0][1], layer.weight)
    assert torch.equal(one.biases[0][1], layer.bias)
    two = initialise_filters([1, 9, 1], 8, [generator(6)])
    assert all(torch.equal(weight[0], layer.weight) for weight, layer in zip(two.weights, pair, strict=True))
    assert (two.rectified, two.side, two.biases) == (True, 8, ())


@pytest.mark.parametrize("bias", [False, True])
def test_rescaled_channels_keep_the_function(bias):
    stack, inputs = stack_of(bias=bias), normal(2, 1, 20, 3 * SIDE**2)
    changed = rescale_layers(stack, 1.0, [generator(1), generator(2)])
    for index in range(2):
        before, after = (sequential(s, index)(images(inputs[0])) for s in (stack, changed))
        torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-10)
    ratios = changed.weights[0] / stack.weights[0]
    torch.testing.assert_close(ratios, ratios[:, :, :1, :1, :1].expand_as(ratios), rtol=1e-12, atol=0)
    assert ratios[0, :, 0, 0, 0].log().std() > 0.2
    for before, after in zip(stack.weights, changed.weights, strict=True):
        assert (before - after).norm() > 0.3 * before.norm()


@pytest.mark.parametrize("bias", [False, True])
def test_round_trip(tmp_path, bias):
    stack = stack_of(bias=bias)
    table = pd.DataFrame({"seed": [0, 1], "final": [True, False]})
    labels = {"study": "tiny", "experiment": "run", "family": "fully_convolutional", "depth": stack.depth}
    save(Networks(stack, table, labels), tmp_path / "networks.safetensors")
    back = load(tmp_path / "networks.safetensors")
    assert type(back.stack) is type(stack)
    assert (back.stack.side, back.stack.rectified, back.labels) == (SIDE, True, labels)
    assert len(back.stack.parameters) == len(stack.parameters)
    assert all(torch.equal(a, b) for a, b in zip(back.stack.parameters, stack.parameters, strict=True))


@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_those_of_each_network(bias):
    stack = stack_of(bias=bias)
    inputs, targets = normal(2, 2, 6, 3 * SIDE**2), normal(3, 2, 6, 3 * SIDE**2)
    losses, gradients = loss_and_gradient_by_autograd(stack, inputs, targets, 0.5)
    for index in range(2):
        network = sequential(stack, index)
        error = network(images(inputs[index])) - images(targets[index])
        loss = 0.5 * error.square().flatten(1).sum(1).mean()
        loss.backward()
        assert losses[index].item() == pytest.approx(loss.item(), rel=1e-12)
        layers = [module for module in network if isinstance(module, nn.Conv2d)]
        expected = [layer.weight.grad for layer in layers] + [layer.bias.grad for layer in layers if bias]
        for gradient, reference in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient[index], reference, rtol=1e-10, atol=1e-11)
