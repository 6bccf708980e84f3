"""Nulls of coupling: what each keeps, what it destroys, and what coupling networks have that were never trained."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from filtered import stack_of
from measured import JACOBIANS, SETTINGS, fitted, networks_of, run, samples_of, tensors
from references import DTYPE, forward, generator, layers, normal, replica
from sklearn.datasets import load_digits
from test_job import experiment
from test_job import run as train
from test_job import samples as training_samples

from flatminima.minima.measure import MEMORY
from flatminima.minima.nulls import NULLS, measure_nulls, permuted, spectra, untrained
from flatminima.minima.own_path import own_path, top_singular_pair
from flatminima.networks.initialisations import initialise
from flatminima.networks.stack import Stack, end_to_end

KEY = ["statistic", "layer", "seed"]


def nulls(networks, samples):
    return measure_nulls(networks, run(networks, samples)[0], samples, SETTINGS)


def matrices(stack, index=0):
    return [weight.flatten(1) for weight in replica(stack.weights, index)]


def balanced(gains, depth, seed=1):
    """A flattest network for white inputs: W_k = Q_k diag(gains^(1/m)) Q_{k-1}'."""
    size = len(gains)
    bases = [torch.linalg.qr(normal(seed + k, size, size)).Q for k in range(depth + 1)]
    root = torch.tensor(gains, dtype=DTYPE) ** (1 / depth)
    return Stack(tuple((after * root @ before.T)[None] for before, after in pairwise(bases)))


def own(stack, inputs=None):
    inputs = normal(9, 3, stack.weights[0].shape[2]) if inputs is None else inputs
    return {name: statistic.value for name, statistic in own_path(stack, inputs, MEMORY).items()}


@pytest.mark.parametrize("widths", [[4, 3], [5, 2, 4], [4, 6, 5, 3], [3, 2, 7, 2, 6]])
def test_the_top_singular_pair_of_a_product(widths):
    weights, _ = layers(2, 3, widths)
    if len(widths) == 2:
        assert own(Stack(weights)) == {}
        return
    right, left, value = top_singular_pair(weights)
    expected = torch.linalg.svdvals(end_to_end(weights))[:, 0]
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    image = (end_to_end(weights) @ right.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(image, value.unsqueeze(1) * left, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(right.norm(dim=1), torch.ones(3, dtype=DTYPE))


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_flattest_linear_network_is_coupled_and_its_nulls_are_not(depth):
    stack = balanced([3.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.2], depth)
    assert own(stack)["own_cosine"].min() > 1 - 1e-10
    torch.testing.assert_close(own(stack)["own_gain"], torch.ones(1, depth - 1, dtype=DTYPE))
    networks = networks_of(stack)
    for null in NULLS.values():
        cosine = own(null(networks, [0]).double())["own_cosine"]
        assert cosine.min() < 0.97
        assert cosine.min() > 0


@pytest.mark.parametrize(("depth", "expected"), [(2, 0.83), (3, 0.74), (4, 0.64), (5, 0.59)])
def test_coupling_of_untrained_relu_networks(depth, expected):
    """Of PyTorch's start, 64 wide, at noisy digits: measured apart from this package by the review of its claims."""
    digits = torch.from_numpy(load_digits().data[:16] / 16)
    inputs = digits + 1.25 * normal(3, *digits.shape)
    start = initialise("pytorch", [64] * (depth + 1), [generator(seed) for seed in range(10)], rectified=True)
    found = own(start, inputs)
    assert found["own_cosine"].amin(1).median().item() == pytest.approx(expected, abs=0.03)
    assert (found["own_gain"] > 0.85).all()
    assert (found["own_gain"] < 1.4).all()


def filters():
    return replace(networks_of(stack_of(2, (1, 3, 4, 1))), labels=networks_of(stack_of(2, (1, 3, 4, 1))).labels)


@pytest.mark.parametrize("kind", ["linear", "relu", "filters"])
def test_random_singular_vectors_keep_every_layers_singular_values(kind):
    networks = filters() if kind == "filters" else networks_of(Stack(*layers(1, 2, [4, 6, 3], True), kind == "relu"))
    drawn = spectra(networks, [0, 1])
    for index in range(2):
        for before, after in zip(matrices(networks.stack, index), matrices(drawn, index), strict=True):
            values = torch.linalg.svdvals(before)
            torch.testing.assert_close(torch.linalg.svdvals(after), values, rtol=1e-12, atol=1e-12)
            assert (before - after).norm() > 0.3 * before.norm()
    assert all(torch.equal(a, b) for a, b in zip(drawn.biases, networks.stack.biases, strict=True))


def test_random_singular_vectors_are_uniform():
    """The mean of u u' over many draws is the identity over the dimension, for either side."""
    weight = torch.diag(torch.tensor([1.0, 1e-6, 1e-6], dtype=DTYPE))
    count = 4000
    drawn = spectra(networks_of(Stack((weight.expand(count, 3, 3), weight.expand(count, 3, 3)))), range(count))
    for layer in drawn.weights:
        for outer in (layer @ layer.mT, layer.mT @ layer):
            torch.testing.assert_close(outer.mean(0), torch.eye(3, dtype=DTYPE) / 3, rtol=0, atol=0.03)
        assert layer.mean(0).abs().max() < 0.03


@pytest.mark.parametrize("kind", ["linear", "relu", "filters"])
def test_permuted_units_keep_both_layers_and_change_the_function(kind):
    networks = filters() if kind == "filters" else networks_of(Stack(*layers(1, 2, [4, 9, 3], True), kind == "relu"))
    stack, drawn = networks.stack, permuted(networks, [0, 1])
    assert torch.equal(drawn.weights[0], stack.weights[0])
    for index in range(2):
        for before, after in zip(stack.weights[1:], drawn.weights[1:], strict=True):
            columns, others = (weight[index].movedim(1, 0).flatten(1).tolist() for weight in (before, after))
            assert sorted(columns) == sorted(others)
            assert columns != others
    inputs = normal(4, 1, 20, stack.weights[0].shape[2] * (stack.side**2 if kind == "filters" else 1))
    assert ((stack(inputs) - drawn(inputs)).norm(dim=(1, 2)) > 0.1 * stack(inputs).norm(dim=(1, 2))).all()


@pytest.mark.parametrize("family", ["linear", "relu"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_untrained_networks_are_the_starts_bit_for_bit(family, scale):
    """Snapshots keep the start that training began from."""
    samples = {"optimiser": "sgd", "batch_size": 10, "bias": True, "step_unit": "absolute", "step_sizes": [0.01, 0.02]}
    settings = experiment(family=family, snapshots=2, start_scale=scale, **(samples if family == "relu" else {}))
    networks, _ = train(settings, training_samples())
    table = networks.replicas
    final, first = (torch.tensor(mask.to_numpy()) for mask in (table["final"], ~table["final"] & (table["step"] == 0)))
    trained = replace(networks, stack=networks.stack.select(final), replicas=table[table["final"]])
    for drawn, start in zip(
        untrained(trained, range(6)).parameters, networks.stack.select(first).parameters, strict=True
    ):
        assert drawn.dtype == start.dtype
        assert torch.equal(drawn, start)


def test_untrained_filters_are_the_starts_bit_for_bit():
    data = training_samples()
    images = replace(data, **{name: np.tile(getattr(data, name)[:, :1], 9) for name in ("inputs", "targets")})
    settings = experiment(
        family="convolutional",
        optimiser="sgd",
        batch_size=10,
        step_unit="absolute",
        step_sizes=[1e-3],
        width=2,
        snapshots=2,
    )
    networks, _ = train(settings, images)
    table = networks.replicas
    final, first = (torch.tensor(mask.to_numpy()) for mask in (table["final"], ~table["final"] & (table["step"] == 0)))
    trained = replace(networks, stack=networks.stack.select(final), replicas=table[table["final"]])
    for drawn, start in zip(
        untrained(trained, range(3)).parameters, networks.stack.select(first).parameters, strict=True
    ):
        assert torch.equal(drawn, start)


@pytest.mark.parametrize("rectified", [False, True])
def test_rows_pair_with_the_trained_networks(rectified):
    samples = samples_of()
    stack = fitted(samples, [4, 8, 7, 3], replicas=4, rectified=rectified)
    networks = networks_of(stack, final=[True, True, True, False], diverged=[False, True, False, False])
    rows = nulls(networks, samples)
    assert set(rows["case"]) == {"run"}
    assert set(rows["control"]) == {f"{null}{draw}" for null in NULLS for draw in ("", "_again")}
    assert set(rows["statistic"]) == {"diverged", "own_cosine", "own_gain"}
    flags, rows = rows[rows["statistic"] == "diverged"], rows[rows["statistic"] != "diverged"]
    assert (flags["value"] == (flags["seed"] == 1)).all()
    trained = run(networks, samples)[0]
    same = ["seed", "step_size", "setting", "depth", "step", "family", "task", "study"]
    expected = trained[trained["statistic"].isin(["own_cosine"]) & trained["final"]]
    for _, null in rows[rows["statistic"] == "own_cosine"].groupby("control"):
        pd.testing.assert_frame_equal(
            null[[*same, "layer"]].reset_index(drop=True), expected[[*same, "layer"]].reset_index(drop=True)
        )
    assert (rows["value"].isna() == (rows["seed"] == 1)).all()


def test_statistics_of_the_permuted_null_by_dense_jacobians():
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 8, 3], replicas=2, rectified=True))
    rows = nulls(networks, samples).set_index(["control", *KEY])["value"]
    drawn = permuted(networks, [0, 1])
    for index in range(2):
        cosines, gains = [], []
        for x in tensors(samples)[0][:JACOBIANS]:
            first, second = replica(drawn.weights, index)
            active = (first @ x > 0).to(DTYPE).unsqueeze(1) * first
            jacobian = torch.func.jacrev(lambda x, w=(first, second): forward(w, [], x, rectified=True))(x)
            left, values, right = torch.linalg.svd(jacobian)
            forwards, backwards = active @ right[0], second.T @ left[:, 0]
            cosines.append((forwards @ backwards / (forwards.norm() * backwards.norm())).item())
            gains.append((forwards.norm() / values[0].sqrt()).item())
        assert rows["permuted", "own_cosine", 1, index] == pytest.approx(np.median(cosines), rel=1e-5)
        assert rows["permuted", "own_gain", 1, index] == pytest.approx(np.median(gains), rel=1e-5)


def test_every_network_has_a_draw_of_its_own_whatever_its_mates():
    samples = samples_of()
    networks = networks_of(fitted(samples, [4, 8, 3], replicas=3, rectified=True))
    rows = nulls(networks, samples)
    pd.testing.assert_frame_equal(rows, nulls(networks, samples))
    fewer = nulls(replace(networks, replicas=networks.replicas.assign(diverged=[True, False, False])), samples)
    pd.testing.assert_frame_equal(rows[rows["seed"] > 0], fewer[fewer["seed"] > 0])


@pytest.mark.parametrize("name", NULLS)
def test_a_second_draw_is_of_the_same_kind_but_another_one(name):
    networks = networks_of(Stack(*layers(1, 2, [12, 12, 12]), True))
    first, second = (NULLS[name](networks, [0, 1], draw) for draw in ("", "_again"))
    assert not any(torch.equal(a, b) for a, b in zip(first.weights[1:], second.weights[1:], strict=True))
    for one, other in zip(first.weights, second.weights, strict=True):
        assert one.std().item() == pytest.approx(other.std().item(), rel=0.15)


@pytest.mark.parametrize("case", ["residual", "one layer", "all diverged"])
def test_where_there_is_nothing_to_compare_there_are_no_rows(case):
    samples = samples_of()
    networks = networks_of(
        fitted(samples, [4, 3] if case == "one layer" else [4, 5, 3]), diverged=case == "all diverged"
    )
    if case == "residual":
        networks = replace(networks, labels=networks.labels | {"family": "residual_linear"})
    assert nulls(networks, samples).empty
