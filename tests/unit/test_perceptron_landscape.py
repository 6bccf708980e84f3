"""Surroundings of solutions: against enumeration, shuffles, and the replica results of theory.md 3."""

from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from scipy.special import entr

from flatminima.errors import UserError
from flatminima.perceptron.exhaustive import decode, distance_counts, least_products
from flatminima.perceptron.instances import planted, stabilities, storage
from flatminima.perceptron.landscape import flip_errors, local_entropies, minimal_margins
from flatminima.perceptron.solvers import solve

DISTANCES = np.array([0.05, 0.2, 0.35, 0.5, 0.8])


def binary_entropy(d):
    return entr(d) + entr(1 - d)


def test_flip_errors_are_means_over_all_subsets():
    instances = planted(2, 9, 1.0, 0.0, np.random.default_rng(0))
    for flips in (0, 1, 4, 9):
        subsets = list(combinations(range(9), flips))
        for i, (patterns, weights) in enumerate(zip(instances.patterns, instances.reference, strict=True)):
            moved = np.repeat(weights[None], len(subsets), 0)
            for row, subset in zip(moved, subsets, strict=True):
                row[list(subset)] *= -1
            expected = (moved @ patterns.T < 0).mean()
            errors = flip_errors(instances.patterns, instances.reference, [flips / 9])
            assert errors[i, 0] == pytest.approx(expected, abs=1e-12)


def test_flip_errors_at_the_size_of_the_experiments():
    """Within four standard errors of random flips."""
    instances = planted(1, 1001, 0.5, 0.3, np.random.default_rng(1))
    generator = np.random.default_rng(2)
    scaled = instances.patterns[0].astype(np.float32)
    for flips in (20, 200):
        mask = generator.permuted(np.tile(np.arange(1001) < flips, (2000, 1)), axis=1)
        sampled = (np.where(mask, -1, 1) * instances.reference[0]).astype(np.float32) @ scaled.T < 0
        error = flip_errors(instances.patterns, instances.reference, [flips / 1001])[0, 0]
        shares = sampled.mean(1)
        assert abs(error - shares.mean()) < 4 * shares.std() / 2000**0.5


def test_flips_of_the_complement_err_where_flips_do_not():
    """So at d = 1/2, between (N - 1)/2 and (N + 1)/2 flips, the error is 1/2."""
    instances = planted(2, 301, 0.5, 0.2, np.random.default_rng(3))
    errors = flip_errors(instances.patterns, instances.reference, [0, 150 / 301, 151 / 301, 1])
    np.testing.assert_allclose(errors[:, :2] + errors[:, :1:-1], 1, atol=1e-12)
    np.testing.assert_array_equal(errors[:, 0], 0)
    np.testing.assert_allclose(errors[:, 1:3].mean(1), 0.5, atol=1e-12)


def test_minimal_margin_is_the_least_stability():
    patterns = storage(3, 101, 0.5, np.random.default_rng(4))
    weights = patterns[:, 0]
    expected = [min(row) for row in stabilities(patterns, weights).tolist()]
    np.testing.assert_allclose(minimal_margins(patterns, weights), expected)


def test_entropy_of_few_patterns_is_the_binary_entropy():
    """At alpha = 1/1001 a solution in all but one direction: h(d), less at most a few bits over N."""
    patterns = storage(2, 1001, 1 / 1001, np.random.default_rng(5))
    result = local_entropies(patterns, patterns[:, 0], DISTANCES)
    assert result.converged.all()
    assert (result.entropy <= binary_entropy(DISTANCES)).all()
    np.testing.assert_allclose(result.entropy[:, :3], np.tile(binary_entropy(DISTANCES[:3]), (2, 1)), atol=1 / 1001)


def test_entropy_against_enumeration():
    """N = 21: the share of weights at a distance that are solutions, each within 0.08, and their mean within 0.01.

    Stabilities after an odd and after an even number of flips lie on different lattices, which Gaussian messages do
    not tell apart: means over neighbouring distances vary from instance to instance as they should.
    """
    size, shells = 21, np.arange(1, 11)
    estimates, exacts = [], []
    for patterns in storage(12, size, 4 / 21, np.random.default_rng(6)):
        codes = np.flatnonzero(least_products(patterns) > 0).astype(np.uint32)
        centre = codes[:1]
        counts = distance_counts(centre, codes, size)[0, shells]
        exacts.append([log(count / comb(size, k)) / size for count, k in zip(counts, shells, strict=True)])
        bethe = local_entropies(patterns[None], decode(centre, size), shells / size)
        assert bethe.converged.all()
        estimates.append(bethe.entropy[0] - binary_entropy(shells / size))
    difference = np.array(estimates) - np.array(exacts)
    assert np.abs(difference).max() < 0.08
    assert abs(difference.mean()) < 0.01
    pairs = [np.reshape(values, (-1, 2)).mean(1) for values in (estimates, exacts)]
    assert np.corrcoef(pairs)[0, 1] > 0.95


def test_largest_local_entropy_is_that_of_all_solutions():
    """From any reference: phi(0.5, 0) = 0.31439 (theory.md 3.2), up to how an instance of N = 1001 varies."""
    patterns = storage(4, 1001, 0.5, np.random.default_rng(7))
    found = solve("reinforced-bp", patterns, np.random.default_rng(8))
    assert found.solved.all()
    result = local_entropies(patterns, found.weights, np.arange(0.2, 0.34, 0.02))
    assert result.converged.all()
    assert result.entropy.max(1).mean() == pytest.approx(0.31439, abs=0.006)
    np.testing.assert_allclose(result.entropy.max(1), 0.31439, atol=0.015)


def test_higher_planted_margins_have_more_solutions_close_by():
    instances = [planted(2, 501, 0.5, margin, np.random.default_rng(9)) for margin in (0.0, 0.2, 0.4)]
    nearby = [local_entropies(i.patterns, i.reference, [0.02, 0.1]).entropy.mean(0) for i in instances]
    assert (np.diff(nearby, axis=0) > 0).all()


def test_points_that_do_not_converge_are_flagged():
    patterns = storage(2, 201, 0.5, np.random.default_rng(10))
    result = local_entropies(patterns, patterns[:, 0], [0.1, 0.3], steps=2)
    assert not result.converged.any()
    assert np.isnan(result.entropy).all()
    assert (result.residual > 1e-6).all()


def test_bad_distances_are_named():
    patterns = storage(1, 21, 0.5, np.random.default_rng(11))
    with pytest.raises(UserError, match=r"0\.0"):
        local_entropies(patterns, patterns[:, 0], [0.0, 0.1])
