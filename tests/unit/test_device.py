"""Training and measuring on another device: nothing stays behind, and nothing is drawn anew."""

import numpy as np
import pandas as pd
import pytest
import torch
from elsewhere import DEVICE, Elsewhere
from measured import SETTINGS, fitted, networks_of, samples_of
from test_job import CRITICAL, experiment, samples

from flatminima.data.moments import second_moments
from flatminima.errors import UserError
from flatminima.minima import measure as module
from flatminima.minima.measure import measure
from flatminima.networks.device import resolve
from flatminima.training import optimisers
from flatminima.training.experiments import Task, train
from flatminima.training.job import Job

SGD = {"family": "relu", "optimiser": "sgd", "batch_size": 8, "width": 6}
TRAINED = {
    "gradient descent": {"step_sizes": [0.1, 0.5, 40.0], "snapshots": 3, "tolerance": 1e-1, "steps": 60},
    "gradient flow": {"optimiser": "gradient_flow", "step_unit": None, "step_sizes": None},
    "sgd": SGD | {"bias": True, "step_sizes": [0.1, 0.5, 90.0], "snapshots": 3},
    "adam": SGD | {"optimiser": "adam", "step_unit": "absolute", "step_sizes": [0.01, 0.1]},
}
SAME, TRAINED_APART = 1e-6, 1e-3
"""Relative tolerances on a GPU, for one and the same network, and after training: see docs/device.md."""
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def trained(name, device, noise_draw="fresh"):
    data = samples(noise_draw)
    job = Job("study", "run", experiment(**TRAINED[name]), 3)
    return train(job, Task(data, second_moments(data), CRITICAL), device)


def measured(networks, data, device):
    return measure(networks, data, second_moments(data), SETTINGS, device)


@pytest.mark.parametrize("noise_draw", ["fresh", "fixed"])
@pytest.mark.parametrize("name", TRAINED)
def test_networks_trained_elsewhere_are_the_same_and_come_back(name, noise_draw, monkeypatch):
    """Adam in separate operations: the fused one asks for devices that it knows."""
    separate = lambda parameters, **settings: torch.optim.Adam(parameters, **settings | {"fused": False})  # noqa: E731
    monkeypatch.setattr(optimisers, "Adam", separate)
    expected, history = trained(name, torch.device("cpu"), noise_draw)
    with Elsewhere():
        found, other = trained(name, DEVICE, noise_draw)
    assert all(type(parameter) is torch.Tensor for parameter in found.stack.parameters)
    for one, two in zip(expected.stack.parameters, found.stack.parameters, strict=True):
        assert torch.equal(one.nan_to_num(), two.nan_to_num())
    pd.testing.assert_frame_equal(found.replicas, expected.replicas)
    pd.testing.assert_frame_equal(other, history)
    assert expected.replicas["diverged"].any() == (name in ("gradient descent", "sgd"))


@pytest.mark.parametrize("memory", [module.MEMORY, 30_000], ids=["kept graph", "chunks"])
@pytest.mark.parametrize("kind", [{}, {"rectified": True}, {"rectified": True, "bias": True}, {"bias": True}], ids=str)
@pytest.mark.parametrize("widths", [[4, 3], [4, 12, 12, 3]], ids=["whole space", "subspace"])
def test_networks_measured_elsewhere_have_the_same_statistics(monkeypatch, widths, kind, memory):
    monkeypatch.setattr(module, "MEMORY", memory)
    data = samples_of()
    networks = networks_of(fitted(data, widths, **kind), diverged=[False, True, False])
    expected = measured(networks, data, torch.device("cpu"))
    with Elsewhere():
        found = measured(networks, data, DEVICE)
    for one, two in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, two)


def test_what_stays_behind_is_refused_elsewhere():
    """The test's own control: without this, the two tests above would prove nothing."""
    with Elsewhere():
        away = torch.ones(3).to(DEVICE)
        assert away.device == DEVICE
        for mixed in (lambda: away + torch.ones(3), lambda: torch.where(away > 0, away, torch.ones(3)), away.numpy):
            with pytest.raises(RuntimeError):
                mixed()
        assert (2 * away + torch.tensor(1.0)).cpu().tolist() == [3.0] * 3
        assert away[torch.tensor([0, 2])].cpu().tolist() == [1.0] * 2


@needs_gpu
@pytest.mark.parametrize("kind", [{}, {"rectified": True, "bias": True}], ids=str)
def test_a_gpu_measures_what_the_processor_does(kind):
    data = samples_of()
    networks = networks_of(fitted(data, [4, 12, 12, 3], **kind))
    one, two = (measured(networks, data, torch.device(name))[0]["value"] for name in ("cpu", "cuda"))
    np.testing.assert_allclose(two, one, rtol=SAME, atol=SAME, equal_nan=True)


@needs_gpu
@pytest.mark.parametrize("name", ["gradient descent", "sgd", "adam"])
def test_a_gpu_trains_what_the_processor_does(name):
    one, two = (trained(name, torch.device(device))[1]["loss"] for device in ("cpu", "cuda"))
    np.testing.assert_allclose(two, one, rtol=TRAINED_APART, equal_nan=True)


@pytest.fixture
def tf32():
    """The two switches of torch that let float32 be rounded to ten bits, switched on."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = True
    yield backends
    for backend, value in zip(backends, before, strict=True):
        backend.allow_tf32 = value


@pytest.mark.parametrize(
    ("name", "available", "expected", "line"),
    [
        ("auto", True, "cuda", "device: Accelerator X\n"),
        ("auto", False, "cpu", "device: cpu\n"),
        ("cpu", True, "cpu", "device: cpu\n"),
        ("cuda", True, "cuda", "device: Accelerator X\n"),
    ],
)
def test_names_become_devices_and_go_to_the_log(monkeypatch, capsys, tf32, name, available, expected, line):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Accelerator X")
    assert resolve(name).type == expected
    assert {backend.allow_tf32 for backend in tf32} == {expected == "cpu"}
    assert capsys.readouterr().err == line


def test_a_device_that_is_not_there_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^device is 'cuda', but torch finds no CUDA device here; set device to auto"):
        resolve("cuda")
