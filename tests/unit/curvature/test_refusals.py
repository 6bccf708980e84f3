"""Each mistake gets one line that says what was expected, and the cure."""

import pytest
import torch
from modules import Dense, data, mlp, with_spectrum
from references import DTYPE, normal
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from flatminima.curvature.jacobians import layer_maps
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.curvature.spectrum import spectral_density, trace
from flatminima.errors import UserError

LOSS = nn.CrossEntropyLoss()


def frozen():
    return mlp().requires_grad_(False)


def broken():
    model = mlp()
    model[0].weight.data[0, 0] = torch.nan
    return model


INPUTS, TARGETS = data(mlp())
MANY = data(mlp(), samples=301)


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((frozen(), LOSS, (INPUTS, TARGETS)), "model: no parameter requires gradients; call requires_grad_"),
        ((mlp(), LOSS, []), "data: no samples; expected at least one batch"),
        ((mlp(), LOSS, (INPUTS[:0], TARGETS[:0])), "data: no samples; expected at least one batch"),
        ((mlp(), LOSS, DataLoader(TensorDataset(INPUTS[:0], TARGETS[:0]))), "data: no samples"),
        ((mlp(), LOSS, zip([INPUTS], [TARGETS], strict=True)), "data: a generator gives its batches only once; pass"),
        ((mlp(), LOSS, [INPUTS]), r"data: a batch is a Tensor; expected a pair \(inputs, targets\)"),
        ((mlp(), LOSS, (INPUTS, TARGETS[:-1])), "data: a batch has 23 inputs and 22 targets; expected as many"),
        (
            (mlp(), nn.CrossEntropyLoss(reduction="sum"), (INPUTS, TARGETS)),
            "loss: .* expected a mean over samples: red",
        ),
        (
            (mlp(), nn.CrossEntropyLoss(reduction="none"), (INPUTS, TARGETS)),
            r"loss: has shape \(\d+,\); expected one num",
        ),
        (
            (
                mlp(),
                lambda o, t: functional.cross_entropy(o, t, weight=torch.tensor([1, 5, 9]).to(o)),
                (INPUTS, TARGETS),
            ),
            "loss: .* expected a mean over samples: reduction='mean', weights of classes only in torch.nn.Cross",
        ),
        ((mlp(), nn.CrossEntropyLoss(reduction="sum"), (INPUTS[:1], TARGETS[:1])), "loss: .* expected a mean over sam"),
        (
            (broken(), LOSS, (INPUTS, TARGETS)),
            "loss: is nan; expected a finite number: check the parameters and the data",
        ),
        ((mlp(), LOSS, (INPUTS / 0, TARGETS)), "loss: is nan; expected a finite number"),
        (
            (mlp(), LOSS, (INPUTS, TARGETS), ["head"]),
            "parameters: no parameter or layer 'head'; expected some of 0.weight, ",
        ),
        ((mlp(), LOSS, (INPUTS, TARGETS), None, 1e-4), "memory: 0.0001 MiB is too little; expected at least 1 MiB"),
    ],
)
def test_what_has_no_curvature(kind, arguments, message):
    with pytest.raises(UserError, match=f"^{message}") as caught:
        kind(*arguments)
    assert "\n" not in str(caught.value)


def test_products_that_are_not_finite():
    model = nn.Linear(5, 1, bias=False).to(DTYPE)
    inputs = INPUTS.clone()
    inputs[20] = 0
    hessian = Hessian(model, lambda outputs, targets: outputs.abs().sqrt().mean(), (inputs, TARGETS))
    with pytest.raises(UserError, match=r"^model: a product with its curvature is not finite; check"):
        hessian.matvec(normal(1, 5))


class Growing:
    """A loader that gives more samples every time."""

    def __init__(self):
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        yield from [MANY] * self.passes


class Augmenting:
    """A loader that mirrors some of its samples every other time."""

    def __init__(self):
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        inputs, targets = MANY
        mirrored = torch.cat([inputs[:12], inputs[12:].flip(1)]) if self.passes % 2 else inputs
        yield mirrored, targets


class Negating(Augmenting):
    """A loader whose samples change their signs."""

    def __iter__(self):
        self.passes += 1
        yield (-1) ** self.passes * MANY[0], MANY[1]


class Relabelling(Augmenting):
    """A loader that gives each sample another's target."""

    def __iter__(self):
        self.passes += 1
        yield MANY[0], MANY[1].roll(self.passes)


@pytest.mark.parametrize("loader", [Growing, Augmenting, Negating, Relabelling])
def test_loaders_whose_samples_change(loader):
    hessian = Hessian(mlp(), LOSS, loader(), memory=0.006)
    with pytest.raises(UserError, match=r"^data: the loader gave \d+ samples that are not the 301 of its first pass"):
        for _ in range(2):
            hessian.matvec(normal(1, hessian.shape[0]))


def test_estimates_without_a_spread():
    operator = Dense(with_spectrum([1.0, 2.0, 3.0])[0])
    with pytest.raises(UserError, match=r"^probes: is 1; input should be greater than or equal to 2"):
        spectral_density(operator, 0.1, probes=1)
    with pytest.raises(UserError, match=r"^products: is 5; input should be greater than or equal to 6"):
        trace(operator, products=5)


def test_layers_that_are_not_there():
    with pytest.raises(UserError, match=r"^layers: no layer 'head'; expected some of 0, 1, 2, 3, 4$"):
        layer_maps(mlp(), INPUTS, ["0", "head"])
