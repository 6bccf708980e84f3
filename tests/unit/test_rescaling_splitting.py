"""The same function in another orbit: a unit written as two, by closed forms, and mixed layers of linear networks."""

import math

import pytest
import torch
from references import DTYPE, generator, normal
from rescalable import convolutional, inputs_of, perceptron, residual, seeded, squared
from torch import nn

from flatminima.curvature.operators import GaussNewton
from flatminima.errors import UserError
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.orbit import flattest
from flatminima.rescaling.splitting import MIXED, mixed_layers, split_unit

SHARES = [(2.0, -1.0), (0.5, 0.5)]


def images():
    """Two layers of filters and a linear one."""
    layers = nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, stride=2), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(18, 3))


def filters():
    """One layer of filters, whose pixels a linear layer reads."""
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(7), nn.Flatten(), nn.Linear(3, 2))


def least(model, inputs, kind):
    data = inputs, model(inputs).detach()
    return flattest(GaussNewton(model, squared, data), Rescaling(model, kind)).value


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("build", [lambda: perceptron([4, 5, 4, 3]), images, filters])
def test_the_function_stays_and_one_unit_is_more(build, shares):
    model = seeded(build(), 1)
    split, inputs = split_unit(model, shares), inputs_of(model, 2)
    torch.testing.assert_close(split(inputs), model(inputs), rtol=1e-12, atol=1e-12)
    assert [len(layer.weight) for layer in split if hasattr(layer, "weight")] == [
        len(layer.weight) + (place == 0) for place, layer in enumerate(m for m in model if hasattr(m, "weight"))
    ]


@pytest.mark.parametrize(("kind", "ratio"), [("layers", math.sqrt(10)), ("units", 3.0)])
def test_one_hidden_unit_by_hand(kind, ratio):
    """y = w_2 relu(w_1 x): curvature has rank one, so that its top eigenvalue is its trace, m (w_2^2 (s^2 + t^2) / a^2
    + 2 w_1^2 a^2) for shares s and t. Its least is proportional to sqrt(s^2 + t^2) over layers; with a scale for each
    unit, to |s| + |t|. For 2 - 1 and 1/2 + 1/2 the ratios are sqrt(5 / 0.5) and 3 / 1."""
    model = seeded(perceptron([1, 1, 1], bias=False), 3)
    inputs = normal(4, 20, 1).abs() * model[0].weight.detach().sign()
    first, second = (least(split_unit(model, shares), inputs, kind) for shares in SHARES)
    assert first / second == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("kind", ["layers", "units"])
def test_the_orbit_minimum_does_not_belong_to_the_function(kind):
    """4-3-2 with rectifiers: the same function and widths, and minima that differ far beyond their tolerance."""
    model = seeded(perceptron([4, 3, 2]), 5)
    inputs = inputs_of(model, 6, samples=40)
    first, second = (split_unit(model, shares) for shares in SHARES)
    torch.testing.assert_close(first(inputs), second(inputs), rtol=1e-12, atol=1e-12)
    assert least(first, inputs, kind) > 1.05 * least(second, inputs, kind)


def test_the_unit_of_largest_outgoing_weights_is_split():
    model = seeded(perceptron([2, 3, 1], bias=False), 1)
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[0.1, -7.0, 3.0]]))
    split = split_unit(model, (2.0, -1.0))
    assert split[2].weight.tolist() == [[pytest.approx(0.1), -14.0, 3.0, 7.0]]
    assert torch.equal(split[0].weight[3], model[0].weight[1])


def test_mixed_layers_have_the_same_product():
    """exp(A) and exp(-A) cancel, and A is not diagonal; a layer between two of them grows by exp(2 MIXED) at most."""
    model = seeded(perceptron([4, 5, 4, 3], nn.Identity, bias=False), 1)
    linear = nn.Sequential(*(layer for layer in model if isinstance(layer, nn.Linear)))
    mixed, inputs = mixed_layers(linear, generator(2)), torch.eye(4, dtype=DTYPE)
    torch.testing.assert_close(mixed(inputs), linear(inputs), rtol=1e-12, atol=1e-12)
    changed = torch.linalg.lstsq(linear[0].weight.detach().T, mixed[0].weight.detach().T).solution.T
    assert changed.tril(-1).abs().max() > 0.01
    for before, after in zip(linear, mixed, strict=True):
        norms = [float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) for layer in (before, after)]
        assert abs(math.log(norms[1] / norms[0])) <= 2 * MIXED


def test_refusals():
    one, blocks = nn.Sequential(nn.Linear(2, 1)), seeded(residual(), 1)
    for model in (blocks, seeded(convolutional(), 1), nn.Linear(2, 2)):
        with pytest.raises(UserError, match="or has blocks; expected Sequential of single layers"):
            split_unit(model, SHARES[0])
    with pytest.raises(UserError, match="model: has 1 layers with weights; expected two or more"):
        mixed_layers(one, generator(1))
    with pytest.raises(UserError, match=r"shares: \(1\.0, 1\.0\) add up to 2; expected 1"):
        split_unit(seeded(perceptron([2, 2, 1]), 1), (1.0, 1.0))
