"""Other libraries' sharpness of our networks, against dense Hessians; and networks as PyTorch modules."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from references import dense_hessian, forward, layers, normal, replica, sample_loss

from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.minima.crosscheck import crosscheck
from flatminima.networks.modules import as_module
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks

WIDTHS = [4, 5, 3]


def samples(noise_draw="fixed", loss="sum"):
    inputs, targets = normal(1, 40, 4).numpy().astype(np.float32), normal(2, 40, 3).numpy().astype(np.float32)
    return Samples(inputs, targets, inputs, targets, 0.5, noise_draw, loss)


def networks(rectified, bias=False, diverged=(False, False)):
    row = {"step_size": 0.1, "setting": 0.5, "step": 3, "final": True, "gradient_scale": 1.0}
    replicas = pd.DataFrame([row | {"seed": seed, "diverged": flag} for seed, flag in enumerate(diverged)])
    labels = dict.fromkeys(["study", "case", "control", "family", "task", "initialisation", "optimiser"], "x") | {
        "depth": 2
    }
    return Networks(Stack(*layers(3, 2, WIDTHS, bias), rectified), replicas, labels)


@pytest.mark.parametrize("loss", ["sum", "mean"])
@pytest.mark.parametrize(("rectified", "bias"), [(False, False), (False, True), (True, False), (True, True)])
def test_other_libraries_find_the_dense_hessians_top(rectified, bias, loss, monkeypatch):
    """In batches, the last one smaller; linear networks without biases through their second moments."""
    monkeypatch.setattr("flatminima.minima.crosscheck.BATCH", 15)
    pytest.importorskip("curvlinops")
    pytest.importorskip("pyhessian")
    task, trained = samples(loss=loss), networks(rectified, bias)
    rows = crosscheck(trained, task, second_moments(task)).set_index("statistic")
    weights, biases = (replica(tensors, 0) for tensors in (trained.stack.weights, trained.stack.biases))
    inputs, targets = torch.from_numpy(task.inputs).double(), torch.from_numpy(task.targets).double()
    scale = 1.0 if loss == "sum" else 1 / 3
    function, flat = sample_loss(weights, biases, inputs, targets, scale, rectified)
    top = torch.linalg.eigvalsh(dense_hessian(function, flat))[-1].item()
    assert rows.loc["sharpness_curvlinops", "value"] == pytest.approx(top, rel=1e-7)
    assert rows.loc["sharpness_curvlinops", "error_bound"] < 1e-6 * top
    assert rows.loc["sharpness_pyhessian", "value"] == pytest.approx(top, rel=1e-3)
    assert rows.loc["sharpness_checked", "value"] == pytest.approx(top, rel=1e-6)
    assert set(rows["seed"]) == {0}


def test_all_have_the_first_samples(monkeypatch):
    pytest.importorskip("curvlinops")
    pytest.importorskip("pyhessian")
    monkeypatch.setattr("flatminima.minima.crosscheck.SAMPLES", 25)
    task, trained = samples(), networks(rectified=True)
    rows = crosscheck(trained, task, second_moments(task)).set_index("statistic")["value"]
    inputs, targets = (torch.from_numpy(array[:25]).double() for array in (task.inputs, task.targets))
    function, flat = sample_loss(replica(trained.stack.weights, 0), [], inputs, targets, 1.0, True)
    top = torch.linalg.eigvalsh(dense_hessian(function, flat))[-1].item()
    assert rows.to_dict() == pytest.approx(dict.fromkeys(rows.index, top), rel=1e-3)
    assert rows["sharpness_checked"] == pytest.approx(top, rel=1e-6)


def test_fresh_noise_is_checked_by_its_moments():
    """The expected Hessian, not that of one draw: Sx = Sy + sigma^2 I."""
    pytest.importorskip("curvlinops")
    pytest.importorskip("pyhessian")
    clean = normal(4, 40, 4).numpy().astype(np.float32)
    noisy = clean + 0.5 * normal(5, 40, 4).numpy().astype(np.float32)
    task = Samples(noisy, clean, noisy, clean, 0.5, "fresh", "sum")
    trained = networks(rectified=False)
    square = Stack(layers(3, 2, [4, 5, 4])[0])
    rows = crosscheck(Networks(square, trained.replicas, trained.labels), task, second_moments(task))
    second = clean.T.astype(float) @ clean / 40
    root = np.linalg.cholesky(second + 0.25 * np.eye(4))
    inputs, targets = torch.from_numpy(2 * root.T), torch.from_numpy(2 * np.linalg.solve(root, second))
    function, flat = sample_loss(replica(square.weights, 0), [], inputs, targets)
    top = torch.linalg.eigvalsh(dense_hessian(function, flat))[-1].item()
    assert rows.set_index("statistic").loc["sharpness_curvlinops", "value"] == pytest.approx(top, rel=1e-7)


def test_the_first_network_that_did_not_diverge_is_checked():
    pytest.importorskip("curvlinops")
    pytest.importorskip("pyhessian")
    task = samples()
    assert set(crosscheck(networks(True, diverged=(True, False)), task, second_moments(task))["seed"]) == {1}
    nothing = crosscheck(networks(True, diverged=(True, True)), task, second_moments(task))
    assert len(nothing) == 0
    assert {"seed", "statistic", "value"} <= set(nothing.columns)


def test_a_missing_library_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    task = samples()
    with pytest.raises(UserError, match=r"curvlinops: not installed; .*\[peers\]"):
        crosscheck(networks(True), task, second_moments(task))


@pytest.mark.parametrize(("rectified", "bias"), [(False, False), (True, True)])
def test_modules_compute_the_same_function(rectified, bias):
    stack, inputs = networks(rectified, bias).stack, normal(6, 7, 4)
    for k in range(2):
        expected = forward(replica(stack.weights, k), replica(stack.biases, k), inputs, rectified)
        torch.testing.assert_close(as_module(stack, k)(inputs), expected, rtol=1e-12, atol=1e-12)
