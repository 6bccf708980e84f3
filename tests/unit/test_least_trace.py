"""The least trace over rescalings: against descent, and against its closed form for layers without biases."""

import math

import numpy as np
import pytest
import torch
from rescalable import case, perceptron, residual
from scipy.optimize import minimize

from flatminima.errors import UserError
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.orbit import least_trace, minimum_sharpness

KINDS = ["layers", "units"]


def test_least_trace_of_two_layers():
    """theory.md section 2: 2 sqrt(tr_1 tr_2) at a = (tr_1 / tr_2)^{1/4}."""
    model, _, matrix = case(lambda: perceptron([4, 6, 3], bias=False))
    group, diagonal = Rescaling(model, "layers"), matrix.diagonal()
    first, second = (float(diagonal[layer.weights].sum()) for layer in group.layers)
    found = least_trace(diagonal, group)
    assert found.value == pytest.approx(2 * (first * second) ** 0.5, rel=1e-9)
    assert float(found.scales.exp()) == pytest.approx((first / second) ** 0.25, rel=1e-4)
    assert found.value < float(diagonal.sum())


@pytest.mark.parametrize("widths", [[4, 6, 3], [4, 5, 4, 3], [3, 4, 4, 4, 2]])
def test_minimum_sharpness_by_descent(widths):
    """Ibayashi et al. 2021: K (tr_1 ... tr_K)^(1/K), the least sum of tr_k / a_k^2 for factors of product one."""
    model, _, matrix = case(lambda: perceptron(widths, bias=False))
    group, diagonal = Rescaling(model, "layers"), matrix.diagonal()
    traces = np.array([float(diagonal[layer.weights].sum()) for layer in group.layers])

    def total(logs):
        return np.log(traces @ np.exp(-2 * np.append(logs, -logs.sum())))

    reference = minimize(total, np.zeros(len(traces) - 1), method="BFGS", options={"gtol": 1e-10})
    assert minimum_sharpness(diagonal, group) == pytest.approx(math.exp(reference.fun), rel=1e-8)
    assert minimum_sharpness(diagonal, group) == pytest.approx(least_trace(diagonal, group).value, rel=1e-9)


def test_minimum_sharpness_has_no_closed_form_with_biases():
    model, _, matrix = case(lambda: perceptron([4, 6, 3]))
    with pytest.raises(UserError, match="minimum sharpness: the network has biases; use least_trace"):
        minimum_sharpness(matrix.diagonal(), Rescaling(model, "layers"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", [residual, lambda: perceptron([4, 5, 4, 3])])
def test_least_trace_against_descent(build, kind):
    """A smooth sum of exponentials, and its gradient by the transpose of the exponents."""
    model, _, matrix = case(build)
    group, diagonal = Rescaling(model, kind), matrix.diagonal()

    def objective(scales):
        terms = torch.exp(-2 * group.exponents(torch.from_numpy(scales))) * diagonal
        return float(terms.sum().log()), (-2 * group.pullback(terms) / terms.sum()).numpy()

    reference = minimize(objective, np.zeros(group.size), jac=True, method="BFGS", options={"gtol": 1e-9})
    found = least_trace(diagonal, group)
    assert found.value == pytest.approx(math.exp(reference.fun), rel=1e-8)
    assert found.lower_bound <= math.exp(reference.fun) * (1 + 1e-12)


def test_a_negative_diagonal():
    group = Rescaling(perceptron([1, 1, 1], bias=False), "layers")
    with pytest.raises(UserError, match=r"diagonal: smallest entry -0\.5; expected none below 0"):
        least_trace(torch.tensor([1.0, -0.5]), group)
