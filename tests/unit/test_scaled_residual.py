"""The sweep of residual networks with a fixed last projection, against the networks themselves on samples."""

import numpy as np
import pytest
import torch
from theory_study import sourced

from flatminima.seeding import sequence
from flatminima.settings.theory import ScaledResidual
from flatminima.theory.scaled_residual import ARRIVED, sweep

SETTINGS = {"samples": 12, "inputs": 3, "noise": 1.0, "depth": 4, "scales": 3, "largest_scale": 1.0}
SETTINGS |= {"step_sizes": [0.01, 0.05, 5.0], "repeats": 3, "tolerance": 1e-9}


def swept(**changes):
    return sweep("theory", ScaledResidual.model_validate(sourced(**SETTINGS | {"steps": 3000} | changes)))


def wide(table):
    key = ["seed", "start_scale", "step_size"]
    columns = table.pivot(index=["seed", "start", "step_size", "step"], columns="statistic", values="value")
    return columns.reset_index().set_index(key).sort_index()


@pytest.fixture(scope="module")
def runs():
    return wide(swept())


def problem_and_start(repeat):
    """The data and the network of a repeat, drawn as documented: square layers and a projection."""
    count, samples, size, depth = SETTINGS["repeats"], SETTINGS["samples"], SETTINGS["inputs"], SETTINGS["depth"]
    random = np.random.default_rng(sequence("theory", "scaled_residual", "problems"))
    inputs = random.standard_normal((count, samples, size))
    noise = random.standard_normal((count, samples, 1))
    labels = (inputs @ random.standard_normal((count, size, 1)) + noise)[repeat, :, 0]
    solution = np.linalg.lstsq(inputs[repeat], labels, rcond=None)[0]
    norm = np.linalg.norm(solution)
    random = np.random.default_rng(sequence("theory", "scaled_residual", "starts"))
    noise = random.standard_normal((count, SETTINGS["scales"], depth, size, size))[repeat]
    projection = random.standard_normal((count, 1, 1, size))[repeat, 0, 0]
    return inputs[repeat], labels / norm, solution / norm, noise, projection / np.linalg.norm(projection)


@pytest.mark.parametrize("repeat", [0, 2])
@pytest.mark.parametrize("place", [0, 2])
def test_square_layers_with_a_projection_end_there(repeat, place):
    """60 steps of the network that is documented, by autograd on samples: the same loss, gradient and sharpness."""
    inputs, labels, solution, noise, projection = (torch.from_numpy(a) for a in problem_and_start(repeat))
    size, depth, rate = SETTINGS["inputs"], SETTINGS["depth"], 0.01
    scale = np.linspace(0, SETTINGS["largest_scale"], SETTINGS["scales"])[place]
    layers = torch.eye(size, dtype=torch.float64) + scale / np.sqrt(depth * size) * noise[place]

    def loss(weights):
        hidden = inputs.T
        for layer in weights:
            hidden = layer @ hidden
        return ((projection @ hidden - labels) ** 2).mean()

    slope = torch.func.grad(loss)
    first = slope(layers).norm()
    for _ in range(60):
        layers = layers - rate * slope(layers)
    hessian = torch.func.hessian(loss)(layers).reshape(layers.numel(), -1)
    found = wide(swept(steps=60)).loc[(repeat, scale, rate)]
    moment = inputs.T @ inputs / len(inputs)
    energy = solution @ moment @ solution
    least = (labels**2).mean() - energy
    assert found["loss"] == pytest.approx(loss(layers).item(), rel=1e-9)
    assert found["excess_loss"] == pytest.approx(((loss(layers) - least) / energy).item(), rel=1e-6)
    assert found["gradient_norm"] == pytest.approx((slope(layers).norm() / first).item(), rel=1e-8)
    assert found["sharpness"] == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-7)
    assert found["published_bound"] == pytest.approx(2 * depth * energy.item(), rel=1e-10)


def test_no_minimum_is_flatter_than_either_bound(runs):
    arrived = runs[runs["arrived"] == 1]
    assert len(arrived) >= 15
    assert (arrived["sharpness_ratio"] >= 1 - 1e-9).all()
    assert (arrived["minimal_sharpness"] >= arrived["published_bound"] * (1 - 1e-12)).all()
    assert (arrived["minimal_sharpness"] > arrived["published_bound"] * 1.001).any()


def test_a_step_that_no_minimum_allows(runs):
    """Step 5 is beyond 2 / (least sharpness) of every problem: no run arrives, those that diverge say so."""
    away = runs.xs(5.0, level="step_size")
    assert (away["stability_limit"] < away["minimal_sharpness"]).all()
    assert not (away["arrived"] == 1).any()
    assert (away["diverged"] == 1).any()
    assert away.loc[away["diverged"] == 1, ["loss", "sharpness", "arrived"]].isna().all(axis=None)
    assert away["balance_price"].notna().all()


def test_arrival_is_judged_by_the_excess_over_the_least_loss(runs):
    judged = runs[runs["diverged"] == 0]
    assert ((judged["arrived"] == 1) == (judged["excess_loss"] <= ARRIVED)).all()
    short = wide(swept(steps=20))
    assert not (short["arrived"] == 1).any()


def test_wide_layers_need_a_second_input():
    with pytest.raises(ValueError, match="inputs"):
        swept(inputs=1)


def test_a_fixed_projection_keeps_zero_residuals_from_a_flattest_minimum():
    """White inputs, p orthogonal to w*: the conserved quantity of docs/balance.md, and a sharpness above 2 L (I2)."""
    size, depth, rate = 2, 3, 1e-2
    projection, solution = torch.eye(size, dtype=torch.float64)
    layers = torch.eye(size, dtype=torch.float64).repeat(depth, 1, 1)

    def loss(weights):
        row = projection
        for layer in reversed(weights):
            row = row @ layer
        return (row - solution).square().sum()

    for _ in range(3000):
        layers = layers - rate * torch.func.grad(loss)(layers)
    row = projection @ layers[-1]
    conserved = torch.outer(row, row) - layers[-2] @ layers[-2].T
    hessian = torch.func.hessian(loss)(layers).reshape(layers.numel(), -1)
    assert loss(layers) < 1e-20
    assert conserved.numpy() == pytest.approx((torch.outer(projection, projection) - torch.eye(size)).numpy(), abs=0.02)
    assert torch.linalg.eigvalsh(hessian)[-1] > 1.15 * 2 * depth
