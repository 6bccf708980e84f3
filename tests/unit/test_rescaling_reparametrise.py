"""Other coordinates: the laws of D7 by the engine, and by dense Hessians of the inverse function theorem."""

import numpy as np
import pytest
import torch
from curvature.modules import columns, dense_hessian
from hypothesis import given
from hypothesis import strategies as st
from references import DTYPE, generator, normal
from rescalable import convolutional, flat, gradient, inputs_of, perceptron, seeded, squared
from torch import nn

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Hessian
from flatminima.errors import UserError
from flatminima.rescaling.objective import Objective
from flatminima.rescaling.reparametrise import (
    direction_names,
    radial,
    radial_inverse,
    radial_map,
    rotated,
    weight_normalised,
)

POWERS = st.floats(-0.49, 3, allow_nan=False)
LOGS = st.floats(-6, 6, allow_nan=False)
SHAPES = [(-0.4, 0.01), (-0.4, 30.0), (0.5, 0.1), (2.0, 0.1), (2.0, 10.0)]


def problem(build=lambda: perceptron([3, 4, 2]), seed=1):
    """A network at an exact minimum: it is its own teacher."""
    model = seeded(build(), seed)
    inputs = inputs_of(model, seed, samples=30)
    return model, (inputs, model(inputs).detach())


@given(POWERS, LOGS, LOGS, st.integers(0, 10**5))
def test_the_inverse_is_exact_to_rounding(power, log_offset, log_length, seed):
    """Relative errors are at most a rounding times the condition (q + b) / ((1 + 2a) q + b) of the root."""
    u = normal(seed, 5) * 10**log_length
    offset, q = 10**log_offset, float(u.square().sum())
    condition = (1 + 2 * abs(power)) * max(1, (q + offset) / ((1 + 2 * power) * q + offset))
    found = radial_inverse(radial_map(u, power, offset), power, offset)
    assert float((found - u).norm() / u.norm()) <= 4e-15 * condition


@given(POWERS, LOGS)
def test_zero_stays_zero_with_the_derivative_of_its_limit(power, log_offset):
    """At eta = 0 the map is eta b^{-a} to second order, and its third derivative exists."""
    jacobian = torch.autograd.functional.jacobian(
        lambda eta: radial_inverse(eta, power, 10**log_offset), torch.zeros(3, dtype=DTYPE)
    )
    expected = 10 ** (-power * log_offset) * torch.eye(3, dtype=DTYPE)
    torch.testing.assert_close(jacobian, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("power", "offset"), SHAPES)
@pytest.mark.parametrize("length", [0.0, 0.1, 3.0])
def test_derivatives_against_the_inverse_function_theorem(power, offset, length):
    """J = F'^{-1} and D^2 u_k = -sum_l J_kl J' D^2 F_l J from the explicit map F alone, and no root."""
    u = length * normal(2, 4)
    eta = radial_map(u, power, offset)
    jacobian = torch.linalg.inv(torch.autograd.functional.jacobian(lambda x: radial_map(x, power, offset), u))
    found = torch.autograd.functional.jacobian(lambda x: radial_inverse(x, power, offset), eta)
    torch.testing.assert_close(found, jacobian, rtol=1e-10, atol=1e-12)
    bends = torch.stack(
        [torch.autograd.functional.hessian(lambda x, k=k: radial_map(x, power, offset)[k], u) for k in range(4)]
    )
    expected = -torch.einsum("kl,pi,lpq,qj->kij", jacobian, jacobian, bends, jacobian)
    for k in range(4):
        second = torch.autograd.functional.hessian(lambda x, k=k: radial_inverse(x, power, offset)[k], eta)
        torch.testing.assert_close(second, expected[k], rtol=1e-9, atol=1e-10 * float(1 + expected.abs().max()))


@pytest.mark.parametrize(("power", "offset"), SHAPES)
@pytest.mark.parametrize("build", [lambda: perceptron([3, 4, 2]), convolutional])
def test_radial_curvature_through_the_engine(build, power, offset):
    """D7: eigenvalues at theta_hat are multiplied by b^{-2a}, and the function is the same."""
    model, data = problem(build)
    changed = radial(model, power, offset)
    assert torch.equal(changed(data[0]), data[1])
    before = torch.linalg.eigvalsh(dense_hessian(model, squared, *data)).flip(0)[:3]
    pairs = eigenpairs(Hessian(changed, squared, data), 3, tolerance=1e-8)
    torch.testing.assert_close(pairs.eigenvalues, offset ** (-2 * power) * before, rtol=1e-7, atol=0)


@pytest.mark.parametrize(("power", "offset"), SHAPES)
def test_radial_curvature_away_from_the_centre(power, offset):
    """By the chain rule with the dense Jacobian: J' H J at a critical point; here it is not the centre."""
    model, data = problem()
    shift = 0.3 * normal(3, len(flat(model)))
    displaced = Objective(model, squared, data).point - shift
    with torch.no_grad():
        nn.utils.vector_to_parameters(displaced, (centre := seeded(perceptron([3, 4, 2]), 1)).parameters())
    changed = radial(centre, power, offset)
    with torch.no_grad():
        changed.coordinates.copy_(radial_map(shift, power, offset))
    assert torch.allclose(changed(data[0]), data[1], rtol=1e-11, atol=1e-11)
    hessian = dense_hessian(model, squared, *data)
    jacobian = torch.linalg.inv(torch.autograd.functional.jacobian(lambda u: radial_map(u, power, offset), shift))
    expected = jacobian.mT @ hessian @ jacobian
    scale = float(expected.abs().max())
    torch.testing.assert_close(columns(Hessian(changed, squared, data)), expected, rtol=1e-8, atol=1e-9 * scale)


def test_rotations_leave_the_spectrum():
    """The control: an orthogonal change of coordinates is not a change of curvature, though the matrix is another."""
    model, data = problem(convolutional)
    changed = rotated(model, generator(4))
    before, after = dense_hessian(model, squared, *data), columns(Hessian(changed, squared, data))
    scale = float(before.abs().max())
    assert (before - after).norm() > 0.01 * before.norm()
    torch.testing.assert_close(
        torch.linalg.eigvalsh(after), torch.linalg.eigvalsh(before), rtol=1e-9, atol=1e-11 * scale
    )
    with torch.no_grad():
        changed.coordinates.add_(0.1 * normal(5, len(changed.coordinates)))
    assert not torch.allclose(changed(data[0]), data[1], rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("build", [lambda: perceptron([3, 4, 2]), convolutional])
def test_curvature_in_the_directions_of_weight_normalisation(build, scale):
    """D7: v -> a v leaves the function and multiplies the curvature in v by a^{-2}."""
    model, data = problem(build)
    noisy = data[0], data[1] + 0.1 * normal(6, *data[1].shape)
    unit, scaled = weight_normalised(model, 1.0), weight_normalised(model, scale)
    torch.testing.assert_close(scaled(data[0]), data[1], rtol=1e-11, atol=1e-12)
    before, after = (
        eigenpairs(Hessian(m, squared, noisy, direction_names(m)), tolerance=1e-8).eigenvalues for m in (unit, scaled)
    )
    torch.testing.assert_close(after, before / scale**2, rtol=1e-7, atol=0)


def test_hessian_of_weight_normalisation():
    """The whole matrix, in g and v, against differences of the gradient by its formula."""
    model, (inputs, targets) = problem(lambda: nn.Sequential(nn.Linear(3, 2, bias=False)))
    targets = targets + normal(9, *targets.shape)
    changed = weight_normalised(model, 0.5)
    moment, cross = (2 * inputs.T @ part / len(inputs) for part in (inputs, targets))

    def slope(flat):
        g, v = flat[:2, None], flat[2:].reshape(2, 3)
        unit = v / np.linalg.norm(v, axis=1, keepdims=True)
        in_weights = g * unit @ moment.numpy() - cross.numpy().T
        along = (in_weights * unit).sum(1, keepdims=True)
        return np.concatenate(
            [along.ravel(), (g / np.linalg.norm(v, axis=1, keepdims=True) * (in_weights - along * unit)).ravel()]
        )

    point, step = flat(changed).numpy(), 1e-6
    expected = np.array([(slope(point + step * e) - slope(point - step * e)) / (2 * step) for e in np.eye(8)])
    found = columns(Hessian(changed, squared, (inputs, targets))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_weight_normalisation_by_its_formula():
    """Gradient in v is a^{-1} g (I - v v') dL/dw / ||w||, and in g the slope along v, from the gradient in w."""
    model, (inputs, targets) = problem()
    targets = targets + normal(7, *targets.shape)
    changed = weight_normalised(model, 0.2)
    assert direction_names(changed) == [f"{k}.parametrizations.weight.original1" for k in (0, 2)]
    slope = gradient(model, inputs, targets)[:12].view(4, 3)
    squared(changed(inputs), targets).backward()
    weight = model[0].weight.detach()
    unit = weight / weight.norm(dim=1, keepdim=True)
    along = (slope * unit).sum(1, keepdim=True)
    found = changed[0].parametrizations.weight
    torch.testing.assert_close(found.original0.grad, along, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.original1.grad, (slope - along * unit) / 0.2, rtol=1e-10, atol=1e-11)


def test_single_precision():
    """A float32 network keeps its dtype, and becomes a float64 one as a whole."""
    model, (inputs, outputs) = problem()
    data = inputs, outputs + 0.1 * normal(8, *outputs.shape)
    changed = radial(model.float(), 1.0, 0.25)
    assert changed.coordinates.dtype == torch.float32
    pairs = eigenpairs(Hessian(changed, squared, (data[0].float(), data[1].float())))
    double = eigenpairs(Hessian(changed.double(), squared, data))
    np.testing.assert_allclose(pairs.eigenvalues, double.eigenvalues, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: radial(m, -0.5, 1.0), "power: is -0.5; expected a number above -1/2"),
        (lambda m: radial(m, 1.0, 0.0), "offset: is 0.0; expected a positive number"),
        (lambda m: weight_normalised(m, 0.0), "scale: is 0.0; expected a positive number"),
        (lambda m: weight_normalised(nn.ReLU(), 1.0), "no layer to normalise"),
        (lambda m: radial_inverse(torch.tensor([torch.inf]), 1.0, 1.0), "squared length inf; expected a finite"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(UserError, match=message):
        change(perceptron([3, 4, 2]))


def test_units_without_direction_are_refused():
    model = perceptron([3, 4, 2])
    with torch.no_grad():
        model[2].weight[1] = 0
    with pytest.raises(UserError, match="a unit of layer 2 has zero weights"):
        weight_normalised(model, 1.0)
