"""Volumes and curvatures against closed forms and dense Hessians, and theory.md's laws of growth."""

import math

import pytest
import torch
from curvature.modules import dense_hessian
from hypothesis import given, settings
from hypothesis import strategies as st
from references import DTYPE, generator, normal
from rescalable import inputs_of, perceptron, residual, seeded, squared
from scipy.integrate import quad

from flatminima.curvature.certified import top_eigenpair
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.curvature.spectrum import trace
from flatminima.errors import UserError
from flatminima.rescaling.areas import rectified_area, sublevel_area
from flatminima.rescaling.maps import Rescaling, two_layer


def problem(widths=(3, 4, 3), seed=1, bias=False):
    model = seeded(perceptron(widths, bias=bias), seed)
    inputs = inputs_of(model, seed, samples=60)
    return model, (inputs, model(inputs).detach() + 0.1 * normal(seed + 5, 60, widths[-1]))


SPAN = torch.linspace(-2, 2, 24, dtype=DTYPE)


@pytest.mark.parametrize("bound", [2.0, 10.0, 1e3, 1e6])
def test_the_rectifiers_area_grows_like_a_logarithm(bound):
    """Monte Carlo against integrals of the interval of t_2 over t_1, and against 4 sqrt(eps / m) log R."""
    excess = 0.09
    estimate = sublevel_area(torch.relu, SPAN, excess, bound, 40_000, generator(4))
    second = float(SPAN.clamp_min(0).square().mean())
    width = math.sqrt(excess / second)
    integral = sum(quad(lambda t: 2 * width / t, a, b)[0] for a, b in [(1 / bound, 1), (1, bound)])
    assert rectified_area(SPAN, excess, bound) == pytest.approx(integral, rel=1e-6)
    assert rectified_area(SPAN, excess, bound) == pytest.approx(4 * width * math.log(bound), rel=1e-12)
    assert abs(estimate.value - integral) <= 4 * estimate.standard_error
    assert estimate.standard_error <= 0.02 * integral


def test_a_level_above_the_loss_of_zero():
    """Beyond eps = m the strip of t_2 ends at zero: its width is 1 + sqrt(eps / m)."""
    second = float(SPAN.clamp_min(0).square().mean())
    estimate = sublevel_area(torch.relu, SPAN, 4 * second, 10.0, 40_000, generator(5))
    assert rectified_area(SPAN, 4 * second, 10.0) == pytest.approx(3 * 2 * math.log(10))
    assert abs(estimate.value - 3 * 2 * math.log(10)) <= 4 * estimate.standard_error + 1e-9


def tanh_area(excess, bound):
    """By quadrature: for each t_1, the roots of a quadratic in t_2."""
    targets = torch.tanh(SPAN)

    def width(log_first):
        hidden = torch.tanh(math.exp(log_first) * SPAN)
        a, b = float(hidden.square().mean()), float((hidden * targets).mean())
        rest = b * b - a * (float(targets.square().mean()) - excess)
        return math.exp(log_first) * 2 * math.sqrt(max(rest, 0)) / a

    return quad(width, -math.log(bound), math.log(bound), limit=500, points=[0.0])[0]


def test_the_area_of_the_hyperbolic_tangent_stays_bounded():
    """The control of D2: without homogeneity the set is bounded, and its area the same for all large R."""
    excess = 0.001
    areas = [sublevel_area(torch.tanh, SPAN, excess, bound, 200_000, generator(6)) for bound in (10.0, 1e3, 1e6)]
    expected = tanh_area(excess, 10.0)
    assert tanh_area(excess, 1e3) == pytest.approx(expected, rel=1e-3)
    for area in areas:
        assert abs(area.value - expected) <= 4 * area.standard_error
        assert area.standard_error <= 0.1 * expected


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_the_top_eigenpair_against_a_dense_hessian(seed):
    model, data = problem(seed=seed, bias=True)
    reference = dense_hessian(model, squared, *data)
    value, residual, vector = top_eigenpair(Hessian(model, squared, data))
    assert value == pytest.approx(float(torch.linalg.eigvalsh(reference)[-1]), rel=1e-6)
    assert float((reference @ vector - value * vector).norm()) <= residual + 1e-9 * value


@pytest.mark.parametrize("build", [lambda: perceptron([4, 6, 3]), residual])
def test_laws_of_growth(build):
    """D4: the spectral norm grows as alpha^-2 and alpha^2."""
    model = seeded(build(), 9)
    inputs = inputs_of(model, 9, samples=50)
    data = inputs, model(inputs).detach()
    group = Rescaling(model, "layers")

    def norm(alpha):
        rescaled = group.apply(model, two_layer(group, 1, len(group.layers), alpha))
        return top_eigenpair(GaussNewton(rescaled, squared, data))[0]

    assert norm(1e-3) / norm(1e-2) == pytest.approx(100, rel=1e-3)
    assert norm(1e4) / norm(1e3) == pytest.approx(100, rel=1e-3)
    assert norm(1e-3) > 1e3 * norm(1.0)


def test_the_trace_is_least_where_the_layers_balance():
    """D4 without biases: 2 sqrt(tr_1 tr_2) at alpha = (tr_1 / tr_2)^(1/4)."""
    model, data = problem((4, 3, 3))
    diagonal = dense_hessian(model, squared, *data).diagonal()
    first, second = float(diagonal[:12].sum()), float(diagonal[12:].sum())
    best = (first / second) ** 0.25
    group = Rescaling(model, "layers")
    traces = []
    for alpha in (0.8 * best, best, 1.25 * best):
        hessian = Hessian(group.apply(model, two_layer(group, 1, 2, alpha)), squared, data)
        traces.append(trace(hessian).value)
        assert traces[-1] == pytest.approx(first / alpha**2 + second * alpha**2, rel=1e-9)
    assert traces[1] == pytest.approx(2 * math.sqrt(first * second), rel=1e-9)
    assert traces[1] < min(traces[0], traces[2])


def test_refusals():
    with pytest.raises(UserError, match="bound: is 1; expected a finite number above 1"):
        sublevel_area(torch.relu, SPAN, 0.1, 1, 10, generator(1))
