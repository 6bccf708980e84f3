"""Hessians on samples, written out sweep by sweep, against dense autograd in float64."""

import pytest
import torch
from references import DTYPE, dense_gradient, dense_hessian, layers, normal, replica, sample_loss

from flatminima.curvature import sample_hessian as module
from flatminima.curvature.sample_hessian import SampleHessian, state_bytes
from flatminima.networks.stack import Stack

SAMPLES, SCALE, AMPLE = 21, 0.5, 2**30
INPUTS, TARGETS = normal(21, SAMPLES, 3), normal(22, SAMPLES, 2)
FAMILIES = [(False, False), (False, True), (True, False), (True, True)]


def stack_of(rectified=True, bias=True, widths=(3, 5, 4, 2)):
    return Stack(*layers(5, 3, widths, bias), rectified)


def references_of(stack):
    return [
        sample_loss(replica(stack.weights, k), replica(stack.biases, k), INPUTS, TARGETS, SCALE, stack.rectified)
        for k in range(stack.replicas)
    ]


def dense(hessian):
    """All columns of the stacked operator, shape (replicas, size, size)."""
    replicas, size = hessian.shape
    unit = torch.eye(size, dtype=DTYPE)
    return torch.stack([hessian.matvec(column.expand(replicas, size)) for column in unit], 2)


@pytest.mark.parametrize("widths", [(3, 2), (3, 5, 2), (3, 5, 4, 2), (3, 4, 4, 4, 4, 2)])
@pytest.mark.parametrize(("rectified", "bias"), FAMILIES)
def test_loss_gradient_and_products_against_dense_autograd(rectified, bias, widths):
    stack = stack_of(rectified, bias, widths)
    hessian = SampleHessian(stack, INPUTS, TARGETS, SCALE, AMPLE)
    loss, gradient, matrix = hessian.loss(), hessian.gradient(), dense(hessian)
    assert hessian.shape == (3, sum(p[0].numel() for p in stack.parameters))
    for index, (function, flat) in enumerate(references_of(stack)):
        torch.testing.assert_close(loss[index], function(flat), rtol=1e-12, atol=0)
        torch.testing.assert_close(gradient[index], dense_gradient(function, flat), rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(matrix[index], dense_hessian(function, flat), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("memory", [0, AMPLE])
def test_chunks_and_memory_change_nothing(memory, monkeypatch):
    """With the states kept or computed at every product, and with the gradient before the first product or after it."""
    whole = SampleHessian(stack_of(), INPUTS, TARGETS, SCALE, AMPLE)
    vector = normal(9, *whole.shape)
    monkeypatch.setattr(module, "CHUNK_BYTES", state_bytes(stack_of(), SAMPLES) // 4)
    before, after = (SampleHessian(stack_of(), INPUTS, TARGETS, SCALE, memory) for _ in range(2))
    before.gradient()
    for parts in (before, after):
        for _ in range(2):
            torch.testing.assert_close(parts.matvec(vector), whole.matvec(vector), rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(parts.gradient(), whole.gradient(), rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(parts.loss(), whole.loss(), rtol=1e-12, atol=0)


def test_states_take_the_bytes_announced():
    stack = stack_of()
    states = SampleHessian(stack, INPUTS, TARGETS, SCALE, AMPLE)._states()
    kept = [t for state in states for t in [*state.before[1:], *state.slopes]]
    assert sum(t.numel() * t.element_size() for t in kept) == state_bytes(stack, SAMPLES)


def test_products_are_computed_in_the_precision_of_the_networks():
    """And come back in that of the vector; samples are cast too."""
    double = SampleHessian(stack_of(), INPUTS.float(), TARGETS.float(), SCALE, AMPLE)
    single = stack_of().with_parameters([p.float() for p in stack_of().parameters])
    rough = SampleHessian(single, INPUTS, TARGETS, SCALE, AMPLE)
    vector = normal(9, *double.shape)
    assert rough.matvec(vector).dtype == DTYPE
    assert rough.gradient().dtype == torch.float32
    error = (rough.matvec(vector) - double.matvec(vector)).norm() / double.matvec(vector).norm()
    assert 1e-9 < error < 1e-6
