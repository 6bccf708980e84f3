"""Every statistic of measure() against dense computations on a tiny problem; networks that failed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from measured import (
    JACOBIANS,
    SAMPLES,
    SETTINGS,
    assert_close,
    fitted,
    linear_expectation,
    networks_of,
    of_replica,
    relu_expectation,
    run,
    samples_of,
    shared_components,
    tensors,
    whole_network,
)
from references import DTYPE, layers, normal

from flatminima.data.tasks import Samples
from flatminima.minima import measure as module
from flatminima.networks.stack import Stack

LABELS = {"study", "case", "control", "family", "task", "initialisation", "optimiser", "depth"}
COLUMNS = LABELS | {"step_size", "seed", "setting", "step", "final", "layer", "statistic", "value", "error_bound"}
SHARED_COLUMNS = ["study", "case", "family", "setting", "depth", "seed", "layer", "rank", "left", "right"]


@pytest.mark.parametrize("loss", ["sum", "mean"])
@pytest.mark.parametrize("widths", [[4, 3], [4, 5, 3], [4, 5, 6, 3], [4, 4, 5, 4, 3]])
def test_linear_networks(widths, loss):
    samples = samples_of(loss)
    networks = networks_of(fitted(samples, widths))
    rows, _ = run(networks, samples)
    for index in range(3):
        assert_close(of_replica(rows, index), linear_expectation(samples, networks, index), rel=2e-6)


@pytest.mark.parametrize("loss", ["sum", "mean"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [[4, 3], [4, 6, 3], [4, 8, 7, 3]])
def test_relu_networks(widths, bias, loss):
    samples = samples_of(loss)
    networks = networks_of(fitted(samples, widths, bias=bias, rectified=True))
    rows, _ = run(networks, samples)
    for index in range(3):
        assert_close(of_replica(rows, index), relu_expectation(samples, networks, index), rel=1e-5)


def test_networks_in_float32_are_measured_in_float64():
    samples = samples_of()
    double = fitted(samples, [4, 8, 7, 3], bias=True, rectified=True)
    single = double.with_parameters([p.float() for p in double.parameters])
    rows, _ = run(networks_of(single), samples)
    expected = whole_network(samples, networks_of(single.double()), 0)
    measured = of_replica(rows, 0)
    for name in ("loss", "test_loss", "gradient_norm"):
        assert measured[name, 0] == pytest.approx(expected[name], rel=1e-10)


@pytest.mark.parametrize("rectified", [False, True])
def test_error_bounds_hold(rectified):
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 8, 7, 3], rectified=rectified))
    rows, _ = run(networks, samples)
    rows = rows[rows["layer"] == 0].set_index(["statistic", "seed"])
    for index in range(3):
        whole = whole_network(samples, networks, index)
        for name in ("sharpness", "sharpness_ratio"):
            row = rows.loc[(name, index)]
            assert abs(row["value"] - whole[name]) <= row["error_bound"] + 1e-9 * whole[name]
            assert row["error_bound"] <= 1e-4 * whole[name]
            assert row["value"] == pytest.approx(whole[name], rel=1e-9)
        assert rows.loc[("minimal_sharpness", index), "error_bound"] <= 1e-10 * whole["minimal_sharpness"]
    others = rows.drop(["sharpness", "sharpness_ratio", "minimal_sharpness"], level="statistic")
    assert others["error_bound"].isna().all()


def test_fresh_noise_is_averaged_exactly_for_linear_networks():
    """The loss is that of infinitely many draws: E||(W - I) y||^2 + sigma^2 ||W||^2."""
    clean = normal(1, SAMPLES, 3).numpy().astype(np.float32)
    samples = Samples(clean + 0.5, clean, clean[:5], clean[:5], 0.8, "fresh", "sum")
    stack = Stack(tuple(0.5 * weight for weight in layers(2, 1, [3, 3, 3])[0]))
    rows, _ = run(networks_of(stack), samples)
    product = (stack.weights[1] @ stack.weights[0])[0].numpy()
    expected = ((clean @ (product - np.eye(3)).T) ** 2).sum(1).mean() + 0.64 * (product**2).sum()
    assert of_replica(rows, 0)["loss", 0] == pytest.approx(expected, rel=1e-6)


def test_the_gradient_of_the_mean_over_fresh_noise_is_told_from_that_over_one_draw():
    """For one layer and centred targets it is 2 (W (Sy + sigma^2) - Sy), and 0 for the biases."""
    size, count, noise = 20, 500, 0.8
    clean = normal(1, count, size).numpy()
    clean = (clean - clean.mean(0)).astype(np.float32)
    moment = torch.from_numpy(clean.T.astype(float) @ clean / count)
    noisy = moment + noise**2 * torch.eye(size, dtype=DTYPE)
    inputs = clean + noise * normal(2, count, size).numpy().astype(np.float32)
    samples = Samples(inputs, clean, clean[:5], clean[:5], noise, "fresh", "sum")
    best = moment @ torch.linalg.inv(noisy)
    weights = torch.stack([best, best + 0.03 * normal(3, size, size), 0 * best + 0.1])
    stack = Stack((weights,), (torch.zeros(3, size, dtype=DTYPE),))
    rows, _ = run(networks_of(stack, final=False, gradient_scale=1.0), samples)
    exact = (2 * (weights @ noisy - moment)).norm(dim=(1, 2))
    at_minimum, *others = (of_replica(rows, index) for index in range(3))
    assert at_minimum["expected_gradient_norm", 0] < 0.5 * at_minimum["gradient_norm", 0]
    for found, expected in zip(others, exact[1:].tolist(), strict=True):
        assert found["expected_gradient_norm", 0] == pytest.approx(expected, rel=0.1)


def test_tidy_columns_and_layers():
    samples = samples_of()
    rows, _ = run(networks_of(fitted(samples, [4, 5, 6, 3])), samples)
    assert set(rows.columns) == COLUMNS
    assert rows["value"].dtype == rows["error_bound"].dtype == np.float64
    assert rows["layer"].dtype.kind == rows["depth"].dtype.kind == "i"
    layers_of = rows.groupby("statistic")["layer"].agg(lambda layer: tuple(sorted(set(layer))))
    assert layers_of["path_gain"] == (1, 2, 3)
    assert layers_of["path_residual"] == (2, 3)
    for name in ("path_cosine", "product_norm", "band_upper", "singular_overlap"):
        assert layers_of[name] == (1, 2)
    assert (rows["study"] == "tiny").all()
    one = rows[rows["seed"] == 1].iloc[0]
    assert (one["step_size"], one["setting"], one["step"], one["final"]) == pytest.approx((0.03, 0.3, 101, True))


def test_the_shared_vector_of_final_linear_networks():
    """Components of the signal along singular vectors by numpy; of 5 and 6 hidden units only 4, 5, 3 are spanned."""
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 5, 6, 3]), final=[True, False, True])
    _, shared = run(networks, samples)
    assert list(shared.columns) == SHARED_COLUMNS
    assert set(shared["seed"]) == {0, 2}
    for index in (0, 2):
        for k, (left, right) in enumerate(shared_components(samples, networks, index), 1):
            table = shared[(shared["seed"] == index) & (shared["layer"] == k)]
            assert table["rank"].tolist() == list(range(1, max(len(left), len(right)) + 1))
            np.testing.assert_allclose(table["left"].dropna(), left, atol=1e-6)
            np.testing.assert_allclose(table["right"].dropna(), right, atol=1e-6)


@pytest.mark.parametrize(("widths", "rectified"), [([4, 3], False), ([4, 3], True), ([4, 5, 3], True)])
def test_single_layers_and_nonlinear_networks_share_no_vector(widths, rectified):
    samples = samples_of()
    rows, shared = run(networks_of(fitted(samples, widths, rectified=rectified)), samples)
    assert list(shared.columns) == SHARED_COLUMNS
    assert shared.empty
    interfaces = ["path_cosine", "product_norm", "singular_overlap", "path_residual"]
    assert rows["statistic"].isin(interfaces).any() == (len(widths) > 2)


def with_failures(stack):
    """Replica 1 is flagged by training, 2 holds a NaN, 3 has died; 0 and 4 are sound."""
    parameters = [p.clone() for p in stack.parameters]
    parameters[0][2, 0, 0] = torch.nan
    for parameter in parameters[: stack.depth]:
        parameter[3] = 0
    return networks_of(stack.with_parameters(parameters), diverged=[False, True, False, False, False])


@pytest.mark.parametrize(("rectified", "bias"), [(False, False), (True, False), (True, True)])
def test_diverged_and_dead_replicas_have_no_statistics(rectified, bias):
    samples = samples_of()
    networks = with_failures(fitted(samples, [4, 9, 8, 3], replicas=5, bias=bias, rectified=rectified))
    rows, shared = run(networks, samples)
    flags = rows[rows["statistic"] == "diverged"].set_index("seed")["value"]
    assert flags.to_dict() == {0: 0, 1: 1, 2: 1, 3: 1, 4: 0}
    others = rows[rows["statistic"] != "diverged"]
    assert others[others["seed"].isin([1, 2, 3])]["value"].isna().all()
    sound = others[others["seed"].isin([0, 4]) & ~others["statistic"].isin(["excess_loss"])]
    assert np.isfinite(sound["value"]).all()
    assert set(shared["seed"]) == (set() if rectified else {0, 4})
    alone, _ = run(networks_of(networks.stack.select(torch.tensor([4])), gradient_scale=3.0, step_size=0.05), samples)
    assert_close(of_replica(rows, 4), of_replica(alone, 0))


def test_a_dead_network_with_biases_may_beat_predicting_zero():
    """Its last bias has learned the mean target, but no signal passes its first or its second hidden layer."""
    samples = samples_of()
    weights, biases = layers(5, 2, [4, 6, 6, 3], bias=True)
    biases[2][:] = torch.from_numpy(samples.targets.mean(0)).to(DTYPE) + 0.01
    for index in range(2):
        biases[index][index] = -100
    rows, shared = run(networks_of(Stack(weights, biases, rectified=True), final=[True, False]), samples)
    assert samples.targets.var(0).sum() < 0.97 * (samples.targets**2).sum(1).mean()
    assert rows[rows["statistic"] == "diverged"]["value"].tolist() == [1, 1]
    assert shared.empty


def test_a_network_that_has_hardly_left_the_mean_is_not_dead():
    """Trained too little to do better than a constant, but its units are on."""
    samples = samples_of()
    weights, biases = layers(5, 1, [4, 8, 3], bias=True)
    mean = torch.from_numpy(samples.targets.mean(0)).to(DTYPE).expand(1, -1)
    slow = Stack((weights[0], 1e-4 * weights[1]), (biases[0], mean), rectified=True)
    networks = networks_of(slow)
    rows, _ = run(networks, samples)
    assert of_replica(rows, 0)["loss", 0] == pytest.approx(samples.targets.var(0).sum(), rel=1e-2)
    assert_close(of_replica(rows, 0), relu_expectation(samples, networks, 0), rel=1e-5)


def test_snapshots_may_be_as_bad_as_a_constant():
    """The start of training from small weights is no failure."""
    samples = samples_of()
    stack = Stack(tuple(1e-3 * weight for weight in layers(5, 2, [4, 5, 3])[0]))
    rows, _ = run(networks_of(stack, final=[False, True]), samples)
    assert rows[rows["statistic"] == "diverged"]["value"].tolist() == [0, 1]


def test_the_scale_of_the_start_is_recorded_where_it_was_set():
    samples = samples_of()
    stack = fitted(samples, [4, 5, 3])
    rows, _ = run(networks_of(stack, start_scale=0.3, diverged=[False, True, False]), samples)
    found = rows[rows["statistic"] == "start_scale"]
    assert found[["layer", "value"]].to_numpy().tolist() == [[0, 0.3]] * 3
    assert not run(networks_of(stack), samples)[0]["statistic"].eq("start_scale").any()


def test_all_replicas_may_have_diverged():
    samples = samples_of()
    rows, shared = run(networks_of(fitted(samples, [4, 5, 3]), diverged=True), samples)
    assert rows["statistic"].unique().tolist() == ["diverged"]
    assert (rows["value"] == 1).all()
    assert shared.empty


def test_samples_without_a_path_are_left_out():
    """Where all units of a layer are off the Jacobian is zero; its quantiles are those of the other samples."""
    samples = samples_of()
    stack = fitted(samples, [4, 8, 7, 3], replicas=1, bias=True, rectified=True)
    stack.biases[0][:] -= 2.5
    networks = networks_of(stack, final=False)
    *hidden, _ = stack.layers(tensors(samples)[0][None, :JACOBIANS])
    dead = ~torch.stack([(h > 0).any(2) for h in hidden]).all(0)
    assert 1 <= dead.sum() <= JACOBIANS - 3
    rows, _ = run(networks, samples)
    assert_close(of_replica(rows, 0), relu_expectation(samples, networks, 0), rel=1e-5)


def test_curvature_may_be_taken_over_the_first_samples_alone():
    """Loss and curvature are; the linear minimum that sharpness is compared with stays that of all samples."""
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 6, 3], bias=True, rectified=True))
    some = SETTINGS.model_validate(SETTINGS.model_dump() | {"samples": 17})
    cut = replace(samples, inputs=samples.inputs[:17], targets=samples.targets[:17])
    found = of_replica(run(networks, samples, some)[0], 0)
    few, whole = (of_replica(run(networks, data)[0], 0) for data in (cut, samples))
    for name in ("sharpness", "loss", "gradient_norm", "path_cosine"):
        layer = int(name == "path_cosine")
        assert found[name, layer] == pytest.approx(few[name, layer], rel=1e-9)
    assert found["minimal_sharpness", 0] == whole["minimal_sharpness", 0] != few["minimal_sharpness", 0]


def test_many_samples_are_first_thinned(monkeypatch):
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 8, 7, 3], rectified=True))
    plain, _ = run(networks, samples)
    monkeypatch.setattr(module, "MANY", 10)
    thinned, _ = run(networks, samples)
    for index in range(3):
        assert_close(of_replica(thinned, index), of_replica(plain, index), rel=1e-5)


@pytest.mark.parametrize("rectified", [False, True])
def test_groups_and_chunks_change_nothing(rectified, monkeypatch):
    """Little memory means one replica at a time, and few samples at a time."""
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 8, 7, 3], rectified=rectified))
    whole, shared = run(networks, samples)
    monkeypatch.setattr(module, "MEMORY", 4000)
    parts, others = run(networks, samples)
    for index in range(3):
        assert_close(of_replica(parts, index), of_replica(whole, index))
    pd.testing.assert_frame_equal(others, shared, atol=1e-12)


def test_measuring_twice_gives_the_same_bits():
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 8, 7, 3], bias=True, rectified=True))
    first, second = run(networks, samples), run(networks, samples)
    for one, other in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
