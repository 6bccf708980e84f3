"""Rescalings against functions of random networks, null spaces of Jacobians, theory.md's formulas, dense Hessians."""

import math

import pytest
import torch
from curvature.modules import dense_hessian
from hypothesis import given, settings
from hypothesis import strategies as st
from references import DTYPE, normal
from rescalable import (
    convolutional,
    dense_block,
    flat,
    gradient,
    inputs_of,
    majorant,
    networks,
    output_jacobian,
    perceptron,
    residual,
    seeded,
    squared,
)
from torch import nn

from flatminima.errors import UserError
from flatminima.networks.modules import Residual
from flatminima.rescaling.maps import Rescaling, layer_scales, two_layer

KINDS = ["layers", "units"]
MILLION = math.log(1e6)


def uniform(seed, size, bound=MILLION):
    """Log-scales; by default scales from 1e-6 to 1e6."""
    return (2 * torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=DTYPE) - 1) * bound


@settings(max_examples=100)
@given(networks(), st.sampled_from(KINDS), st.integers(0, 100))
def test_the_function_stays_the_same(case, kind, seed):
    """D1, to rounding: 45 units in the last place of the sums of absolute values."""
    model, inputs = case
    group = Rescaling(model, kind)
    rescaled = group.apply(model, uniform(seed, group.size))
    error = (rescaled(inputs) - model(inputs)).abs()
    assert (error <= 1e-14 * majorant(model, inputs)).all()


def test_a_multiplier_off_the_group_changes_the_function():
    """The control of the test above: the same rounding bound fails when a bias keeps its size."""
    model = seeded(perceptron([3, 4, 2]), 1)
    group = Rescaling(model, "layers")
    rescaled = group.apply(model, torch.tensor([1.0]))
    with torch.no_grad():
        rescaled[0].bias.copy_(model[0].bias)
    inputs = inputs_of(model, 2)
    assert ((rescaled(inputs) - model(inputs)).abs() > 1e-3 * majorant(model, inputs)).any()


BUILDS = {
    "one layer": (lambda: perceptron([4, 3]), 0, 0),
    "perceptron": (lambda: perceptron([4, 5, 3, 2], nn.LeakyReLU), 2, 8),
    "no biases": (lambda: perceptron([4, 5, 3, 2], nn.LeakyReLU, bias=False), 2, 8),
    "stream between weights": (lambda: residual(nn.LeakyReLU), 3, 3 + 4 + 2),
    "stream of inputs": (lambda: nn.Sequential(dense_block(3, 4, nn.LeakyReLU), nn.LeakyReLU(), nn.Linear(3, 3)), 1, 4),
    "stream to outputs": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(), dense_block(3, 4, nn.LeakyReLU)),
        1,
        4,
    ),
    "images": (lambda: convolutional(nn.LeakyReLU), 4, 4 + 3 + 6 + 3),
}


@pytest.mark.parametrize(("build", "layers", "units"), BUILDS.values(), ids=BUILDS)
def test_no_other_infinitesimal_symmetry(build, layers, units):
    """A generic network has no other: the outputs' Jacobian vanishes on the unit-wise group's tangents alone.

    Units that are active for no sample or for all would add symmetries; with this seed there are none.
    """
    model = seeded(build(), 10)
    jacobian = output_jacobian(model, 10 * inputs_of(model, 11, samples=250))
    group = Rescaling(model, "units")
    assert (Rescaling(model, "layers").size, group.size) == (layers, units)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-10) == jacobian.shape[1] - units
    tangents = group.exponents(torch.eye(units, dtype=DTYPE)) * flat(model)
    assert torch.linalg.matrix_rank(tangents) == units if units else tangents.numel() == 0
    assert (jacobian @ tangents.mT).norm() <= 1e-13 * jacobian.norm() * tangents.norm()


def test_the_formulas_of_layers():
    """theory.md section 2: theta_k -> a_k theta_k, b_k -> (prod_{j<=k} a_j) b_k."""
    model = seeded(perceptron([3, 4, 5, 2]), 5)
    factors = 10.0, 0.02, 5.0
    group = Rescaling(model, "layers")
    scales = layer_scales(group, factors)
    torch.testing.assert_close(scales, torch.tensor([10.0, 0.2], dtype=DTYPE).log())
    rescaled = group.apply(model, scales)
    for k, bias_factor in enumerate([10.0, 0.2, 1.0]):
        torch.testing.assert_close(rescaled[2 * k].weight, factors[k] * model[2 * k].weight, rtol=1e-14, atol=0)
        torch.testing.assert_close(rescaled[2 * k].bias, bias_factor * model[2 * k].bias, rtol=1e-14, atol=0)


def test_the_formulas_of_units():
    """Unit i of layer k: its row and bias times c, its column of layer k + 1 divided by c."""
    model = seeded(nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)), 6)
    group = Rescaling(model, "units")
    c = torch.tensor([2.0, 1e-3, 7.0], dtype=DTYPE)
    rescaled = group.apply(model, c.log())
    exact = {"rtol": 1e-14, "atol": 0}
    torch.testing.assert_close(rescaled[0].weight, c.view(3, 1, 1, 1) * model[0].weight, **exact)
    torch.testing.assert_close(rescaled[0].bias, c * model[0].bias, **exact)
    pixels = torch.tensor([2.0] * 4 + [1e-3] * 4 + [7.0] * 4, dtype=DTYPE)
    torch.testing.assert_close(rescaled[3].weight, model[3].weight / pixels, **exact)
    torch.testing.assert_close(rescaled[3].bias, model[3].bias, **exact)


def test_a_stream_of_pixels():
    """Blocks on flattened images: all pixels of a channel share its scale."""
    model = seeded(nn.Sequential(nn.Conv2d(1, 2, 6), nn.ReLU(), nn.Flatten(), dense_block(8, 3), nn.Linear(8, 2)), 14)
    group, inputs = Rescaling(model, "units"), inputs_of(model, 15)
    assert group.size == 2 + 3
    rescaled = group.apply(model, uniform(1, 5))
    assert ((rescaled(inputs) - model(inputs)).abs() <= 1e-14 * majorant(model, inputs)).all()


@given(networks(), st.sampled_from(KINDS))
def test_a_group_that_adds_exponents(case, kind):
    model, _ = case
    group = Rescaling(model, kind)
    first, second = uniform(1, group.size), uniform(2, group.size)
    once = group.apply(group.apply(model, first), second)
    torch.testing.assert_close(flat(once), flat(group.apply(model, first + second)), rtol=1e-13, atol=0)
    torch.testing.assert_close(flat(group.apply(group.apply(model, first), -first)), flat(model), rtol=1e-13, atol=0)
    torch.testing.assert_close(flat(group.apply(model, 0 * first)), flat(model), rtol=0, atol=0)


@given(networks(), st.sampled_from(KINDS))
def test_the_pullback_is_the_transpose(case, kind):
    group = Rescaling(case[0], kind)
    matrix = group.exponents(torch.eye(group.size, dtype=DTYPE)).mT
    values = normal(1, 3, len(matrix))
    torch.testing.assert_close(group.pullback(values), values @ matrix, rtol=1e-12, atol=1e-12)
    source, target = group.incidence
    heights = [*uniform(3, group.size).tolist(), 0.0]
    edges = [heights[t] - heights[s] for s, t in zip(source.tolist(), target.tolist(), strict=True)]
    assert group.exponents(torch.tensor(heights[:-1])).tolist() == pytest.approx(edges, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", [lambda: perceptron([3, 4, 3, 2]), residual, convolutional])
def test_derivatives_transform(build, kind):
    """D3: gradients by D and Hessians by D H D with D = exp(-exponents)."""
    model = seeded(build(), 7)
    inputs = inputs_of(model, 8)
    targets = normal(9, len(inputs), 2)
    group = Rescaling(model, kind)
    scales = uniform(10, group.size, bound=2.0)
    rescaled, factors = group.apply(model, scales), torch.exp(-group.exponents(scales))
    slope = gradient(model, inputs, targets)
    torch.testing.assert_close(gradient(rescaled, inputs, targets), slope * factors, rtol=1e-9, atol=1e-9)
    hessian = dense_hessian(model, squared, inputs, targets)
    expected = factors.unsqueeze(1) * hessian * factors
    torch.testing.assert_close(dense_hessian(rescaled, squared, inputs, targets), expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("k", "l"), [(1, 3), (3, 1), (2, 3)])
def test_two_layers(kind, k, l):  # noqa: E741
    """T_alpha multiplies the weights of one layer, divides those of another and leaves the third alone."""
    model = seeded(perceptron([3, 4, 3, 2], bias=False), 11)
    rescaled = (group := Rescaling(model, kind)).apply(model, two_layer(group, k, l, 100.0))
    for layer in range(1, 4):
        factor = {k: 100.0, l: 0.01}.get(layer, 1.0)
        old, new = model[2 * layer - 2].weight, rescaled[2 * layer - 2].weight
        torch.testing.assert_close(new, factor * old, rtol=1e-13, atol=0)


def test_layers_know_their_parameters():
    model = seeded(residual(), 12)
    named = dict(model.named_parameters())
    layers = Rescaling(model, "units").layers
    assert [layer.name for layer in layers] == ["0", "2.body.0", "2.body.2", "4.body.0", "4.body.2", "6"]
    for layer in layers:
        assert torch.equal(flat(model)[layer.weights], named[f"{layer.name}.weight"].flatten())
        assert torch.equal(flat(model)[layer.biases], named[f"{layer.name}.bias"])
    assert Rescaling(perceptron([2, 3, 1], bias=False), "units").layers[0].biases == slice(6, 6)


def test_single_precision_stays():
    model = perceptron([3, 4, 2])
    group = Rescaling(model, "units")
    rescaled = group.apply(model, uniform(1, group.size))
    assert {parameter.dtype for parameter in rescaled.parameters()} == {torch.float32}
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    assert ((rescaled(inputs) - model(inputs)).abs() <= 1e-5 * majorant(model, inputs)).all()


def frozen():
    model = perceptron([3, 3, 3])
    model[0].bias.requires_grad_(False)
    return model


SHARED = nn.Linear(3, 3)
REFUSED = [
    (lambda: nn.Tanh(), "Tanh 1 is not known to be positively homogeneous"),
    (lambda: nn.GELU(), "GELU 1 is not known"),
    (lambda: nn.Softplus(), "Softplus 1 is not known"),
    (lambda: nn.PReLU(), "PReLU 1 is not known"),
    (lambda: nn.BatchNorm1d(3), "BatchNorm1d 1 is not positively homogeneous: it takes the scale"),
    (lambda: nn.LayerNorm(3), "LayerNorm 1 is not positively homogeneous: it takes the scale"),
    (lambda: nn.Bilinear(3, 3, 3), "Bilinear 1 is not known"),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), "ParametrizedLinear 1 is not known"),
    (lambda: Residual(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())), "Sigmoid 1.body.1 is not known"),
    (lambda: nn.Flatten(0), "Flatten 1 mixes samples"),
    (lambda: nn.Sequential(SHARED, nn.ReLU(), SHARED), "1.2.weight is 1.0.weight again"),
    (frozen, "1.0.bias is frozen"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused_networks(build, message):
    with pytest.raises(UserError, match=message):
        Rescaling(nn.Sequential(nn.Linear(3, 3), build(), nn.Linear(3, 3)), "units")


def test_refused_shapes_and_scales():
    with pytest.raises(UserError, match=r"Linear 1 reads images; put nn.Flatten\(\) before it"):
        Rescaling(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 2)), "layers")
    rows = nn.Sequential(nn.Linear(8, 3), nn.Flatten(), nn.Linear(24, 2))
    with pytest.raises(UserError, match="layer 2 takes 24 inputs; expected the 3 outputs of the one before"):
        Rescaling(rows, "units")
    with pytest.raises(UserError, match="has no parameters"):
        Rescaling(nn.Sequential(nn.ReLU()), "layers")
    group = Rescaling(perceptron([3, 4, 2]), "layers")
    with pytest.raises(ValueError, match="model has 17 parameters, and there are 26 factors"):
        group.apply(perceptron([2, 3, 2]), torch.zeros(1))
    with pytest.raises(UserError, match="off by"):
        layer_scales(group, [2.0, 3.0])
    with pytest.raises(UserError, match="expected 2 positive ones"):
        layer_scales(group, [2.0])
    with pytest.raises(UserError, match="expected two different ones from 1 to 2"):
        two_layer(group, 1, 3, 2.0)
    with pytest.raises(UserError, match="alpha: is -1"):
        two_layer(group, 1, 2, -1.0)


def test_a_block_cannot_be_rescaled_against_its_stream():
    group = Rescaling(seeded(residual(), 13), "layers")
    with pytest.raises(UserError, match=r"off by .* past residual blocks too"):
        two_layer(group, 1, 2, 10.0)
