"""Hessian products, gradients and losses of stacked networks against dense float64 references."""

import pytest
import torch
from references import (
    DTYPE,
    dense_gradient,
    dense_hessian,
    layers,
    moments_of,
    normal,
    replica,
    sample_loss,
)

from flatminima.curvature.losses import graph_bytes, losses, moment_loss, sample_losses
from flatminima.curvature.stacked import StackedHessian
from flatminima.networks.stack import Stack

WIDTHS = [3, 5, 4, 2]
SAMPLES, SCALE, AMPLE = 21, 0.5, 2**30
INPUTS, TARGETS = normal(21, SAMPLES, 3), normal(22, SAMPLES, 2)
FAMILIES = [(False, False), (False, True), (True, False), (True, True)]


def stack_of(rectified, bias, widths=WIDTHS):
    return Stack(*layers(5, 3, widths, bias), rectified)


def references_of(stack):
    """The loss of each replica as a function of its flat parameters, and these."""
    return [
        sample_loss(replica(stack.weights, k), replica(stack.biases, k), INPUTS, TARGETS, SCALE, stack.rectified)
        for k in range(stack.replicas)
    ]


def operator(stack, chunks=1):
    memory = stack.replicas * graph_bytes(stack, SAMPLES) / chunks
    return StackedHessian(sample_losses(stack, INPUTS, TARGETS, SCALE, memory), stack.parameters)


def on_moments(stack):
    return StackedHessian([moment_loss(stack, *(SCALE * m for m in moments_of(INPUTS, TARGETS)))], stack.parameters)


def dense(hessian):
    """All columns of the stacked operator, shape (replicas, size, size)."""
    replicas, size = hessian.shape
    unit = torch.eye(size, dtype=DTYPE)
    return torch.stack([hessian.matvec(column.expand(replicas, size)) for column in unit], 2)


@pytest.mark.parametrize(("rectified", "bias"), FAMILIES)
def test_gradient_and_products_against_dense_autograd(rectified, bias):
    stack = stack_of(rectified, bias)
    hessian = operator(stack)
    gradient, matrix = hessian.gradient(), dense(hessian)
    assert hessian.shape == (3, sum(p[0].numel() for p in stack.parameters))
    for index, (loss, flat) in enumerate(references_of(stack)):
        torch.testing.assert_close(gradient[index], dense_gradient(loss, flat), rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(matrix[index], dense_hessian(loss, flat), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("widths", [[3, 2], [3, 5, 2], WIDTHS])
def test_moments_give_the_hessian_of_the_samples(widths):
    stack = stack_of(rectified=False, bias=False, widths=widths)
    hessian = on_moments(stack)
    gradient, matrix = hessian.gradient(), dense(hessian)
    for index, (loss, flat) in enumerate(references_of(stack)):
        torch.testing.assert_close(gradient[index], dense_gradient(loss, flat), rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(matrix[index], dense_hessian(loss, flat), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("rectified", "bias"), FAMILIES)
def test_products_against_finite_differences_of_the_gradient(rectified, bias):
    stack = stack_of(rectified, bias)
    hessian = operator(stack)
    vector, step = normal(9, *hessian.shape), 1e-6
    flat = torch.cat([p.flatten(1) for p in stack.parameters], 1)

    def gradient(moved):
        sizes = [p[0].numel() for p in stack.parameters]
        parts = [part.reshape(p.shape) for part, p in zip(moved.split(sizes, 1), stack.parameters, strict=True)]
        return operator(stack.with_parameters(parts)).gradient()

    difference = (gradient(flat + step * vector) - gradient(flat - step * vector)) / (2 * step)
    torch.testing.assert_close(hessian.matvec(vector), difference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunks", [2, 5, SAMPLES])
def test_chunks_of_samples_add_up_to_the_whole(chunks):
    stack = stack_of(rectified=True, bias=True)
    whole, parts = operator(stack), operator(stack, chunks)
    vector = normal(9, *whole.shape)
    torch.testing.assert_close(parts.gradient(), whole.gradient(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(parts.matvec(vector), whole.matvec(vector), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(parts.matvec(vector), whole.matvec(vector), rtol=1e-12, atol=1e-13)


def test_products_in_float32_stay_close():
    stack = stack_of(rectified=True, bias=True)
    single = stack.with_parameters([p.float() for p in stack.parameters])
    chunks = sample_losses(single, INPUTS.float(), TARGETS.float(), SCALE, AMPLE)
    vector = normal(9, *operator(stack).shape)
    product = StackedHessian(chunks, single.parameters).matvec(vector.float())
    assert product.dtype == torch.float32
    torch.testing.assert_close(product.double(), operator(stack).matvec(vector), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rectified", "bias"), FAMILIES)
def test_losses_of_samples(rectified, bias):
    stack = stack_of(rectified, bias)
    values = losses(sample_losses(stack, INPUTS, TARGETS, SCALE, AMPLE), stack)
    assert values.tolist() == pytest.approx([loss(flat).item() for loss, flat in references_of(stack)], rel=1e-12)


def test_losses_of_moments_are_those_of_the_samples():
    stack = stack_of(rectified=False, bias=False)
    values = losses([moment_loss(stack, *(SCALE * m for m in moments_of(INPUTS, TARGETS)))], stack)
    assert values.tolist() == pytest.approx([loss(flat).item() for loss, flat in references_of(stack)], rel=1e-12)
    assert not values.requires_grad


@pytest.mark.parametrize("parts", [1, 2, 6, 100])
def test_chunks_fit_in_memory_and_keep_every_sample(parts):
    stack = stack_of(rectified=True, bias=False)
    memory = stack.replicas * graph_bytes(stack, SAMPLES) / parts
    chunks = sample_losses(stack, INPUTS, TARGETS, SCALE, memory)
    sizes = [len(chunk) for chunk in INPUTS.chunk(parts)]
    assert len(chunks) == len(sizes)
    if parts < SAMPLES:
        assert stack.replicas * graph_bytes(stack, sizes[0] - 1) < memory
    whole = losses(sample_losses(stack, INPUTS, TARGETS, SCALE, AMPLE), stack)
    torch.testing.assert_close(losses(chunks, stack), whole, rtol=1e-13, atol=0)


def test_a_dead_network_has_no_curvature():
    """ReLU networks whose first layer is zero: no parameter moves the outputs, and no product is NaN."""
    weights, _ = layers(5, 2, WIDTHS)
    dead = Stack((torch.zeros_like(weights[0]), *weights[1:]), (), rectified=True)
    assert not dense(operator(dead)).any()
    assert not operator(dead).gradient().any()
