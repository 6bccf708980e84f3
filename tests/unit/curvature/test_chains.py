"""Chains of layers: products from stored activations, against dense float64 matrices and against autograd."""

import pytest
import torch
from modules import columns, dense_gauss_newton, dense_hessian, seeded
from references import DTYPE, generator, normal
from torch import nn
from torch.nn.utils import parametrizations

from flatminima.curvature import chains
from flatminima.curvature.chains import Chain
from flatminima.curvature.network import Network, graph_bytes
from flatminima.curvature.operators import GaussNewton, Hessian

SAMPLES = 9
EXACT = {"rtol": 1e-9, "atol": 1e-11}
POINTWISE = [kind for kind, link in chains.LINKS.items() if issubclass(link, chains.Pointwise)]

CHAINS = {
    "deep": ((4,), lambda: [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.GELU(), nn.Linear(4, 3)]),
    "nested": ((4,), lambda: [nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True)), nn.Identity(), nn.Linear(5, 3)]),
    "activated at both ends": ((4,), lambda: [nn.Tanh(), nn.Linear(4, 3), nn.Sigmoid(), nn.SiLU()]),
    "flattened": ((2, 3), lambda: [nn.Flatten(), nn.Linear(6, 4), nn.Softplus(), nn.Linear(4, 3)]),
    "tokens": ((2, 4), lambda: [nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2), nn.Flatten(), nn.Linear(4, 3)]),
    "strides, dilation, groups": (
        (2, 7, 6),
        lambda: [
            *(nn.Conv2d(2, 4, 3, stride=2, padding=(1, 2), bias=False), nn.Tanh()),
            *(nn.Conv2d(4, 4, 2, dilation=2, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        ],
    ),
    "overlapping maxima": (
        (1, 6, 6),
        lambda: [
            *(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(2, 2, 2), nn.ELU()),
            *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3)),
        ],
    ),
    "one axis": ((2, 8), lambda: [nn.Conv1d(2, 3, 3), nn.MaxPool1d(2), nn.Mish(), nn.Flatten(), nn.Linear(9, 3)]),
    "three axes": (
        (1, 4, 3, 4),
        lambda: [nn.Conv3d(1, 2, 2), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(2, 3)],
    ),
    "fully convolutional": ((1, 3, 3), lambda: [nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Conv2d(2, 3, 2), nn.Flatten()]),
} | {kind.__name__: ((4,), lambda kind=kind: [nn.Linear(4, 5), kind(), nn.Linear(5, 3), kind()]) for kind in POINTWISE}
LOSSES = [nn.CrossEntropyLoss(), nn.MSELoss(), nn.HuberLoss(delta=0.3)]


def example(name, loss):
    shape, layers = CHAINS[name]
    model = seeded(lambda: nn.Sequential(*layers()))
    labels = torch.randint(3, (SAMPLES,), generator=generator(8))
    targets = labels if isinstance(loss, nn.CrossEntropyLoss) else normal(3, SAMPLES, 3)
    return model, (normal(7, SAMPLES, *shape), targets)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", CHAINS)
def test_products_against_dense_matrices(name, loss):
    model, data = example(name, loss)
    assert Chain.of(Network(model)) is not None
    torch.testing.assert_close(columns(Hessian(model, loss, data)), dense_hessian(model, loss, *data), **EXACT)
    if not isinstance(loss, nn.HuberLoss):
        expected = dense_gauss_newton(model, loss, *data)
        torch.testing.assert_close(columns(GaussNewton(model, loss, data)), expected, **EXACT)


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_less_exact_numbers_against_autograd(kind, dtype, monkeypatch):
    model, (inputs, targets) = example("overlapping maxima", nn.MSELoss())
    data = inputs.to(dtype), targets.to(dtype)
    vector = normal(1, sum(p.numel() for p in model.parameters()))
    found = kind(model.to(dtype), nn.MSELoss(), data).matvec(vector)
    monkeypatch.setattr(chains, "LINKS", {})
    expected = kind(model, nn.MSELoss(), data).matvec(vector)
    assert (found - expected).norm() < 16 * torch.finfo(dtype).eps * expected.norm()


class Doubled(nn.Linear):
    def forward(self, inputs):
        return 2 * super().forward(inputs)


def with_own_forward(model):
    model[0].forward = lambda inputs: inputs @ model[0].weight.mT


def tied_weights(model):
    model[4].weight = model[2].weight


def frozen(model):
    model[0].weight.requires_grad_(False)


CHANGES = {
    "subclass": lambda model: model.insert(0, Doubled(4, 4)),
    "own forward": with_own_forward,
    "tied weights": tied_weights,
    "layer twice": lambda model: model.append(model[4]),
    "frozen": frozen,
    "hook": lambda model: model[1].register_forward_hook(lambda *_: None),
    "hook of the whole": lambda model: model.register_forward_pre_hook(lambda *_: None),
    "hook of gradients": lambda model: model[1].register_full_backward_hook(lambda *_: None),
    "parametrization": lambda model: parametrizations.orthogonal(model[2]),
    "unknown layer": lambda model: model.append(nn.LayerNorm(4)),
    "reflections": lambda model: model.insert(0, nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")),
    "padding by name": lambda model: model.insert(0, nn.Conv2d(1, 1, 3, padding="same")),
    "indices": lambda model: model.insert(1, nn.MaxPool1d(2, return_indices=True)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_networks_are_left_to_autograd(change):
    def square():
        return seeded(lambda: nn.Sequential(*(nn.Linear(4, 4) if index % 2 == 0 else nn.Tanh() for index in range(5))))

    assert Chain.of(Network(square())) is not None
    model = square()
    CHANGES[change](model)
    assert Chain.of(Network(model.double())) is None


def test_restricted_parameters_and_hooks_of_all_modules_are_left_to_autograd():
    model, _ = example("deep", nn.MSELoss())
    assert Chain.of(Network(model, ["0"])) is None
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert Chain.of(Network(model)) is None
    finally:
        handle.remove()


def test_a_subclass_of_sequential_is_left_to_autograd():
    class Backwards(nn.Sequential):
        def forward(self, inputs):
            return super().forward(inputs.flip(1))

    assert Chain.of(Network(Backwards(nn.Linear(4, 4), nn.Tanh()))) is None


@pytest.mark.parametrize(("second", "numbers"), [(True, 4 + 3 * 5 + 3 * 3), (False, 4 + 2 * 5 + 3)])
def test_what_is_kept_of_a_sample(second, numbers):
    """Of Linear(4, 5), Tanh, Linear(5, 3): both layers' inputs, slopes; for the Hessian also 2 gradients and bends.

    Of the squared error autograd keeps the constant second derivative as it needs, here the 3 outputs.
    """
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(DTYPE)
    chain = Chain.of(Network(model))

    def size(samples):
        inputs = normal(1, samples, 4)
        return graph_bytes(lambda: chain.linearise(inputs, lambda y: y.pow(2).sum(), second=second), [])

    assert (size(7) - size(5)) / 2 <= 8 * (numbers + 6)
    assert (size(7) - size(5)) / 2 >= 8 * numbers - 8 * 6
