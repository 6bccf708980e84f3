"""Seeds divided among several jobs: the same networks and the same statistics as in one."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_job import CRITICAL, experiment, samples

from flatminima.data.moments import second_moments
from flatminima.errors import UserError
from flatminima.files import numbered
from flatminima.minima.controls import unbalanced
from flatminima.minima.measure import measure
from flatminima.rescaling.loading import fully_connected, linear
from flatminima.settings.training import Measure
from flatminima.training import job
from flatminima.training.experiments import Task, train
from flatminima.training.job import Job

SEEDS = 5
SGD = {"optimiser": "sgd", "batch_size": 10, "steps": 60, "step_unit": "absolute", "step_sizes": [0.01, 0.03]}
KINDS = {
    "gradient descent": {},
    "gradient flow": {"optimiser": "gradient_flow", "step_unit": None, "step_sizes": None, "steps": 4},
    "sgd": SGD | {"family": "relu", "bias": True},
    "adam": SGD | {"family": "relu", "optimiser": "adam", "step_sizes": [0.003]},
}
MEASURE = Measure.model_validate(
    {
        "tolerance": 1e-7,
        "products": 400,
        "jacobian_samples": 5,
    }
)


def trained(kind, seeds_per_job, snapshots=2):
    """The networks of every part, and the training history."""
    data = samples("fresh" if "sgd" in kind else "fixed")
    settings = experiment(seeds=SEEDS, seeds_per_job=seeds_per_job, snapshots=snapshots, **KINDS[kind])
    parts = range(len(settings.parts()))
    task = Task(data, second_moments(data), CRITICAL)
    return [train(Job("study", "run", settings, 2, part), task) for part in parts]


def rows(outcomes, final):
    """Seeds, step sizes and parameters of the final networks, or of those at the start, in the order of the parts."""
    tables, tensors = [], []
    for networks, _ in outcomes:
        wanted = networks.replicas["final"] if final else ~networks.replicas["final"] & (networks.replicas["step"] == 0)
        tables.append(networks.replicas[wanted])
        tensors.append(networks.stack.select(torch.tensor(wanted.to_numpy())).parameters)
    return pd.concat(tables, ignore_index=True), [torch.cat(layer) for layer in zip(*tensors, strict=True)]


@pytest.mark.parametrize(("size", "parts"), [(None, [5]), (1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_every_seed_is_in_one_part(size, parts):
    divided = experiment(seeds=SEEDS, seeds_per_job=size).parts()
    assert [len(part) for part in divided] == parts
    assert [seed for part in divided for seed in part] == list(range(SEEDS))


@pytest.mark.parametrize("kind", KINDS)
def test_networks_do_not_depend_on_the_division(kind):
    """The same start, bit for bit; the same end up to rounding, which depends on how many are multiplied at once."""
    whole, divided = trained(kind, None), trained(kind, 2)
    assert [len(networks.replicas["seed"].unique()) for networks, _ in divided] == [2, 2, 1]
    (_, one), (_, other) = rows(whole, final=False), rows(divided, final=False)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    (table, one), (again, other) = rows(whole, final=True), rows(divided, final=True)
    pd.testing.assert_frame_equal(table, again, rtol=1e-6)
    rounding = 1e-5 if one[0].dtype == torch.float32 else 1e-8
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=rounding, atol=rounding)
    assert not torch.allclose(one[0][0], one[0][-1], atol=0.1), "seeds differ by far more than that"
    losses = [pd.concat([history for _, history in outcomes]) for outcomes in (whole, divided)]
    key = ["step", "seed", "setting"]
    first, second = (loss.sort_values(key, ignore_index=True) for loss in losses)
    pd.testing.assert_frame_equal(first, second, rtol=1e-5)


def test_batches_do_not_depend_on_the_division(monkeypatch):
    """Every seed's stream of batches and noise begins and ends in the same state, bit for bit."""
    kept = []

    def generators(study, name, depth, replicas, purpose):
        streams = named(study, name, depth, replicas, purpose)
        if purpose == "batches":
            kept.extend((stream, stream.get_state()) for stream in streams)
        return streams

    named = job.generators
    monkeypatch.setattr(job, "generators", generators)
    states = []
    for size in (None, 2):
        kept.clear()
        trained("sgd", size)
        states.append([(before, stream.get_state()) for stream, before in kept])
    assert len(states[0]) == len(states[1]) == SEEDS
    for one, other in zip(*states, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize("kind", ["gradient descent", "sgd"])
def test_statistics_do_not_depend_on_the_division(kind):
    """Those of the unbalanced control neither: every network is rescaled by factors of its own."""
    data = samples("fresh" if kind == "sgd" else "fixed")
    moments = second_moments(data)

    def measured(outcomes):
        subjects = [subject for networks, _ in outcomes for subject in (networks, unbalanced(networks, 0.5))]
        tables, shared = zip(*(measure(subject, data, moments, MEASURE) for subject in subjects), strict=True)
        key = ["case", "control", "statistic", "layer", "seed", "setting", "final", "step"]
        both = pd.concat(tables).sort_values(key, ignore_index=True), pd.concat(shared)
        return both[0], both[1].sort_values(["case", "seed", "setting", "layer", "rank"], ignore_index=True)

    (one, vectors), (other, others) = measured(trained(kind, None)), measured(trained(kind, 2))
    bounds = ["value", "error_bound"]
    pd.testing.assert_frame_equal(one.drop(columns=bounds), other.drop(columns=bounds), rtol=1e-6)
    np.testing.assert_allclose(one["value"], other["value"], rtol=1e-3, atol=1e-5)
    pd.testing.assert_frame_equal(vectors, others, rtol=1e-3, atol=1e-4)
    assert set(one["case"]) == {"run"}
    assert set(one["control"]) == {"", "unbalanced"}


def test_networks_are_numbered_through_all_parts():
    """Rescaling draws for a network by its number, and its tables tell networks apart by it."""
    whole, divided = trained("sgd", None), trained("sgd", 2)

    def numbers(outcomes, load):
        return [subject.labels["replica"] for networks, _ in outcomes for subject in load(networks)]

    def rectified(networks):
        return fully_connected(networks, samples())

    assert numbers(divided, rectified) == numbers(whole, rectified) == list(range(10))
    moments = second_moments(samples())
    linear_whole, linear_divided = trained("gradient descent", None), trained("gradient descent", 2)
    found = [numbers(outcomes, lambda n: linear(n, moments)) for outcomes in (linear_whole, linear_divided)]
    assert found[0] == found[1] == list(range(10))


@pytest.mark.parametrize("part", [-1, 3])
def test_a_part_that_is_not_there_is_named(part):
    data = samples()
    settings = experiment(seeds=SEEDS, seeds_per_job=2)
    with pytest.raises(UserError, match=rf"part is {part}: experiments\.run has 3, from 0"):
        train(Job("study", "run", settings, 2, part), Task(data, second_moments(data), CRITICAL))


def test_one_word_for_many_files():
    """As bash reads it."""
    assert numbered("a/relu-part{0..2}.parquet") == [f"a/relu-part{k}.parquet" for k in range(3)]
    assert numbered("part{0..0}") == ["part0"]
    assert numbered("a/relu.parquet") == ["a/relu.parquet"]
