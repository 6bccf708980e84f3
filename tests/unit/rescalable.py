"""Random networks that can be rescaled, and what bounds their rounding errors."""

from copy import deepcopy
from itertools import pairwise

import torch
from curvature.modules import dense_gauss_newton, flat_loss
from hypothesis import strategies as st
from references import DTYPE, normal
from torch import nn

from flatminima.curvature.operators import GaussNewton
from flatminima.networks.modules import Residual

ACTIVATIONS = st.sampled_from([nn.ReLU, nn.LeakyReLU, nn.Identity])
WIDTHS = st.integers(1, 6)


def squared(outputs, targets):
    return (outputs - targets).square().sum(1).mean()


def seeded(model, seed):
    """The model in float64 with normal parameters: Kaiming's for weights, 0.3 for biases."""
    model = model.to(DTYPE)
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            deviation = (2 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.3
            parameter.copy_(deviation * normal(1000 * seed + k, *parameter.shape))
    return model


def perceptron(widths, activation=nn.ReLU, bias=True):
    layers = [nn.Linear(widths[0], widths[1], bias=bias)]
    for columns, rows in pairwise(widths[1:]):
        layers += [activation(), nn.Linear(columns, rows, bias=bias)]
    return nn.Sequential(*layers)


def dense_block(width, inner, activation=nn.ReLU, bias=True):
    return Residual(perceptron([width, inner, width], activation, bias))


def residual(activation=nn.ReLU, bias=True):
    """A stream of 3 units, entered and left through weights, and two blocks with an activation in between."""
    blocks = dense_block(3, 4, activation, bias), activation(), dense_block(3, 2, activation, bias)
    return nn.Sequential(nn.Linear(5, 3, bias=bias), activation(), *blocks, activation(), nn.Linear(3, 2, bias=bias))


def convolutional(activation=nn.ReLU, bias=True):
    """7 x 7 images; a residual block, both poolings, channels in groups, and two linear layers."""
    body = nn.Conv2d(4, 3, 3, padding=1, bias=bias), activation(), nn.Conv2d(3, 4, 1, bias=bias)
    head = nn.Flatten(), nn.Linear(6 * 4, 3, bias=bias), activation(), nn.Linear(3, 2, bias=bias)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=bias),
        activation(),
        Residual(nn.Sequential(*body)),
        activation(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 2, groups=2, bias=bias),
        activation(),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.AvgPool2d(2, stride=1),
        *head,
    )


@st.composite
def networks(draw):
    """Networks of 1 to 5 layers or more, and inputs for them."""
    activation, bias, seed = draw(ACTIVATIONS), draw(st.booleans()), draw(st.integers(0, 10**6))
    kind = draw(st.sampled_from(["perceptron", "blocks", "residual", "convolutional"]))
    if kind == "perceptron":
        model = perceptron(draw(st.lists(WIDTHS, min_size=2, max_size=6)), activation, bias)
    elif kind == "blocks":
        width = draw(WIDTHS)
        model = nn.Sequential(
            *[dense_block(width, draw(WIDTHS), activation, bias) for _ in range(draw(WIDTHS) % 3 + 1)]
        )
    else:
        model = {"residual": residual, "convolutional": convolutional}[kind](activation, bias)
    model = seeded(model, seed)
    return model, inputs_of(model, seed)


def inputs_of(model, seed, samples=11):
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d))
    return normal(seed + 1, samples, *((1, 7, 7) if isinstance(first, nn.Conv2d) else (first.in_features,)))


def majorant(model, inputs):
    """Outputs of the network with absolute parameters and inputs, to which rounding errors are proportional."""
    positive = deepcopy(model)
    with torch.no_grad():
        for parameter in positive.parameters():
            parameter.abs_()
        return positive(inputs.abs())


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def gradient(model, inputs, targets):
    _, value, point = flat_loss(model, squared, inputs, targets)
    return torch.autograd.functional.jacobian(value, point)


def output_jacobian(model, inputs):
    """Derivatives of all outputs in all parameters, shape (samples * outputs, P)."""
    outputs, _, point = flat_loss(model, squared, inputs, None)
    return torch.autograd.functional.jacobian(outputs, point, vectorize=True).reshape(-1, len(point))


def case(build, seed=1, samples=12):
    """A network, and its Gauss-Newton matrix twice."""
    model = seeded(build(), seed)
    inputs = inputs_of(model, seed + 1, samples=samples)
    outputs = model(inputs).detach()
    data = inputs, outputs + normal(seed, *outputs.shape)
    return model, GaussNewton(model, squared, data), dense_gauss_newton(model, squared, *data)
