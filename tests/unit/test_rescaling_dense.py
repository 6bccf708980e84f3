"""Whole Hessians of rectified networks, against torch.func.hessian of the loss."""

import pytest
import torch
from references import normal
from rescalable import flat, perceptron, seeded, squared
from torch.func import functional_call, hessian

from flatminima.rescaling.dense import squared_error_hessian


def by_automatic_differentiation(model, inputs, targets):
    names, parts = zip(*model.named_parameters(), strict=True)

    def loss(point):
        split = torch.split(point, [part.numel() for part in parts])
        parameters = {name: p.view(part.shape) for name, p, part in zip(names, split, parts, strict=True)}
        return squared(functional_call(model, parameters, (inputs,)), targets)

    return hessian(loss)(flat(model))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("widths", [(3, 2), (4, 5, 3), (2, 3, 4, 1), (3, 4, 2, 5, 2)])
def test_every_entry(widths, bias):
    model = seeded(perceptron(widths, bias=bias), len(widths))
    inputs, targets = normal(1, 7, widths[0]), normal(2, 7, widths[-1])
    expected = by_automatic_differentiation(model, inputs, targets)
    torch.testing.assert_close(squared_error_hessian(model, (inputs, targets)), expected, rtol=1e-12, atol=1e-13)
    assert expected.abs().max() > 0.1
