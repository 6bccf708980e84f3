"""Boxes around rescaled networks (D2): corners by hand, volumes by a determinant, and whether they meet."""

import math

import pytest
import torch
from references import DTYPE, generator, normal
from rescalable import flat, inputs_of, perceptron, seeded, squared

from flatminima.errors import UserError
from flatminima.rescaling.boxes import boxes, parting
from flatminima.rescaling.maps import Rescaling, two_layer

RADIUS = 1e-2


def problem(widths=(3, 4, 3), seed=1, bias=False):
    model = seeded(perceptron(widths, bias=bias), seed)
    inputs = inputs_of(model, seed, samples=60)
    return model, (inputs, model(inputs).detach() + 0.1 * normal(seed + 5, 60, widths[-1]))


def around(model, data, factor=2.0, layers=(1, 2), radius=RADIUS, copies=12, points=20):
    """Boxes whose neighbours part, for a factor above one, along the largest weight of the first of the layers."""
    largest = float(model[2 * (layers[0] - 1)].weight.detach().abs().max())
    alpha = factor * parting(largest, radius)
    return boxes(model, squared, data, layers, radius, alpha, copies, points, generator(1))


def test_boxes_of_equal_volume_and_loss_are_disjoint():
    """D2 with n_1 = n_2: every copy is as large, and its loss is the same to rounding."""
    model, data = problem()
    found = around(model, data)
    largest = float(model[0].weight.detach().abs().max())
    assert found.alpha == pytest.approx(2 * (largest + RADIUS) / (largest - RADIUS), rel=1e-14)
    assert found.disjoint
    assert (found.multiplied, found.divided) == (12, 12)
    assert abs(found.log_volume_step) <= 1e-11
    assert found.loss_error <= 1e-12
    place = int(model[0].weight.detach().abs().argmax())
    ends = torch.stack([found.lower[:, place], found.upper[:, place]], 1).abs().sort(1).values
    gaps = (ends[1:, 0] / ends[:-1, 1]).log()
    torch.testing.assert_close(gaps, torch.full_like(gaps, math.log(2)), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("widths", "bias", "step"), [((5, 4, 2), False, 20 - 8), ((2, 3, 4), True, 6 + 3 - 12)])
def test_volumes_change_by_the_numbers_of_parameters(widths, bias, step):
    """|det J(T_alpha)| = alpha^(n1 - n2), here by the determinant of a Jacobian; biases count with layer 1."""
    model, data = problem(widths, bias=bias)
    found = around(model, data, radius=0.05, copies=3)
    assert found.multiplied - found.divided == step
    assert found.log_volume_step == pytest.approx(step * math.log(found.alpha), rel=1e-12)
    group = Rescaling(model, "layers")

    def image(point):
        return torch.exp(group.exponents(two_layer(group, 1, 2, found.alpha))) * point

    jacobian = torch.autograd.functional.jacobian(image, torch.zeros(len(group.incidence[0]), dtype=DTYPE))
    assert found.log_volume_step == pytest.approx(float(torch.logdet(jacobian)), rel=1e-12)


@pytest.mark.parametrize("layers", [(1, 2), (2, 1)])
def test_neighbours_part_at_the_factor_of_the_largest_parameter(layers):
    """Just below the factor (s + r) / (s - r) of the largest of all parameters a common point lies in both; just above
    it there is none."""
    model, data = problem()
    largest = float(flat(model).abs().max())
    alpha = (largest + RADIUS) / (largest - RADIUS)
    assert parting(largest, RADIUS) == pytest.approx(alpha, rel=1e-14)
    for factor, apart in ((0.999, False), (1.001, True)):
        found = boxes(model, squared, data, layers, RADIUS, factor * alpha, 3, 2, generator(1))
        assert found.disjoint is apart
        common = torch.maximum(found.lower[0], found.lower[1])
        inside = (common <= found.upper[0]) & (common <= found.upper[1])
        assert bool(inside.all()) is not apart


def test_the_excess_of_a_box_is_that_of_its_highest_point():
    model, data = problem()
    small, large = (around(model, data, radius=radius, copies=1, points=50).excess for radius in (1e-3, 0.1))
    assert 0 < small < large


def test_a_box_that_reaches_zero_is_refused():
    with pytest.raises(
        UserError, match=r"radius: is 100\.0; expected between 0 and the size of the largest parameter, 2"
    ):
        parting(2.0, 100.0)
