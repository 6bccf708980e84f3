"""Epsilon-sharpness against trust regions of quadratics, corners of boxes and theorem D6; all are lower bounds."""

from itertools import product

import numpy as np
import pytest
import torch
from curvature.modules import dense_hessian
from hypothesis import given, settings
from hypothesis import strategies as st
from references import DTYPE, generator, normal
from rescalable import flat, inputs_of, perceptron, seeded, squared
from scipy.optimize import brentq
from torch import nn

from flatminima.errors import UserError
from flatminima.rescaling.maps import Rescaling, two_layer
from flatminima.rescaling.objective import Objective
from flatminima.rescaling.sharpness import best_constant_loss, box_sharpness, epsilon_sharpness


def regression(seed, features=3, outputs=2, noise=0.5):
    """A linear network off its minimum: the loss is quadratic, with a gradient."""
    model = nn.Linear(features, outputs, bias=False).to(DTYPE)
    with torch.no_grad():
        model.weight.copy_(normal(seed, outputs, features))
    inputs = normal(seed + 1, 40, features) * torch.logspace(0, 0.5, features)
    return model, (inputs, model(inputs).detach() + noise * normal(seed + 2, 40, outputs))


def quadratic(data, model):
    """Gradient and Hessian in the flattened weight, by the textbook: 2 E[(W x - y) x'] and 2 I (x) E[x x']."""
    inputs, targets = (part.numpy() for part in data)
    weight = model.weight.detach().numpy()
    gradient = 2 * (inputs @ weight.T - targets).T @ inputs / len(inputs)
    return gradient.ravel(), 2 * np.kron(np.eye(len(weight)), inputs.T @ inputs / len(inputs))


def largest_increase(gradient, hessian, radius):
    """max g'd + d'Hd/2 over ||d|| <= radius for positive definite H, from the secular equation ||d|| = radius."""
    values, vectors = np.linalg.eigh(hessian)
    slopes = vectors.T @ gradient

    def excess(shift):
        return np.linalg.norm(slopes / (shift - values)) - radius

    top = values[-1]
    shift = brentq(excess, top + 1e-12 * top, top + 1e3 * (1 + np.linalg.norm(gradient)) / radius, xtol=1e-14)
    step = vectors @ (slopes / (shift - values))
    return gradient @ step + step @ hessian @ step / 2


@settings(max_examples=15)
@given(st.integers(0, 10**5), st.sampled_from([0.01, 0.3, 5.0]))
def test_the_trust_region_of_a_quadratic(seed, radius):
    """The maximum of a quadratic over a ball is known; the search finds it to six digits and does not exceed it."""
    model, data = regression(seed)
    value = float(squared(model(data[0]), data[1]).detach())
    expected = largest_increase(*quadratic(data, model), radius) / (1 + value)
    found = epsilon_sharpness(model, squared, data, radius, 3, 200, generator(seed))
    assert found.lower_bound == pytest.approx(expected, rel=1e-6)
    assert found.lower_bound <= expected * (1 + 1e-9)
    assert float((found.point - flat(model)).norm()) <= radius * (1 + 1e-12)


def test_at_a_quadratics_minimum_the_estimate_is_exact():
    """lambda_max eps^2 / (2 (1 + L)), with lambda_max by the textbook."""
    model, data = regression(3, noise=0.0)
    top = np.linalg.eigvalsh(quadratic(data, model)[1])[-1]
    found = epsilon_sharpness(model, squared, data, 0.1, 2, 200, generator(1))
    assert found.quadratic == pytest.approx(top * 0.01 / 2, rel=1e-9)
    assert found.lower_bound == pytest.approx(top * 0.01 / 2, rel=1e-9)


@settings(max_examples=10)
@given(st.integers(0, 10**5))
def test_the_box_of_a_quadratic(seed):
    """A convex function is largest at a corner of the box: the search ends at one, often the highest of the 64."""
    model, data = regression(seed)
    centre, objective = flat(model), Objective(model, squared, data)
    sides = 0.2 * (centre.abs() + 1)
    here = objective.value(centre)
    corners = [objective.value(centre + sides * torch.tensor(signs)) for signs in product((-1.0, 1.0), repeat=6)]
    found = box_sharpness(model, squared, data, 0.2, 20, 50, generator(seed))
    percents = [100 * (corner - here) / (1 + here) for corner in corners]
    assert min(abs(found.percent / percent - 1) for percent in percents) <= 1e-9
    assert 0.95 * max(percents) <= found.percent <= max(percents) * (1 + 1e-9)
    assert ((found.point - centre).abs() <= sides * (1 + 1e-12)).all()


def test_the_estimate_for_a_box_is_that_of_its_corner():
    """With one parameter, w = 2, the box is an interval of half-length eps 3, and the estimate is exact."""
    model = nn.Linear(1, 1, bias=False).to(DTYPE)
    with torch.no_grad():
        model.weight.fill_(2.0)
    inputs = normal(1, 9, 1)
    found = box_sharpness(model, squared, (inputs, 2 * inputs), 0.1, 1, 5, generator(1))
    expected = float(inputs.square().mean()) * 0.3**2
    assert (found.quadratic, found.lower_bound) == pytest.approx((expected, expected), rel=1e-9)


def trained(seed):
    """A ReLU network trained by full-batch descent on a teacher's noisy outputs."""
    teacher, model = seeded(perceptron([3, 4, 2]), seed), seeded(perceptron([3, 8, 2]), seed + 1)
    inputs = inputs_of(teacher, seed, samples=60)
    targets = teacher(inputs).detach() + 0.05 * normal(seed + 2, 60, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(600):
        optimiser.zero_grad()
        squared(model(inputs), targets).backward()
        optimiser.step()
    return model, (inputs, targets)


@pytest.mark.parametrize("radius", [0.05, 0.5])
def test_a_rescaled_minimum_is_as_sharp_as_the_best_constant(radius):
    """D6: with alpha = eps / ||theta_1|| the ball reaches a constant function; before, it was far away."""
    model, data = trained(5)
    here = float(squared(model(data[0]), data[1]).detach())
    constant = (best_constant_loss(data[1]) - here) / (1 + here)
    assert here < 0.1 * best_constant_loss(data[1])
    group = Rescaling(model, "layers")
    alpha = radius / float(model[0].weight.detach().norm())
    rescaled = group.apply(model, two_layer(group, 1, 2, alpha))
    assert torch.allclose(rescaled(data[0]), model(data[0]), rtol=1e-12)
    found = epsilon_sharpness(rescaled, squared, data, radius, 2, 50, generator(6))
    assert found.lower_bound >= constant
    assert float((found.point - flat(rescaled)).norm()) <= radius * (1 + 1e-12)
    if radius < 0.1:
        assert epsilon_sharpness(model, squared, data, radius, 4, 200, generator(6)).lower_bound < 0.1 * constant


def test_the_searches_never_lose_a_start():
    """Even where no step is made they reach both ends of the top eigenvector, and the corners it points to."""
    model, data = trained(7)
    objective, centre = Objective(model, squared, data), flat(model)
    vector = torch.linalg.eigh(dense_hessian(model, squared, *data)).eigenvectors[:, -1]
    sides = 0.01 * (centre.abs() + 1)
    for search, steps, radius, reach in (
        (epsilon_sharpness, 0, 0.3, 0.3 * vector),
        (box_sharpness, 1, 0.01, sides * vector.sign()),
    ):
        here = objective.value(centre)
        start = max((objective.value(centre + sign * reach) - here) / (1 + here) for sign in (1, -1))
        assert search(model, squared, data, radius, 0, steps, generator(1)).lower_bound >= start * (1 - 1e-6)


def test_more_radius_and_the_same_seed():
    """Sharpness grows with the radius; the same seed gives the same bytes."""
    model, data = trained(9)
    found = [epsilon_sharpness(model, squared, data, radius, 2, 100, generator(2)) for radius in (0.01, 0.1, 0.1)]
    assert 0 < found[0].lower_bound < found[1].lower_bound == found[2].lower_bound
    assert torch.equal(found[1].point, found[2].point)


def test_single_precision_is_computed_in_double():
    """Sharpness in a tiny ball, where differences of float32 losses would be rounding."""
    model, data = regression(3, noise=0.0)
    found = epsilon_sharpness(model.float(), squared, (data[0].float(), data[1].float()), 1e-2, 1, 100, generator(1))
    reference = epsilon_sharpness(model.double(), squared, data, 1e-2, 1, 100, generator(1))
    assert found.lower_bound == pytest.approx(reference.lower_bound, rel=1e-3)


def test_the_best_constant_by_least_squares():
    targets = normal(10, 30, 3) + 4
    residual = np.linalg.lstsq(np.ones((30, 1)), targets.numpy(), rcond=None)[1]
    assert best_constant_loss(targets) == pytest.approx(residual.sum() / 30, rel=1e-12)


@pytest.mark.parametrize("search", [epsilon_sharpness, box_sharpness])
def test_refusals(search):
    model, data = regression(1)
    with pytest.raises(UserError, match="radius: is 0; expected a positive number"):
        search(model, squared, data, 0, 1, 1, generator(1))
