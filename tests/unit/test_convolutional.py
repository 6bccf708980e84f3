"""Convolutional networks: their function, files and training."""

import json

import numpy as np
import pytest
import torch
from references import normal
from safetensors.numpy import save_file
from torch.nn import functional

from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks.convolutional import Shape, load, save, square
from flatminima.networks.losses import squared_error
from flatminima.settings.rescaling import Convolutional
from flatminima.training.convolutional import train_convolutional

SHAPE = Shape(8, (2, 3), 4)
LABELS = {"family": "convolutional", "task": "labels", "step_size": 0.1}


def networks(count=2):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return [SHAPE.network() for _ in range(count)]


def settings(**changed):
    values = {"channels": [2, 3], "step_size": 0.1, "seeds": 2, "epochs": 3, "batch_size": 16} | changed
    return Convolutional.model_validate(values)


def samples(pixels=64, count=80):
    """Images that are bright in one of four quarters."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, count)
    inputs = rng.random((count, pixels), np.float32) + (np.arange(pixels) // (pixels // 4) == labels[:, None])
    inputs, targets = inputs.astype(np.float32), np.eye(4, dtype=np.float32)[labels]
    return Samples(inputs, targets, inputs[:10], targets[:10], 0.0, "none", "sum")


def test_the_function():
    """3 x 3 filters at every second pixel, zeros around the image, a rectifier, a linear layer of all that is left."""
    network = networks()[0]
    rows = normal(3, 5, 64).float()
    first, _, second, _, _, last = network
    hidden = functional.relu(functional.conv2d(rows.reshape(5, 1, 8, 8), first.weight, first.bias, 2, 1))
    hidden = functional.relu(functional.conv2d(hidden, second.weight, second.bias, 2, 1))
    expected = hidden.reshape(5, 3 * 2 * 2) @ last.weight.mT + last.bias
    torch.testing.assert_close(network(SHAPE.images(rows)), expected)


def test_images_are_rows_of_pixels():
    images = SHAPE.images(torch.arange(128.0).reshape(2, 64))
    assert images.shape == (2, 1, 8, 8)
    assert images[1, 0, 2, 3] == 64 + 2 * 8 + 3


def test_round_trip(tmp_path):
    save(networks(), SHAPE, LABELS, tmp_path / "convolutional.safetensors")
    back, shape, labels = load(tmp_path / "convolutional.safetensors")
    assert (shape, labels, len(back)) == (SHAPE, LABELS, 2)
    for before, after in zip(networks(), back, strict=True):
        for name, tensor in before.state_dict().items():
            assert torch.equal(after.state_dict()[name], tensor)


def test_same_networks_same_bytes(tmp_path):
    for name, labels in (("a", LABELS), ("b", dict(reversed(LABELS.items())))):
        save(networks(), SHAPE, labels, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_and_a_truncated_file(tmp_path):
    path = tmp_path / "convolutional.safetensors"
    with pytest.raises(UserError, match=r"convolutional\.safetensors: no such file"):
        load(path)
    save(networks(), SHAPE, LABELS, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"convolutional\.safetensors: damaged: .*; delete it and run again$"):
        load(path)


DESCRIBED = json.dumps({"side": 8, "channels": [2, 3], "outputs": 4})


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({"0.weight": np.zeros((1, 2))}, {"labels": "{}"}),
        ({"0.weight": np.zeros((1, 2))}, {"labels": "{}", "shape": "not json"}),
        ({"0.weight": np.zeros((1, 2))}, {"labels": "{}", "shape": "[8, 2]"}),
        ({"0.weight": np.zeros((1, 2))}, {"labels": "{}", "shape": '{"side": 8, "channels": 2, "outputs": 4}'}),
        ({"0.weight": np.zeros((1, 2))}, {"labels": "{}", "shape": DESCRIBED}),
        ({"0.weight": np.zeros(())}, {"labels": "{}", "shape": DESCRIBED}),
        ({}, {"labels": "{}", "shape": DESCRIBED}),
    ],
)
def test_another_safetensors_file(tmp_path, arrays, metadata):
    path = tmp_path / "other.safetensors"
    save_file(arrays, path, metadata)
    with pytest.raises(UserError, match=r"other\.safetensors: holds no .*; delete it and run again$") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("pixels", "layers", "side"), [(64, 2, 8), (64, 3, 8), (784, 2, 28), (1, 0, 1), (49, 0, 7)])
def test_square_images(pixels, layers, side):
    assert square(pixels, layers, "channels") == side


@pytest.mark.parametrize(("pixels", "layers"), [(63, 1), (65, 1), (49, 1), (64, 4), (784, 3)])
def test_images_that_do_not_fit(pixels, layers):
    message = rf"^channels: {pixels} pixels; expected square images whose side is a multiple of {2**layers}, .*: use"
    with pytest.raises(UserError, match=message):
        square(pixels, layers, "channels")


def test_training_names_the_setting_that_does_not_fit():
    with pytest.raises(UserError, match=r"^convolutional\.channels: 60 pixels; expected square images"):
        train_convolutional("test", settings(), samples(pixels=60))


def test_the_loss_is_summed_over_outputs_and_averaged_over_samples():
    outputs, targets = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert squared_error(outputs, targets) == (1 + 4 + 9 + 16) / 2


def test_training_learns_and_is_the_same_each_time(tmp_path):
    """Same seed, same bytes, whatever the global generator; another study or seed, other networks."""
    for name in ("a", "b"):
        torch.manual_seed(len(list(tmp_path.iterdir())))
        trained, shape, labels = train_convolutional("test", settings(epochs=20, channels=[6, 6]), samples())
        save(trained, shape, labels, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert shape == Shape(8, (6, 6), 4)
    assert labels == {
        "family": "convolutional",
        "initialisation": "pytorch",
        "optimiser": "sgd",
        "task": "labels",
        "step_size": 0.1,
    }
    inputs, targets = shape.images(torch.from_numpy(samples().inputs)), torch.from_numpy(samples().targets)
    assert all(squared_error(network(inputs), targets) < 0.3 for network in trained)
    other = train_convolutional("other", settings(epochs=20, channels=[6, 6]), samples())[0]
    first, second = (network[0].weight for network in trained)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other[0][0].weight)


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_convolutional("test", settings(epochs=1), samples())
    assert torch.equal(torch.rand(3), expected)


def test_the_first_steps_by_hand():
    """One epoch of one batch is a step of gradient descent on all samples."""
    data = samples()
    one = train_convolutional("test", settings(epochs=1, batch_size=80, seeds=1), data)[0][0]
    two = train_convolutional("test", settings(epochs=2, batch_size=80, seeds=1), data)[0][0]
    loss = squared_error(one(SHAPE.images(torch.from_numpy(data.inputs))), torch.from_numpy(data.targets))
    gradients = torch.autograd.grad(loss, list(one.parameters()))
    for before, after, gradient in zip(one.parameters(), two.parameters(), gradients, strict=True):
        torch.testing.assert_close(after, before - 0.1 * gradient, rtol=1e-4, atol=1e-6)
