"""Trained networks with their data: functions, losses and labels against the definitions, and their controls."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from curvature.modules import dense_gauss_newton, dense_hessian
from references import DTYPE, forward, layers, normal, replica
from rescalable import squared
from torch import nn

from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.networks import convolutional, storage
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.rescaling import subjects
from flatminima.rescaling.loading import fully_connected, linear, load
from flatminima.rescaling.rows import Curve, Measured, curves, rows

LABELS = {"study": "digits", "experiment": "relu", "family": "relu", "task": "labels", "initialisation": "pytorch"}
LABELS |= {"optimiser": "sgd", "depth": 3}


def networks(rectified=True, widths=(4, 5, 4, 3)):
    """Three networks, of which the second is not final."""
    stack = Stack(*layers(1, 3, widths, bias=rectified), rectified)
    replicas = pd.DataFrame({"seed": [0, 0, 1], "step_size": 0.1, "final": [True, False, True]})
    return Networks(stack, replicas, dict(LABELS))


def samples(noise_draw="none", loss="sum", count=30):
    inputs, targets = normal(3, count, 4).float().numpy(), np.eye(3, dtype=np.float32)[np.arange(count) % 3]
    return Samples(inputs, targets, inputs[:9] + 1, targets[:9], 0.0, noise_draw, loss)


def test_the_final_networks():
    found = fully_connected(networks(), samples())
    assert [subject.labels["replica"] for subject in found] == [0, 2]
    assert [subject.labels["seed"] for subject in found] == [0, 1]
    assert [subject.names for subject in found] == [("relu", 3, 0), ("relu", 3, 2)]
    stack, inputs = networks().stack, torch.from_numpy(samples().test_inputs).double()
    for subject, index in zip(found, (0, 2), strict=True):
        expected = forward(replica(stack.weights, index), replica(stack.biases, index), inputs, rectified=True)
        torch.testing.assert_close(subject.outputs, expected, rtol=1e-12, atol=1e-12)
        assert subject.classes


def test_losses_and_errors():
    """The squared error summed over outputs; of classes, the fraction misread; else relative to predicting zero."""
    subject, _ = fully_connected(networks(), samples())
    data = samples()
    outputs = subject.model(torch.from_numpy(data.inputs).double()).detach().numpy()
    assert subject.loss == pytest.approx(np.square(outputs - data.targets).sum(1).mean(), rel=1e-12)
    outputs = subject.outputs.numpy()
    assert subject.test_loss == pytest.approx(np.square(outputs - data.test_targets).sum(1).mean(), rel=1e-12)
    assert subject.test_error == np.mean(outputs.argmax(1) != data.test_targets.argmax(1))
    denoiser, _ = fully_connected(networks(), samples(noise_draw="fixed"))
    assert not denoiser.classes
    assert denoiser.test_error == pytest.approx(subject.test_loss / 1.0, rel=1e-12)


def test_curvature_is_that_of_the_training_loss():
    subject, _ = fully_connected(networks(), samples())
    hessian = dense_hessian(subject.model, squared, *subject.data)
    gauss_newton = dense_gauss_newton(subject.model, squared, *subject.data)
    assert subject.sharpness == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-8)
    assert subject.gauss_newton_sharpness == pytest.approx(float(torch.linalg.eigvalsh(gauss_newton)[-1]), rel=1e-8)
    torch.testing.assert_close(subject.diagonal, gauss_newton.diagonal(), rtol=1e-10, atol=1e-12)
    assert len(subject.parameters) == 4 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3


def test_many_samples_give_the_same_curvature_from_a_rough_start(monkeypatch):
    """Solvers that begin on every tenth sample end at the largest eigenvalue of all samples."""
    subject, _ = fully_connected(networks(), samples(count=300))
    assert subject.rough(subject.hessian) is None
    expected = {"sharpness": dense_hessian, "gauss_newton_sharpness": dense_gauss_newton}
    monkeypatch.setattr(subjects, "MANY", 300)
    assert subject.rough(subject.hessian).shape == subject.hessian.shape
    for name, dense in expected.items():
        top = float(torch.linalg.eigvalsh(dense(subject.model, squared, *subject.data))[-1])
        assert getattr(subject, name) == pytest.approx(top, rel=1e-8)


def test_curvature_is_given_back():
    """An operator holds graphs of all samples; nothing keeps it once its user is done."""
    subject, _ = fully_connected(networks(), samples())
    operator = subject.gauss_newton
    operator.matvec(subject.parameters)
    kept = weakref.ref(operator)
    gc.disable()
    try:
        del operator
        assert kept() is None
    finally:
        gc.enable()


def test_what_has_learned():
    """Nothing learns that is no better than the best constant, or that is not finite."""
    subject, _ = fully_connected(networks(), samples())
    constant = nn.Sequential(nn.Linear(4, 3)).to(DTYPE)
    with torch.no_grad():
        constant[0].weight.zero_()
        constant[0].bias.copy_(subject.data[1].mean(0))
    assert not subject.with_model(constant).learned
    inputs, targets = subject.data
    weights = torch.linalg.lstsq(torch.cat([inputs, torch.ones(30, 1)], 1), targets).solution
    with torch.no_grad():
        constant[0].weight.copy_(weights[:4].mT)
        constant[0].bias.copy_(weights[4])
    assert subject.with_model(constant).learned
    with torch.no_grad():
        constant[0].bias[0] = torch.nan
    assert not subject.with_model(constant).learned


def test_the_control_has_the_same_parameters_and_another_function():
    subject, _ = fully_connected(networks(), samples())
    tanh = subject.with_tanh()
    assert [type(layer) for layer in tanh.model] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert torch.equal(tanh.parameters, subject.parameters)
    hidden = subject.test[0]
    for k in (0, 2):
        hidden = torch.tanh(subject.model[k](hidden))
    torch.testing.assert_close(tanh.outputs, subject.model[4](hidden).detach())
    assert any(isinstance(layer, nn.ReLU) for layer in subject.model)
    assert (tanh.sharpness, tanh.loss) != (subject.sharpness, subject.loss)


def test_linear_networks_on_second_moments():
    """Their curvature is that on the data themselves."""
    data = samples()
    moments = second_moments(data)
    subject, _ = linear(networks(rectified=False), moments)
    batch = torch.from_numpy(data.inputs).double(), torch.from_numpy(data.targets).double()
    hessian = dense_hessian(subject.model, squared, *batch)
    assert subject.sharpness == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-6)
    assert not subject.classes
    with pytest.raises(UserError, match="loss: is the mean over outputs; rescaling expects a task with loss: sum"):
        linear(networks(rectified=False), replace(moments, loss="mean"))


def test_the_loss_must_be_a_sum():
    with pytest.raises(UserError, match="loss: is the mean over outputs; rescaling expects a task with loss: sum"):
        fully_connected(networks(), samples(loss="mean"))


def test_files_of_both_kinds(tmp_path):
    storage.save(networks(), tmp_path / "relu-depth3.safetensors")
    stored = load(tmp_path / "relu-depth3.safetensors", samples())
    assert [subject.names for subject in stored] == [("relu", 3, 0), ("relu", 3, 2)]
    shape = convolutional.Shape(2, (3,), 3)
    labels = {"family": "convolutional", "task": "labels", "initialisation": "pytorch", "optimiser": "sgd"}
    path = tmp_path / "convolutional.safetensors"
    models = [shape.network() for _ in range(2)]
    convolutional.save(models, shape, labels | {"step_size": 0.1}, path)
    first, second = load(path, samples())
    assert (first.names, second.names) == (("convolutional", 2, 0), ("convolutional", 2, 1))
    expected = models[1].double()(torch.from_numpy(samples().test_inputs).double().reshape(9, 1, 2, 2))
    torch.testing.assert_close(second.outputs, expected.detach())


def test_rows():
    """Column seed numbers the networks of a file; statistics of layers count from 1; a setting has two columns."""
    _, subject = fully_connected(networks(), samples())
    statistics = {"excess": 0.5, "gain": [1.0, 2.0, 3.0]}
    table = rows("rescaling", subject.labels, [Measured("balls", statistics, "tanh", ("radius", 7.0))])
    assert table["statistic"].tolist() == ["diverged", "excess", "gain", "gain", "gain"]
    assert table["value"].tolist() == [0, 0.5, 1, 2, 3]
    assert table["layer"].tolist() == [0, 0, 1, 2, 3]
    constant = table.drop(columns=["statistic", "value", "layer", "error_bound"]).drop_duplicates()
    assert constant.dropna(axis="columns").to_dict("records") == [
        {
            "study": "rescaling",
            "case": "balls",
            "control": "tanh",
            "setting": 7.0,
            "depth": 3,
            "seed": 2,
            "family": "relu",
            "task": "labels",
            "initialisation": "pytorch",
            "optimiser": "sgd",
            "step_size": 0.1,
            "radius": 7.0,
        }
    ]
    assert {"alpha", "offset", "range"} < set(table)


def test_cases_of_convolutional_networks_are_named_for_them():
    _, subject = fully_connected(networks(), samples())
    labels = subject.labels | {"family": "convolutional"}
    assert set(rows("rescaling", labels, [Measured("boxes", {})])["case"]) == {"boxes_convolutional"}


def test_curves():
    _, subject = fully_connected(networks(), samples())
    drawn = curves("rescaling", subject.labels, [Curve("line", [0, 1], torch.tensor([3.0, 4.0]), control="tanh")])
    assert drawn[["x", "y", "value"]].to_numpy().tolist() == [[0, 0, 3], [1, 0, 4]]
    columns = ["curve", "control", "depth", "seed"]
    assert drawn[columns].drop_duplicates().to_numpy().tolist() == [["line", "tanh", 3, 2]]
    assert list(curves("rescaling", subject.labels, [])) == list(drawn)
