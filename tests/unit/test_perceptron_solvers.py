"""Solvers: what they return is a solution in plain integers, and what they do not solve they say."""

from dataclasses import astuple, replace
from itertools import product

import numpy as np
import pytest

from flatminima.errors import UserError
from flatminima.perceptron import iteration
from flatminima.perceptron.instances import storage
from flatminima.perceptron.message_passing import Focusing, Reinforced
from flatminima.perceptron.solvers import SOLVERS, solve
from flatminima.perceptron.stochastic import Annealing, annealing

SHORT = {
    "reinforced-bp": Reinforced(steps=40),
    "focusing-bp": Focusing(steps=40),
    "sbpi": replace(SOLVERS["sbpi"].settings, epochs=10),
    "annealing": Annealing(sweeps=10),
    "error-annealing": Annealing(energy="errors", security=0.0, sweeps=10),
    "sgd": replace(SOLVERS["sgd"].settings, epochs=20),
    "straight-through-sgd": replace(SOLVERS["straight-through-sgd"].settings, epochs=20),
    "replicated-sgd": replace(SOLVERS["replicated-sgd"].settings, epochs=20),
}


def satisfied(patterns, weights, margin=0.0):
    """Whether all stabilities exceed the margin, in Python's integers."""
    size = patterns.shape[2]
    products = np.array(
        [instance.astype(object) @ w.astype(object) for instance, w in zip(patterns, weights, strict=True)]
    )
    return (products.astype(float) / size**0.5 >= margin - 1e-9).all(1)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_solves_easy_instances(name):
    patterns = storage(3, 201, 0.3, np.random.default_rng(0))
    found = solve(name, patterns, np.random.default_rng(1))
    assert found.solved.all()
    assert satisfied(patterns, found.weights).all()
    assert set(np.unique(found.weights)) == {-1, 1}
    assert (found.iterations > 0).all()


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "error-annealing"])
def test_solutions_of_a_prescribed_margin(name):
    patterns = storage(3, 201, 0.2, np.random.default_rng(2))
    found = solve(name, patterns, np.random.default_rng(3), margin=0.2)
    assert found.solved.any()
    assert satisfied(patterns[found.solved], found.weights[found.solved], 0.2).all()


@pytest.mark.parametrize("name", SOLVERS)
def test_beyond_capacity_nothing_is_reported_as_solved(name):
    """alpha = 2 is far above 0.833; all instances are returned, after all steps."""
    patterns = storage(3, 101, 2.0, np.random.default_rng(4))
    found = solve(name, patterns, np.random.default_rng(5), settings=SHORT[name])
    assert not found.solved.any()
    assert not satisfied(patterns, found.weights).any()
    assert set(np.unique(found.weights)) == {-1, 1}
    assert len(np.unique(found.iterations)) == 1


@pytest.mark.parametrize("name", SOLVERS)
def test_same_seed_same_bytes(name):
    patterns = storage(3, 101, 0.5, np.random.default_rng(6))
    one, two = (solve(name, patterns, np.random.default_rng(7), settings=SHORT[name]) for _ in range(2))
    assert one.weights.tobytes() == two.weights.tobytes()
    assert one.iterations.tobytes() == two.iterations.tobytes()


@pytest.mark.parametrize("name", ["reinforced-bp", "focusing-bp"])
def test_message_passing_at_a_high_load(name):
    patterns = storage(3, 1001, 0.6, np.random.default_rng(8))
    found = solve(name, patterns, np.random.default_rng(9))
    assert found.solved.sum() >= 2
    np.testing.assert_array_equal(found.solved, satisfied(patterns, found.weights))


@pytest.mark.parametrize("name", ["reinforced-bp", "focusing-bp"])
def test_message_passing_in_smaller_groups_ends_with_the_same_bytes(name, monkeypatch):
    patterns = storage(7, 101, 0.65, np.random.default_rng(12))
    together = solve(name, patterns, np.random.default_rng(13))
    monkeypatch.setattr(iteration, "CACHE", 3 * 4 * patterns[0].size)
    apart = solve(name, patterns, np.random.default_rng(13))
    assert len(set(together.iterations)) > 3
    for one, other in zip(astuple(together), astuple(apart), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_the_mask_tells_solved_from_unsolved_instances_of_one_batch():
    """Near the algorithmic threshold some instances are solved and leave the batch; the rest go on."""
    patterns = storage(12, 201, 0.7, np.random.default_rng(10))
    found = solve("reinforced-bp", patterns, np.random.default_rng(11))
    assert 0 < found.solved.sum() < 12
    np.testing.assert_array_equal(found.solved, satisfied(patterns, found.weights))
    np.testing.assert_array_equal(found.solved, found.iterations < SOLVERS["reinforced-bp"].settings.steps)


@pytest.mark.parametrize("energy", ["errors", "flips"])
def test_annealing_at_one_temperature_samples_boltzmanns_law(energy):
    """All energies of an unsolvable instance of N = 5, from chains that run in blocks of proposals."""
    size, chains, beta = 5, 4000, 0.6
    patterns = storage(1, size, 1.6, np.random.default_rng(12))
    products = np.array(list(product((-1, 1), repeat=size))) @ patterns[0].T.astype(int)
    wrong = products < 0
    levels = wrong.sum(1) if energy == "errors" else (wrong * (1 - products) // 2).sum(1)
    assert levels.min() > 0
    law = np.bincount(levels, weights=np.exp(-beta * levels))
    law /= law.sum()
    settings = Annealing(energy=energy, security=0.0, coldness=(beta, beta), block=3, sweeps=30)
    weights = annealing(np.repeat(patterns, chains, 0), 0.0, np.random.default_rng(13), settings).weights
    products = weights @ patterns[0].T.astype(int)
    wrong = products < 0
    levels = wrong.sum(1) if energy == "errors" else (wrong * (1 - products) // 2).sum(1)
    found = np.bincount(levels, minlength=len(law)) / chains
    assert (np.abs(found - law) < 4 * np.sqrt(law * (1 - law) / chains) + 1e-12).all()


def test_bad_input_is_named():
    patterns, generator = storage(1, 11, 0.5, np.random.default_rng(0)), np.random.default_rng(0)
    with pytest.raises(UserError, match=r"'sbpy'.*did you mean 'sbpi'"):
        solve("sbpy", patterns, generator)
    with pytest.raises(UserError, match=r"'xyz'.*reinforced-bp.*replicated-sgd"):
        solve("xyz", patterns, generator)
    with pytest.raises(UserError, match=r"Focusing.*expected Reinforced"):
        solve("reinforced-bp", patterns, generator, settings=Focusing())
    with pytest.raises(UserError, match=r"N is 10"):
        solve("sgd", patterns[:, :, :10], generator)
    with pytest.raises(UserError, match=r"shape \(5, 11\)|shape \(6, 11\)"):
        solve("sgd", patterns[0], generator)
    with pytest.raises(UserError, match=r"expected -1 and \+1"):
        solve("sgd", 2 * patterns, generator)
