"""The flattest network of an orbit against dense matrices, scipy, closed forms and the minimum of linear networks."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from curvature.modules import Dense, columns, dense_gauss_newton
from hypothesis import given, settings
from hypothesis import strategies as st
from references import DTYPE, covariance, normal
from rescalable import case, convolutional, inputs_of, perceptron, residual, seeded, squared
from scipy.optimize import minimize, minimize_scalar
from torch import nn

from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.errors import UserError
from flatminima.minima.bound import minimal_sharpness
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.orbit import Rescaled, flattest

TOLERANCE = 1e-6
KINDS = ["layers", "units"]
BUILDS = {
    "perceptron": lambda: perceptron([4, 5, 4, 3]),
    "leaky, no biases": lambda: perceptron([4, 5, 4, 3], nn.LeakyReLU, bias=False),
    "residual": residual,
    "images": convolutional,
}


def rescaled(matrix, group, scales):
    """D G D for the dense G."""
    multipliers = torch.exp(-group.exponents(scales))
    return multipliers.unsqueeze(1) * matrix * multipliers


def top(matrix, group, scales):
    return float(torch.linalg.eigvalsh(rescaled(matrix, group, scales))[-1])


def by_descent(matrix, group):
    """The least top eigenvalue of the dense matrix that BFGS finds, on ever higher power means of the eigenvalues."""

    def objective(scales, power):
        values, vectors = torch.linalg.eigh(rescaled(matrix, group, torch.from_numpy(scales)))
        weights = (values.clamp_min(0) / values[-1]) ** power
        shares = (weights * vectors.square()).sum(1) / weights.sum()
        slope = -2 * group.pullback(shares)
        return float(values[-1].log() + weights.sum().log() / power), slope.numpy()

    scales = np.zeros(group.size)
    for power in (4, 32, 256, 2**11, 2**14, 2**17):
        scales = minimize(objective, scales, args=(power,), jac=True, method="BFGS", options={"maxiter": 200}).x
    return top(matrix, group, torch.from_numpy(scales))


def spread(group, seed, reach=3.0):
    return reach * (2 * torch.rand(group.size, generator=torch.Generator().manual_seed(seed), dtype=DTYPE) - 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_against_descent_on_the_dense_matrix(build, kind):
    model, operator, matrix = case(build, samples=6 if build is convolutional else 12)
    group = Rescaling(model, kind)
    found = flattest(operator, group, tolerance=TOLERANCE)
    there = top(matrix, group, found.scales)
    assert found.value == pytest.approx(there, rel=TOLERANCE)
    assert found.lower_bound <= there <= found.lower_bound * (1 + 2 * TOLERANCE)
    assert 0 <= found.gap <= TOLERANCE
    reference = by_descent(matrix, group)
    assert found.lower_bound <= reference
    assert reference == pytest.approx(found.value, rel=1e-4)
    assert found.value < 0.99 * top(matrix, group, 0 * found.scales)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.floats(0.01, 6))
def test_no_rescaling_is_flatter(seed, kind, reach):
    """Random rescalings of the network, and of the flattest one, never give less than the lower bound."""
    model, operator, matrix = case(lambda: perceptron([3, 4, 3, 2]), seed)
    group = Rescaling(model, kind)
    found = flattest(operator, group)
    for k in range(10):
        step = spread(group, seed + k, reach)
        assert top(matrix, group, step) >= found.lower_bound
        assert top(matrix, group, found.scales + step) >= found.lower_bound


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.floats(1, 6))
def test_an_invariant_of_the_orbit(seed, kind, reach):
    """The minimum is the same after any rescaling of the network, and from any start."""
    model, operator, _ = case(lambda: perceptron([3, 5, 4, 2], nn.LeakyReLU), seed)
    group = Rescaling(model, kind)
    inputs = inputs_of(model, seed + 1, samples=12)
    attacked = group.apply(model, spread(group, seed, reach))
    found = flattest(operator, group, tolerance=5e-7)
    after = flattest(GaussNewton(attacked, squared, (inputs, model(inputs).detach())), group, tolerance=5e-7)
    moved = flattest(operator, group, tolerance=5e-7, start=spread(group, seed + 1, reach))
    assert after.value == pytest.approx(found.value, rel=1e-6)
    assert moved.value == pytest.approx(found.value, rel=1e-6)


def test_the_sharpness_itself_is_no_invariant():
    """The control of the test above."""
    model, _, matrix = case(lambda: perceptron([3, 5, 4, 2]))
    group = Rescaling(model, "layers")
    assert top(matrix, group, spread(group, 1)) > 2 * top(matrix, group, torch.zeros(2, dtype=DTYPE))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_shares_at_a_simple_eigenvalue(bias, kind):
    """The gradient -2 E'v^2 vanishes: what enters a unit in the squared eigenvector leaves it again.

    Between layers without biases, all have the same share.
    """
    seeds = range(20)
    simple = 0
    for seed in seeds:
        model, operator, matrix = case(lambda: perceptron([3, 4, 4, 2], bias=bias), seed)
        group = Rescaling(model, kind)
        found = flattest(operator, group, tolerance=1e-9)
        values, vectors = torch.linalg.eigh(rescaled(matrix, group, found.scales))
        if values[-2] > 0.99 * values[-1]:
            continue
        simple += 1
        energy = vectors[:, -1].square()
        assert group.pullback(energy).abs().max() < 1e-3
        if not bias:
            shares = torch.stack([energy[layer.weights].sum() for layer in group.layers])
            torch.testing.assert_close(shares, torch.full((3,), 1 / 3, dtype=DTYPE), rtol=0, atol=1e-3)
    assert simple >= 3


def flattest_linear(end_to_end, depth, moment):
    """docs/theory.md I3: with T = U Sigma V', W_1 = rho^{1/m - 1} U'T, then rho^{1/m} I, and W_m = rho^{1/m} U."""
    gain = minimal_sharpness(end_to_end, depth, moment).gain
    left = np.linalg.svd(end_to_end)[0]
    between = [gain ** (1 / depth) * np.eye(len(left))] * (depth - 2)
    return [gain ** (1 / depth - 1) * left.T @ end_to_end, *between, gain ** (1 / depth) * left]


def linear_network(weights):
    model = perceptron([weights[0].shape[1], *map(len, weights)], nn.Identity, bias=False).to(DTYPE)
    with torch.no_grad():
        for layer, weight in zip(model[::2], weights, strict=True):
            layer.weight.copy_(torch.from_numpy(np.array(weight)))
    return model


def samples_of(moment, count=40):
    """Inputs with exactly this second moment."""
    noise = np.linalg.qr(np.random.default_rng(1).standard_normal((count, len(moment))))[0]
    return torch.from_numpy(math.sqrt(count) * noise @ np.linalg.cholesky(moment).T)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("white", [True, False])
def test_flattest_linear_networks_are_found_again(depth, white):
    """Paper 1's flattest minimum, its layers rescaled at random: the orbit leads back to the minimal sharpness."""
    rng = np.random.default_rng(depth)
    end_to_end, moment = rng.standard_normal((4, 4)), np.eye(4) if white else covariance(rng, 4, 20.0)
    model = linear_network(flattest_linear(end_to_end, depth, moment))
    inputs = samples_of(moment)
    group = Rescaling(model, "layers")
    attacked = group.apply(model, spread(group, depth))
    found = flattest(GaussNewton(attacked, squared, (inputs, model(inputs).detach())), group)
    assert found.value == pytest.approx(minimal_sharpness(end_to_end, depth, moment).value, rel=1e-6)


def test_balanced_linear_networks_are_found_again():
    """White inputs: W_k = s^{1/m} on singular vectors shared by neighbours, minimum 2 m s^{2 - 2/m}."""
    rng = np.random.default_rng(7)
    gains = np.array([2.0, 1.0, 0.3])
    bases = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(4)]
    model = linear_network([after * gains ** (1 / 3) @ before.T for before, after in pairwise(bases)])
    inputs, group = samples_of(np.eye(3)), Rescaling(model, "layers")
    attacked = group.apply(model, spread(group, 5))
    found = flattest(GaussNewton(attacked, squared, (inputs, model(inputs).detach())), group)
    assert found.value == pytest.approx(6 * 2 ** (4 / 3), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 3, 4]), st.sampled_from(KINDS))
def test_no_linear_orbit_goes_below_the_bound(seed, depth, kind):
    """Random minima on inputs that are not white: rescaling alone does not reach less than paper 1's minimum."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((3, 3)) for _ in range(depth)]
    end_to_end, moment = np.linalg.multi_dot(weights[::-1]), covariance(rng, 3, 10.0)
    model, inputs = linear_network(weights), samples_of(moment)
    found = flattest(GaussNewton(model, squared, (inputs, model(inputs).detach())), Rescaling(model, kind))
    assert found.value >= minimal_sharpness(end_to_end, depth, moment).value * (1 - 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_that_is_off_for_all_samples(kind):
    """It has no curvature, and its scale stays near the start."""
    model = seeded(perceptron([4, 5, 3]), 1)
    with torch.no_grad():
        model[0].weight[2], model[0].bias[2] = 0, -1
    inputs = inputs_of(model, 2, samples=30)
    data, group = (inputs, model(inputs).detach()), Rescaling(model, kind)
    found = flattest(GaussNewton(model, squared, data), group)
    smaller = perceptron([4, 4, 3]).to(DTYPE)
    kept = [0, 1, 3, 4]
    with torch.no_grad():
        smaller[0].weight.copy_(model[0].weight[kept])
        smaller[0].bias.copy_(model[0].bias[kept])
        smaller[2].weight.copy_(model[2].weight[:, kept])
        smaller[2].bias.copy_(model[2].bias)
    alone = flattest(GaussNewton(smaller, squared, data), Rescaling(smaller, kind))
    assert found.value == pytest.approx(alone.value, rel=2e-6)
    if kind == "units":
        assert found.scales[2].abs() < 1e-6


def test_a_unit_without_outgoing_weights():
    """Its outgoing curvature vanishes as its scale does: the infimum is the orbit minimum without these weights."""
    model = seeded(perceptron([4, 5, 3]), 1)
    with torch.no_grad():
        model[2].weight[:, 2] = 0
    inputs = inputs_of(model, 2, samples=30)
    data, group = (inputs, model(inputs).detach()), Rescaling(model, "units")
    operator = GaussNewton(model, squared, data)
    found = flattest(operator, group)
    outgoing = group.incidence[0] == 2
    kept = columns(operator)
    kept[outgoing], kept[:, outgoing] = 0, 0
    assert outgoing.sum() == 3
    assert found.value == pytest.approx(flattest(Dense(kept), group).value, rel=2e-6)
    assert found.value == pytest.approx(top(columns(operator), group, found.scales), rel=1e-6)
    assert found.scales[2] < -3


def test_one_layer_has_an_orbit_of_one_network():
    model, operator, matrix = case(lambda: perceptron([4, 3]))
    found = flattest(operator, Rescaling(model, "units"))
    assert found.value == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=TOLERANCE)
    assert found.scales.numel() == 0


def test_the_products_are_counted():
    model, _, matrix = case(lambda: perceptron([5, 8, 6, 4]))
    operator = Dense(matrix)
    assert flattest(operator, Rescaling(model, "units")).products == operator.count


@pytest.mark.parametrize("kind", KINDS)
def test_a_rough_start_ends_at_the_same_minimum(kind):
    """Half of the samples show where the search for the top eigenvalue begins; the certificate is that of all."""
    model = seeded(perceptron([6, 9, 7, 4]), 1)
    inputs = inputs_of(model, 2, samples=40)
    data = inputs, model(inputs).detach() + normal(1, 40, 4)
    matrix, group = dense_gauss_newton(model, squared, *data), Rescaling(model, kind)
    operator = Dense(matrix)
    found = flattest(operator, group, tolerance=TOLERANCE, rough=GaussNewton(model, squared, data).thinned(2))
    assert found.products == operator.count
    assert found.gap <= TOLERANCE
    assert found.value == pytest.approx(top(matrix, group, found.scales), rel=TOLERANCE)
    assert found.value == pytest.approx(flattest(Dense(matrix), group, tolerance=TOLERANCE).value, rel=2 * TOLERANCE)


def test_rescaled_operators_are_dense_products():
    model, operator, matrix = case(lambda: perceptron([3, 4, 2]))
    group = Rescaling(model, "units")
    scales = spread(group, 2)
    product = columns(Rescaled(operator, torch.exp(-group.exponents(scales))))
    torch.testing.assert_close(product, rescaled(matrix, group, scales), rtol=1e-10, atol=1e-12)


def test_too_few_products():
    model, operator, _ = case(lambda: perceptron([4, 6, 3]))
    message = (
        r"curvature: after \d+ products its least top eigenvalue lies above \d\S+ and the best rescaling has about"
    )
    with pytest.raises(UserError, match=message + r" \d\S+; expected a relative gap of 1\.0e-06: raise max_products"):
        flattest(operator, Rescaling(model, "units"), max_products=8)


def test_a_hessian_with_negative_eigenvalues():
    """Far from a minimum: negative products are refused, and where none is met the gap stays open."""
    model, _, matrix = case(lambda: perceptron([4, 6, 3], bias=False))
    group = Rescaling(model, "layers")
    with pytest.raises(UserError, match=r"v' G v = -\d\S+ for some v; expected a positive semi-definite operator"):
        flattest(Dense(-matrix), group)
    inputs = inputs_of(model, 2, samples=12)
    far = Hessian(model, squared, (inputs, model(inputs).detach() + 3 * normal(3, 12, 3)))
    assert torch.linalg.eigvalsh(columns(far))[0] < -1
    with pytest.raises(UserError, match=r"curvature: .* an operator with negative eigenvalues has no such gap"):
        flattest(far, group, max_products=100)
    with pytest.raises(UserError, match=r"v' G v = 0 for some v; expected .* other than zero"):
        flattest(Dense(0 * matrix), group)


def test_an_infimum_of_zero_is_not_attained():
    """Without biases and with a last layer of zeros the curvature is w_1^2 a^2 E[x^2]: it vanishes as a does."""
    model = seeded(perceptron([2, 3, 1], nn.Identity, bias=False), 1)
    with torch.no_grad():
        model[2].weight.zero_()
    inputs = inputs_of(model, 1)
    curvature, group = GaussNewton(model, squared, (inputs, model(inputs).detach())), Rescaling(model, "layers")
    sharper, flatter = (
        float(Rescaled(curvature, torch.exp(-group.exponents(h))).matmat(eye).trace())
        for eye in [torch.eye(9, dtype=DTYPE)]
        for h in (torch.zeros(1), torch.full((1,), -5.0))
    )
    assert flatter == pytest.approx(math.exp(-10) * sharper, rel=1e-9)
    with pytest.raises(UserError, match="expected a relative gap"):
        flattest(curvature, group)


def test_the_same_seed_gives_the_same_bytes():
    model, operator, _ = case(lambda: perceptron([4, 6, 3]))
    first, second = (flattest(operator, Rescaling(model, "units"), seed=3) for _ in range(2))
    assert torch.equal(first.scales, second.scales)
    assert (first.value, first.products) == (second.value, second.products)


def test_two_weights_by_a_line_search():
    """One free scale: a convex function of one number."""
    model, operator, matrix = case(lambda: perceptron([2, 1, 1], bias=False))
    group = Rescaling(model, "layers")
    line = minimize_scalar(lambda h: top(matrix, group, torch.tensor([h])), bounds=(-5, 5), method="bounded")
    assert flattest(operator, group).value == pytest.approx(line.fun, rel=TOLERANCE)


def test_indefinite_curvature_is_not_convex():
    """docs/rescaling.md: [[1, r], [r, -1]] has a logarithm that is concave for h > 0, by its closed form."""
    group = Rescaling(perceptron([1, 1, 1], bias=False), "layers")
    matrix = torch.tensor([[1.0, 2.0], [2.0, -1.0]], dtype=DTYPE)
    logs = []
    for h in (0.2, 0.4, 0.6):
        found = top(matrix, group, torch.tensor([h], dtype=DTYPE))
        assert found == pytest.approx(math.sqrt(5 + math.sinh(2 * h) ** 2) - math.sinh(2 * h), rel=1e-12)
        logs.append(math.log(found))
    assert logs[1] > (logs[0] + logs[2]) / 2 + 1e-3
