"""Rescaling of a small network that reads some MNIST digits, against dense matrices and a search along a line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from curvature.modules import dense_gauss_newton, dense_hessian
from rescalable import squared
from rescaling_study import LABELS, demonstrations, orbit_settings
from scipy.optimize import minimize_scalar
from scipy.sparse.linalg import eigsh
from torch import nn

from flatminima.data.sources import load_images
from flatminima.rescaling import subjects
from flatminima.rescaling.subjects import Subject
from flatminima.rescaling.trained_orbits import measure_orbits
from flatminima.settings.training import Dataset
from flatminima.stages.rescale import show_theorems

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HIDDEN = 4
SAMPLES = 150

pytestmark = pytest.mark.skipif(not (SHARED / "MNIST").is_dir(), reason="needs MNIST in shared/data")


@pytest.fixture(scope="module")
def digits():
    images = load_images(Dataset.model_validate({"name": "mnist"}), SHARED)

    def batch(pixels, labels):
        flat = torch.from_numpy(pixels.reshape(len(pixels), -1)).double() / 255
        return flat - 0.13, torch.eye(10, dtype=torch.float64)[torch.from_numpy(labels)]

    data = batch(images.train_images[:SAMPLES], images.train_labels[:SAMPLES])
    return data, batch(images.test_images, images.test_labels)


@pytest.fixture
def subject(digits, monkeypatch):
    """784-4-10 after some steps of Adam; its samples count as many, so that solvers start on every tenth."""
    data, test = digits
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)).double()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(100):
        optimiser.zero_grad()
        squared(model(data[0]), data[1]).backward()
        optimiser.step()
    monkeypatch.setattr(subjects, "MANY", SAMPLES)
    return Subject(model, data, test, True, LABELS | {"depth": 2})


def value(table, case, statistic, control=""):
    chosen = (table["case"] == case) & (table["control"] == control) & (table["statistic"] == statistic)
    (found,) = table[chosen]["value"]
    return found


def top(matrix):
    return float(eigsh(matrix.numpy(), 1, which="LA", tol=1e-12)[0][0])


def misread(subject):
    """Fraction of the test images, by numpy alone."""
    (first, second), (inputs, targets) = (subject.model[0], subject.model[2]), (part.numpy() for part in subject.test)
    weights = [part.detach().numpy() for part in (first.weight, first.bias, second.weight, second.bias)]
    outputs = np.maximum(inputs @ weights[0].T + weights[1], 0) @ weights[2].T + weights[3]
    return np.mean(outputs.argmax(1) != targets.argmax(1))


def test_the_flattest_rescaling_by_a_search_along_a_line(subject):
    table = measure_orbits("test", [subject], orbit_settings(kinds=["layers"]))
    matrix = dense_gauss_newton(subject.model, squared, *subject.data)
    sizes = [784 * HIDDEN + HIDDEN, 10 * HIDDEN, 10]

    def sharpness(log_scale):
        signs = torch.tensor([-1.0, 1.0, 0.0]).repeat_interleave(torch.tensor(sizes)).double()
        multipliers = torch.exp(signs * log_scale)
        return top(multipliers.unsqueeze(1) * matrix * multipliers)

    least = minimize_scalar(sharpness, bounds=(-3, 3), method="bounded", options={"xatol": 1e-6})
    assert value(table, "orbit_layers", "gauss_newton_sharpness") == pytest.approx(sharpness(0.0), rel=1e-8)
    assert value(table, "orbit_layers", "orbit_minimum") == pytest.approx(least.fun, rel=1e-6)
    assert least.fun < 0.99 * sharpness(0.0)
    assert value(table, "orbit_layers", "trace") == pytest.approx(float(matrix.trace()), rel=1e-10)
    assert value(table, "orbit_layers", "orbit_change") <= 1e-6
    assert value(table, "orbit_layers", "test_error") == misread(subject)


def test_any_sharpness_at_the_same_test_error(subject):
    table, _ = show_theorems("test", [subject], demonstrations(shown=["two_layers"], alphas=[1e-3]), orbit_settings())
    matrix = dense_hessian(subject.model, squared, *subject.data)
    multipliers = torch.ones(len(matrix), dtype=torch.float64)
    multipliers[: 784 * HIDDEN + HIDDEN], multipliers[-10 - 10 * HIDDEN : -10] = 1e3, 1e-3
    rescaled = top(multipliers.unsqueeze(1) * matrix * multipliers)
    assert value(table, "two_layers", "sharpness") == pytest.approx(rescaled, rel=1e-6)
    assert rescaled > 1e5 * top(matrix)
    assert value(table, "two_layers", "test_error") == misread(subject)
    assert value(table, "two_layers", "function_change") <= 1e-12
    assert value(table, "two_layers", "function_change", "tanh") > 0.1
