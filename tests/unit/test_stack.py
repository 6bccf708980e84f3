"""Stacks of networks against torch's own modules, one network at a time."""

import numpy as np
import pytest
import torch
from references import DTYPE, layers, normal
from torch import nn

from flatminima.networks.stack import Stack, end_to_end

WIDTHS = [4, 6, 3, 5]


def sequential(stack, index):
    """One replica as a torch.nn.Sequential."""
    modules = []
    for k, weight in enumerate(stack.weights):
        linear = nn.Linear(weight.shape[2], weight.shape[1], bias=bool(stack.biases), dtype=DTYPE)
        linear.weight.data = weight[index]
        if stack.biases:
            linear.bias.data = stack.biases[k][index]
        modules.append(linear)
        if stack.rectified and k < stack.depth - 1:
            modules.append(nn.ReLU())
    return nn.Sequential(*modules)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_every_replica_is_its_own_torch_network(rectified, bias):
    stack = Stack(*layers(1, 3, WIDTHS, bias), rectified)
    inputs = normal(2, 3, 7, WIDTHS[0])
    for index in range(3):
        network = sequential(stack, index)
        torch.testing.assert_close(stack(inputs)[index], network(inputs[index]), rtol=1e-13, atol=1e-13)
        outputs = [layer[index] for layer in stack.layers(inputs)]
        hidden, expected = inputs[index], []
        for module, following in zip(network, [*network[1:], None], strict=True):
            hidden = module(hidden)
            if not isinstance(following, nn.ReLU):
                expected.append(hidden)
        assert len(outputs) == stack.depth == 3
        for output, reference in zip(outputs, expected, strict=True):
            torch.testing.assert_close(output, reference, rtol=1e-13, atol=1e-13)


def test_inputs_may_be_shared_by_all_replicas():
    stack = Stack(*layers(1, 3, WIDTHS))
    inputs = normal(2, 1, 7, WIDTHS[0])
    torch.testing.assert_close(stack(inputs), stack(inputs.repeat(3, 1, 1)), rtol=0, atol=0)


def test_end_to_end_is_the_product_of_the_layers():
    weights, _ = layers(3, 2, WIDTHS)
    for index in range(2):
        product = np.linalg.multi_dot([weight[index].numpy() for weight in reversed(weights)])
        np.testing.assert_allclose(end_to_end(weights)[index], product, rtol=1e-13, atol=1e-14)
    assert torch.equal(end_to_end(weights[:1]), weights[0])


def test_parameters_are_weights_then_biases():
    weights, biases = layers(1, 3, WIDTHS, bias=True)
    stack = Stack(weights, biases, rectified=True)
    assert all(a is b for a, b in zip(stack.parameters, weights + biases, strict=True))
    assert stack.with_parameters(stack.parameters) == stack
    assert stack.replicas == 3


@pytest.mark.parametrize("index", [torch.tensor([2, 0, 0]), torch.tensor([True, False, True])])
def test_replicas_are_selected_by_index_or_mask(index):
    stack = Stack(*layers(1, 3, WIDTHS, bias=True), rectified=True)
    inputs = normal(2, 3, 4, WIDTHS[0])
    chosen = stack.select(index)
    assert chosen.rectified
    torch.testing.assert_close(chosen(inputs[index]), stack(inputs)[index], rtol=1e-14, atol=1e-14)


def test_double_keeps_the_values():
    weights, biases = layers(1, 2, WIDTHS, bias=True)
    single = Stack(tuple(w.float() for w in weights), tuple(b.float() for b in biases), rectified=True)
    double = single.double()
    assert double.rectified
    for before, after in zip(single.parameters, double.parameters, strict=True):
        assert after.dtype == torch.float64
        assert torch.equal(before, after.float())
