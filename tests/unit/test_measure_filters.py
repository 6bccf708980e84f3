"""Every statistic of convolutional networks against dense Hessians and Jacobians, one network at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from filtered import SIDE, affine_maps, images, rows_of, sequential, stack_of
from measured import JACOBIANS, QUANTILES, SETTINGS, along, assert_close, networks_of, of_replica, own, tensors
from references import DTYPE, dense_gradient, dense_hessian, normal, path_by_search, sample_loss, split
from torch.func import functional_call

from flatminima.curvature.losses import sample_losses
from flatminima.curvature.stacked import StackedHessian
from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.minima import measure as module
from flatminima.minima.controls import unbalanced
from flatminima.minima.crosscheck import crosscheck
from flatminima.minima.measure import measure
from flatminima.settings.training import Measure

PIXELS = SIDE**2
SAMPLES = 40


def samples_of(stack, loss="sum"):
    """Targets that the first network nearly gives."""
    inputs = normal(2, SAMPLES + 9, PIXELS * stack.weights[0].shape[2])
    targets = stack(inputs.unsqueeze(0))[0] + 0.05 * normal(3, *inputs.shape)
    x, y = (array.numpy().astype(np.float32) for array in (inputs, targets))
    return Samples(x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:], 0.0, "none", loss)


def convolutional(stack, **columns):
    networks = networks_of(stack, **columns)
    return replace(networks, labels=networks.labels | {"family": "fully_convolutional"})


def loss_of(network, inputs, targets, scale):
    """The loss as a function of the flat parameters, weights before biases, and these."""
    names = sorted(dict(network.named_parameters()), key=lambda name: name.endswith("bias"))
    parameters = [network.get_parameter(name).detach() for name in names]

    def loss(flat):
        parts = split(flat, [p.shape for p in parameters])
        outputs = functional_call(network, dict(zip(names, parts, strict=True)), (images(inputs),))
        return scale * (rows_of(outputs) - targets).square().sum(1).mean()

    return loss, torch.cat([p.flatten() for p in parameters])


def whole(samples, networks, index):
    stack, row = networks.stack, networks.replicas.iloc[index]
    scale = 1.0 if samples.loss == "sum" else 1 / samples.targets.shape[1]
    network = sequential(stack, index)
    loss, flat = loss_of(network, *tensors(samples), scale)
    test_loss, _ = loss_of(network, *tensors(samples, test=True), scale)
    moments = second_moments(samples)
    minimum, _ = path_by_search(moments.end_to_end_map(), stack.depth, scale * moments.input_moment, starts=3)
    top = torch.linalg.eigvalsh(dense_hessian(loss, flat))[-1].item()
    return {
        "diverged": 0.0,
        "loss": loss(flat).item(),
        "test_loss": test_loss(flat).item(),
        "excess_loss": np.nan,
        "gradient_norm": dense_gradient(loss, flat).norm().item() / row["gradient_scale"],
        "expected_gradient_norm": dense_gradient(loss, flat).norm().item() / row["gradient_scale"],
        "stability_limit": 2 / row["step_size"],
        "sharpness": top,
        "minimal_sharpness": minimum,
        "sharpness_ratio": top / minimum,
        "path_gain_fraction": 1.0,
    }


def path(stack, index, inputs):
    """Statistics of one input: the active layers as dense matrices D_k W_k, and the Jacobian's decomposition."""
    *hidden, last = affine_maps(stack, index)
    matrices, values = [], inputs
    for matrix, shift in hidden:
        values = matrix @ values + shift
        matrices.append((matrix * (values > 0).unsqueeze(1)).numpy())
        values = values.relu()
    matrices.append(last[0].numpy())
    network = sequential(stack, index)
    jacobian = torch.func.jacrev(lambda x: rows_of(network(images(x.unsqueeze(0))))[0])(inputs).detach().numpy()
    np.testing.assert_allclose(np.linalg.multi_dot([*matrices[::-1], np.eye(len(inputs))]), jacobian, atol=1e-12)
    left, gains, right = np.linalg.svd(jacobian)
    statistics = along(matrices, right[0], left[:, 0], gains[0], np.eye(len(inputs)), 1.0)
    return statistics | {("end_to_end_gain", 0): gains[0]}


def expectation(samples, networks, index):
    expected = {(name, 0): value for name, value in whole(samples, networks, index).items()}
    per_sample = [path(networks.stack, index, x) for x in tensors(samples)[0][:JACOBIANS]]
    for name, layer in per_sample[0]:
        for suffix, quantile in QUANTILES.items():
            values = [sample[name, layer] for sample in per_sample]
            expected[name + suffix, layer] = np.quantile(values, quantile)
    expected |= own(expected, networks.stack.depth)
    for k in range(1, networks.stack.depth):
        expected["band_upper", k] = np.sqrt(networks.stack.depth - 1)
    return expected


def run(networks, samples, settings=SETTINGS):
    return measure(networks, samples, second_moments(samples), settings)


@pytest.mark.parametrize(
    ("channels", "bias", "loss"), [((1, 1), True, "sum"), ((1, 3, 1), False, "mean"), ((1, 3, 2, 1), True, "sum")]
)
def test_every_statistic(channels, bias, loss):
    stack = stack_of(2, channels, bias)
    samples = samples_of(stack, loss)
    networks = convolutional(stack, final=[True, False])
    rows, shared = run(networks, samples)
    for index in range(2):
        assert_close(of_replica(rows, index), expectation(samples, networks, index), rel=1e-5)
    assert shared.empty
    sharpness = rows[rows["statistic"] == "sharpness"]
    assert (sharpness["error_bound"] < 1e-4 * sharpness["value"]).all()


def test_the_control_has_the_same_loss_and_a_sharper_minimum():
    stack = stack_of(1, (1, 4, 4, 1))
    samples = samples_of(stack)
    trained, control = (
        of_replica(run(networks, samples)[0], 0)
        for networks in (convolutional(stack), unbalanced(convolutional(stack), 1.0))
    )
    assert control["loss", 0] == pytest.approx(trained["loss", 0], rel=1e-6)
    assert control["end_to_end_gain", 0] == pytest.approx(trained["end_to_end_gain", 0], rel=1e-5)
    assert control["sharpness", 0] > 1.5 * trained["sharpness", 0]


def test_groups_and_chunks_change_nothing(monkeypatch):
    """Little memory means one replica at a time, and few samples at a time."""
    stack = stack_of(2, (1, 3, 2, 1))
    samples = samples_of(stack)
    networks = convolutional(stack, final=[True, False])
    together, _ = run(networks, samples)
    monkeypatch.setattr(module, "MEMORY", 10**5)
    parts, _ = run(networks, samples)
    for index in range(2):
        assert_close(of_replica(parts, index), of_replica(together, index))


@pytest.mark.parametrize("bias", [False, True])
def test_a_filter_is_no_sharper_than_its_pixels_together(bias):
    """The Hessian in the filters is A' H A, with A from filters to layers and H that of the fully connected network."""
    side, scale = 3, 0.5
    stack = stack_of(1, (1, 2, 1), bias, side)
    inputs, targets = normal(4, 15, side**2), normal(5, 15, side**2)
    connected = [affine_maps(stack, 0)[k][0] for k in range(2)]
    shifts = [affine_maps(stack, 0)[k][1] for k in range(2)] if bias else []
    loss, flat = sample_loss(connected, shifts, inputs, targets, scale, rectified=True)
    whole_hessian = dense_hessian(loss, flat)
    filters = torch.cat([p.flatten() for p in stack.parameters])

    def layers(values):
        parts = split(values, [p.shape for p in stack.parameters])
        changed = [affine_maps(stack.with_parameters(parts), 0)[k] for k in range(2)]
        return torch.cat([m.flatten() for m, _ in changed] + [b for _, b in changed if bias])

    columns = [layers(unit) - layers(0 * unit) for unit in torch.eye(len(filters), dtype=DTYPE)]
    embedding = torch.stack(columns, 1)
    torch.testing.assert_close(embedding @ filters, flat, rtol=1e-10, atol=1e-10)
    operator = StackedHessian(sample_losses(stack, inputs, targets, scale, 2**30), stack.parameters)
    ours = torch.stack([operator.matvec(unit[None])[0] for unit in torch.eye(len(filters), dtype=DTYPE)])
    torch.testing.assert_close(ours, embedding.T @ whole_hessian @ embedding, rtol=1e-8, atol=1e-8)
    served = (embedding.T @ embedding).diagonal()
    torch.testing.assert_close(embedding.T @ embedding, torch.diag(served))
    assert served.max() == side**2
    assert torch.linalg.eigvalsh(ours)[-1] <= side**2 * torch.linalg.eigvalsh(whole_hessian)[-1]


def test_measured_on_the_first_samples_only():
    stack = stack_of(1, (1, 3, 1))
    samples, networks = samples_of(stack), convolutional(stack)
    few = Measure.model_validate(SETTINGS.model_dump() | {"convolution_samples": 12})
    rows, _ = run(networks, samples, few)
    first = replace(samples, inputs=samples.inputs[:12], targets=samples.targets[:12])
    loss, flat = loss_of(sequential(stack, 0), *tensors(first), 1.0)
    measured = of_replica(rows, 0)
    assert measured["loss", 0] == pytest.approx(loss(flat).item(), rel=1e-9)
    assert measured["sharpness", 0] == pytest.approx(torch.linalg.eigvalsh(dense_hessian(loss, flat))[-1].item())
    assert measured["minimal_sharpness", 0] == of_replica(run(networks, samples)[0], 0)["minimal_sharpness", 0]


def test_failed_networks_have_no_statistics():
    """Replica 1 was flagged, 2 gives zeros because a layer is off for every input; 0 is sound."""
    stack = stack_of(3, (1, 3, 2, 1))
    samples = samples_of(stack)
    stack.biases[1][2] = -100
    rows, _ = run(convolutional(stack, diverged=[False, True, False]), samples)
    assert rows[rows["statistic"] == "diverged"].sort_values("seed")["value"].tolist() == [0, 1, 1]
    assert rows[rows["seed"].isin([1, 2]) & (rows["statistic"] != "diverged")]["value"].isna().all()


def test_other_libraries_are_not_asked():
    networks = convolutional(stack_of(1, (1, 3, 1)))
    samples = samples_of(networks.stack)
    with pytest.raises(UserError, match="the networks are convolutional; expected fully connected ones"):
        crosscheck(networks, samples, second_moments(samples))
