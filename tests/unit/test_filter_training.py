"""Training jobs of convolutional denoisers against plain PyTorch loops."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from filtered import images, rows_of
from references import normal
from test_job import CRITICAL, experiment
from torch import nn

from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.generators import generators
from flatminima.networks.fully_convolutional import FullyConvolutionalStack
from flatminima.training.experiments import Task, train
from flatminima.training.job import Job

SIDE, BATCH, STEPS = 4, 10, 30
OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


def settings(**changes):
    values = {"width": 5, "optimiser": "sgd", "batch_size": BATCH, "step_unit": "absolute", "step_sizes": [1e-3, 1e-2]}
    return experiment(**{"family": "fully_convolutional", "seeds": 2, "steps": STEPS, **values, **changes})


def samples(channels=3, outputs=None, noise_draw="fresh"):
    targets = normal(1, 30, channels * SIDE**2).cumsum(1).numpy().astype(np.float32) / 5
    inputs = targets + 0.5 * normal(2, *targets.shape).numpy().astype(np.float32)
    return Samples(inputs, targets[:, :outputs], inputs[:5], targets[:5, :outputs], 0.5, noise_draw, "sum")


def run(values, data=None, depth=3):
    data = data or samples()
    return train(Job("study", "run", values, depth), Task(data, second_moments(data), CRITICAL))


def start(depth, channels, width, bias, generator):
    """A plain network with PyTorch's start: all weights are drawn before the biases."""
    ends = [channels, *[width] * (depth - 1), channels]
    layers = [nn.Conv2d(a, b, 3, padding=1, bias=bias) for a, b in pairwise(ends)]
    for layer in layers:
        drawn = torch.empty(layer.weight.shape, dtype=torch.float64)
        layer.weight.data = nn.init.kaiming_uniform_(drawn, a=5**0.5, generator=generator).float()
    for layer in layers if bias else []:
        bound = layer.weight[0].numel() ** -0.5
        drawn = torch.empty(layer.bias.shape, dtype=torch.float64)
        layer.bias.data = drawn.uniform_(-bound, bound, generator=generator).float()
    modules = [module for layer in layers for module in (layer, nn.ReLU())]
    return nn.Sequential(*modules[:-1])


def descend(network, data, optimiser, rate, stream):
    """A plain loop: shuffled batches, fresh noise, one of torch's optimisers."""
    descent, order = OPTIMISERS[optimiser](network.parameters(), lr=rate), []
    clean = torch.from_numpy(data.targets)
    for _ in range(STEPS):
        order = order or list(torch.randperm(len(clean), generator=stream).split(BATCH))
        targets = clean[order.pop(0)]
        inputs = targets + data.noise * torch.randn(targets.shape, generator=stream)
        descent.zero_grad()
        outputs = rows_of(network(images(inputs, SIDE)))
        (outputs - targets).square().sum(1).mean().backward()
        descent.step()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_training_is_that_of_a_plain_loop(optimiser, channels, bias):
    data = samples(channels)
    networks, _ = run(settings(optimiser=optimiser, bias=bias), data)
    stack, table = networks.stack, networks.replicas
    assert isinstance(stack, FullyConvolutionalStack)
    assert table["seed"].tolist() == [0, 0, 1, 1]
    assert table["step_size"].tolist() == [1e-3, 1e-2] * 2
    for index, (seed, rate) in enumerate(zip(table["seed"], table["step_size"], strict=True)):
        network = start(3, channels, 5, bias, generators("study", "run", 3, range(2), "weights")[seed])
        descend(network, data, optimiser, rate, generators("study", "run", 3, range(2), "batches")[seed])
        layers = [module for module in network if isinstance(module, nn.Conv2d)]
        expected = [layer.weight for layer in layers] + [layer.bias for layer in layers if bias]
        for parameter, reference in zip(stack.parameters, expected, strict=True):
            torch.testing.assert_close(parameter[index], reference.detach(), rtol=1e-4, atol=2e-6)


def test_labels_history_snapshots_and_divergence():
    networks, history = run(settings(step_unit="critical", step_sizes=[0.01, 1e4], snapshots=2))
    table = networks.replicas[networks.replicas["final"]]
    assert networks.labels["family"] == "fully_convolutional"
    assert networks.labels["depth"] == networks.stack.depth == 3
    assert table["step_size"].tolist() == pytest.approx([0.01 * CRITICAL, 1e4 * CRITICAL] * 2)
    assert table["diverged"].tolist() == [False, True] * 2
    assert sorted(networks.replicas.loc[~networks.replicas["final"], "step"].unique()) == [0, STEPS]
    assert len(networks.replicas) == networks.stack.replicas == 12
    assert history["loss"].isna().any()
    assert history["loss"].notna().any()


def test_classes_are_no_images():
    with pytest.raises(
        UserError, match=r"experiments\.run\.family is fully_convolutional: .* has 48 inputs and 10 outputs"
    ):
        run(settings(), samples(outputs=10))


def test_images_are_square():
    with pytest.raises(UserError, match=r"experiments\.run\.family is fully_convolutional: 32 values per sample"):
        run(settings(), samples(channels=2))
