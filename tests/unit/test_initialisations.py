"""Initial weights against torch's own initialisers, and against what balance means."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from references import DTYPE, generator
from torch import nn

from flatminima.generators import generators
from flatminima.networks.initialisations import initialise
from flatminima.networks.stack import end_to_end

WIDTHS = [6, 9, 4]


def seeded(seed, make):
    """What `make` draws from torch's global generator, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def gram(weight):
    return weight.mT @ weight


@pytest.mark.parametrize(
    ("name", "fill"),
    [
        ("kaiming_uniform", lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu")),
        ("kaiming_normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("xavier_uniform", nn.init.xavier_uniform_),
        ("xavier_normal", nn.init.xavier_normal_),
    ],
)
def test_named_initialisers_are_those_of_torch(name, fill):
    stack = initialise(name, WIDTHS, [generator(7), generator(8)], bias=True)
    for index, seed in enumerate((7, 8)):
        expected = seeded(seed, lambda: [fill(torch.empty(9, 6, dtype=DTYPE)), fill(torch.empty(4, 9, dtype=DTYPE))])
        for weight, reference in zip(stack.weights, expected, strict=True):
            assert torch.equal(weight[index], reference)
    assert not any(bias.any() for bias in stack.biases)
    assert [bias.shape for bias in stack.biases] == [(2, 9), (2, 4)]


def test_pytorch_is_the_default_of_a_linear_layer():
    """One layer with its bias, and two layers without: the same draws in the same order as torch.nn.Linear."""
    layer = seeded(5, lambda: nn.Linear(6, 9, dtype=DTYPE))
    stack = initialise("pytorch", [6, 9], [generator(5)], bias=True)
    assert torch.equal(stack.weights[0][0], layer.weight)
    assert torch.equal(stack.biases[0][0], layer.bias)
    pair = seeded(5, lambda: [nn.Linear(a, b, bias=False, dtype=DTYPE) for a, b in ((6, 9), (9, 4))])
    stack = initialise("pytorch", WIDTHS, [generator(5)])
    assert all(torch.equal(weight[0], layer.weight) for weight, layer in zip(stack.weights, pair, strict=True))
    assert stack.biases == ()


def test_pytorch_statistics_of_deeper_networks():
    """torch.nn.Linear draws weights and biases uniformly within 1 / sqrt(inputs)."""
    widths = [25, 100, 400, 50]
    stack = initialise("pytorch", widths, [generator(s) for s in range(20)], rectified=True, bias=True)
    assert stack.rectified
    for weight, bias, inputs in zip(stack.weights, stack.biases, widths, strict=False):
        bound = 1 / math.sqrt(inputs)
        for values in (weight, bias):
            assert 0.98 * bound < values.abs().max() <= bound
            assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
            assert values.mean().abs() < 0.05 * bound


@pytest.mark.parametrize("name", ["pytorch", "xavier_normal", "balanced", "unbalanced"])
def test_a_scale_multiplies_the_weights_alone(name):
    plain, scaled = (initialise(name, WIDTHS, [generator(7)], bias=True, scale=scale) for scale in (1.0, 2.5))
    for weight, larger in zip(plain.weights, scaled.weights, strict=True):
        torch.testing.assert_close(larger, 2.5 * weight, rtol=1e-14, atol=0)
    if name == "pytorch":
        assert all(torch.equal(a, b) for a, b in zip(plain.biases, scaled.biases, strict=True))


def test_identity_is_a_residual_network_of_zero_residuals():
    stack = initialise("identity", [5, 5, 5, 5], [generator(0), generator(1)])
    assert stack.depth == 3
    assert all(torch.equal(weight, torch.eye(5, dtype=DTYPE).expand(2, 5, 5)) for weight in stack.weights)


def test_zero_residuals_need_square_layers():
    with pytest.raises(ValueError, match=r"square; the widths are \[5, 4, 5\]"):
        initialise("identity", [5, 4, 5], [generator(0)])


@pytest.mark.parametrize("widths", [[5, 5, 5], [4, 7, 6, 5], [6, 3, 8, 5]])
def test_balanced_layers_are_balanced(widths):
    weights = initialise("balanced", widths, [generator(3), generator(4)]).weights
    for before, after in pairwise(weights):
        torch.testing.assert_close(gram(after), gram(before.mT), rtol=1e-12, atol=1e-12)


def test_balanced_factorises_a_xavier_map():
    """Through a bottleneck of 3 units: the best map of rank 3, by Eckart and Young."""
    target = seeded(3, lambda: nn.init.xavier_normal_(torch.empty(5, 6, dtype=DTYPE)))
    whole = end_to_end(initialise("balanced", [6, 7, 8, 5], [generator(3)]).weights)[0]
    torch.testing.assert_close(whole, target, rtol=1e-12, atol=1e-12)
    narrow = end_to_end(initialise("balanced", [6, 3, 8, 5], [generator(3)]).weights)[0]
    discarded = torch.linalg.svdvals(target)[3:]
    assert torch.linalg.matrix_rank(narrow) == 3
    assert (narrow - target).norm().item() == pytest.approx(discarded.norm().item(), rel=1e-12)


def test_unbalanced_keeps_the_map_and_breaks_the_balance():
    widths = [6, 7, 8, 5]
    balanced, unbalanced = (
        initialise(name, widths, [generator(3), generator(4)]) for name in ("balanced", "unbalanced")
    )
    torch.testing.assert_close(end_to_end(unbalanced.weights), end_to_end(balanced.weights), rtol=1e-11, atol=1e-12)
    for before, after in pairwise(unbalanced.weights):
        difference = (gram(after) - gram(before.mT)).norm(dim=(1, 2))
        assert (difference > 0.3 * gram(after).norm(dim=(1, 2))).all()


@pytest.mark.parametrize("name", ["pytorch", "xavier_normal", "balanced", "unbalanced"])
def test_a_replica_does_not_depend_on_the_others(name):
    both = initialise(name, WIDTHS, generators("study", "run", 2, range(2), "weights"), bias=True)
    first = initialise(name, WIDTHS, generators("study", "run", 2, range(1), "weights"), bias=True)
    assert all(torch.equal(a[:1], b) for a, b in zip(both.parameters, first.parameters, strict=True))
    assert not torch.allclose(both.weights[0][0], both.weights[0][1])


def test_streams_are_fixed_by_names():
    def draws(*names):
        return [float(torch.rand((), generator=g, dtype=DTYPE)) for g in generators(*names)]

    names = ("digits", "linear", 3, range(4), "weights")
    assert draws(*names) == draws(*names)
    others = [
        ("patches", "linear", 3, range(4), "weights"),
        ("digits", "relu", 3, range(4), "weights"),
        ("digits", "linear", 2, range(4), "weights"),
        ("digits", "linear", 3, range(4), "batches"),
    ]
    everything = np.concatenate([draws(*names), *(draws(*other) for other in others)])
    assert len(set(everything)) == 20
