"""Rescaling of layers: the function stays, the layers change as they were told to."""

import pytest
import torch
from references import DTYPE, forward, generator, layers, normal, replica

from flatminima.networks.stack import Stack
from flatminima.networks.symmetries import rescale_layers

WIDTHS = [4, 7, 6, 3]


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_function_stays_to_rounding(rectified, bias):
    stack = Stack(*layers(1, 3, WIDTHS, bias), rectified)
    changed = rescale_layers(stack, 1.0, [generator(s) for s in range(3)])
    inputs = normal(2, 50, WIDTHS[0])
    for index in range(3):
        before, after = (
            forward(replica(s.weights, index), replica(s.biases, index), inputs, rectified) for s in (stack, changed)
        )
        torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-10)
    for before, after in zip(stack.weights, changed.weights, strict=True):
        assert ((before - after).norm(dim=(1, 2)) > 0.3 * before.norm(dim=(1, 2))).all()


def test_the_original_is_left_alone():
    stack = Stack(*layers(1, 2, WIDTHS, bias=True), rectified=True)
    copies = [p.clone() for p in stack.parameters]
    rescale_layers(stack, 1.0, [generator(0), generator(1)])
    assert all(torch.equal(a, b) for a, b in zip(stack.parameters, copies, strict=True))


def test_a_single_layer_has_no_symmetry():
    stack = Stack(*layers(1, 2, [4, 3], bias=True))
    changed = rescale_layers(stack, 1.0, [generator(0), generator(1)])
    assert all(torch.equal(a, b) for a, b in zip(stack.parameters, changed.parameters, strict=True))


@pytest.mark.parametrize("rectified", [False, True])
def test_scales_are_log_normal(rectified):
    """W_1 = I shows G_1 itself: exp(0.7 z) on the diagonal for ReLU, as eigenvalues in a random basis for linear."""
    identity = torch.eye(300, dtype=DTYPE).unsqueeze(0)
    changed = rescale_layers(Stack((identity, identity), (), rectified), 0.7, [generator(0)])
    scale = changed.weights[0][0]
    logarithms = torch.log(scale.diagonal() if rectified else torch.linalg.eigvalsh(scale))
    assert logarithms.std().item() == pytest.approx(0.7, rel=0.1)
    assert logarithms.mean().abs() < 0.15
    off_diagonal = (scale - torch.diag(scale.diagonal())).norm()
    assert off_diagonal == 0 if rectified else off_diagonal > 0.3 * scale.norm()
    torch.testing.assert_close(scale, scale.mT, rtol=1e-12, atol=1e-12)


def test_biases_scale_with_their_layer_in_both_families():
    """Hidden units of a ReLU network are multiplied by the same factors as the rows of their layer."""
    stack = Stack(*layers(3, 1, [4, 5, 2], bias=True), rectified=True)
    changed = rescale_layers(stack, 0.5, [generator(0)])
    factors = changed.biases[0] / stack.biases[0]
    torch.testing.assert_close(changed.weights[0], factors.unsqueeze(2) * stack.weights[0], rtol=1e-12, atol=1e-12)
    assert (factors > 0).all()
    assert torch.equal(changed.biases[1], stack.biases[1])


def test_replicas_are_rescaled_independently_and_reproducibly():
    stack = Stack(*layers(1, 2, WIDTHS))
    both = rescale_layers(stack, 1.0, [generator(5), generator(6)])
    second = rescale_layers(stack.select(torch.tensor([1])), 1.0, [generator(6)])
    assert all(torch.equal(a[1:], b) for a, b in zip(both.weights, second.weights, strict=True))
