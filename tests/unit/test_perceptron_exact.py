"""Exhaustive enumeration against itertools, binomial laws and combinatorics."""

from itertools import product
from math import comb, log

import numpy as np
import pytest
from scipy.stats import binom

from flatminima.errors import UserError
from flatminima.perceptron import exhaustive
from flatminima.perceptron.instances import storage, threshold

EMPTY = np.zeros((0, 9), np.int8)


def all_weights(size):
    """All weights in the order of their codes: the first place changes fastest."""
    return np.array([bits[::-1] for bits in product((-1, 1), repeat=size)])


def brute(patterns, margin):
    """Codes of solutions, one weight vector after the other."""
    weights = all_weights(patterns.shape[1])
    reached = (weights @ patterns.T.astype(int) / patterns.shape[1] ** 0.5 >= margin).all(1)
    return np.flatnonzero(reached)


def codes(instance, margin):
    """Codes of the solutions of one instance, by their least products."""
    return np.flatnonzero(exhaustive.least_products(instance) >= threshold(instance.shape[1], margin)).astype(np.uint32)


def counts_of(patterns, margins):
    """Numbers of solutions, shape (instances, margins)."""
    return np.array([[len(codes(instance, margin)) for margin in margins] for instance in patterns])


def local_entropies(patterns, margin, reference_margin):
    """Averages over all pairs of a reference and a solution of each instance."""
    pairs = [(codes(instance, reference_margin), codes(instance, margin)) for instance in patterns]
    size = patterns.shape[2]
    return exhaustive.averages([exhaustive.distance_counts(*pair, size) for pair in pairs], size)


@pytest.mark.parametrize("size", [1, 9, 11])
def test_least_products_of_all_weights(size):
    patterns = storage(1, size, 0.6, np.random.default_rng(size))[0]
    expected = (all_weights(size) @ patterns.T.astype(int)).min(1)
    np.testing.assert_array_equal(exhaustive.least_products(patterns), expected)
    np.testing.assert_array_equal(exhaustive.decode(np.arange(1 << size, dtype=np.uint32), size), all_weights(size))


@pytest.mark.parametrize("margin", [-0.4, 0.0, 0.3, 1.0])
def test_solutions_are_those_of_brute_force(margin):
    patterns = storage(3, 11, 0.4, np.random.default_rng(0))
    for instance in patterns:
        np.testing.assert_array_equal(codes(instance, margin), brute(instance, margin))


def test_without_patterns_all_weights_are_solutions():
    assert counts_of(EMPTY[None], [0.0, 1.0]).tolist() == [[2**9, 2**9]]


def test_one_pattern_leaves_a_binomial_tail():
    patterns = storage(5, 21, 1 / 21, np.random.default_rng(1))
    margins = [0.0, 0.5, 1.0]
    tails = [2**21 * binom.cdf(np.floor((21 - margin * 21**0.5) / 2), 21, 0.5) for margin in margins]
    np.testing.assert_allclose(counts_of(patterns, margins), np.tile(tails, (5, 1)), rtol=1e-12)


def test_annealed_average_is_a_power_of_the_binomial_tail():
    """E[number of solutions] = 2^N P(s >= kappa)^P, whatever the correlations between solutions."""
    size, margins = 17, [0.0, 0.4, 0.8]
    patterns = storage(300, size, 7 / size, np.random.default_rng(2))
    averages = exhaustive.log_averages(counts_of(patterns, margins), size)
    for i, margin in enumerate(margins):
        tail = binom.cdf(np.floor((size - margin * size**0.5) / 2), size, 0.5)
        assert abs(averages.annealed[i] - (log(2) + 7 * log(tail) / size)) < 4 * averages.annealed_error[i]
    assert (averages.quenched[:2] < averages.annealed[:2]).all()


def test_distances_between_all_pairs():
    codes = np.random.default_rng(3).permutation(512)[:60].astype(np.uint32)
    weights = all_weights(9)[codes]
    expected = [np.bincount((weights != w).sum(1), minlength=10) for w in weights[:7]]
    np.testing.assert_array_equal(exhaustive.distance_counts(codes[:7], codes, 9), expected)


def test_distances_in_several_blocks(monkeypatch):
    codes = np.arange(512, dtype=np.uint32)
    monkeypatch.setattr(exhaustive, "PAIRS", 3 * 512)
    shells = [comb(9, k) for k in range(10)]
    np.testing.assert_array_equal(exhaustive.distance_counts(codes[:10], codes, 9), [shells] * 10)


def test_local_entropies_without_patterns_count_the_shells():
    averages = local_entropies(np.stack([EMPTY] * 3), 0.0, 0.0)
    shells = [log(comb(9, k)) / 9 for k in range(10)]
    np.testing.assert_allclose(averages.quenched, shells, atol=1e-14)
    np.testing.assert_allclose(averages.annealed, shells, atol=1e-14)
    np.testing.assert_allclose(averages.quenched_error, 0, atol=1e-14)
    assert not averages.empty.any()


def test_local_entropies_of_a_small_instance():
    """Means of logarithms and logarithms of means, over all pairs of solutions that brute force finds."""
    patterns = storage(1, 11, 0.3, np.random.default_rng(5))
    weights = all_weights(11)
    centres, around = weights[brute(patterns[0], 0.9)], weights[brute(patterns[0], 0.0)]
    counts = np.array([np.bincount((around != w).sum(1), minlength=12) for w in centres])
    averages = local_entropies(patterns, 0.0, 0.9)
    for k in range(12):
        nonzero = counts[:, k][counts[:, k] > 0]
        assert averages.empty[k] == pytest.approx(1 - len(nonzero) / len(counts))
        if len(nonzero):
            assert averages.quenched[k] == pytest.approx(np.log(nonzero).mean() / 11)
            assert averages.annealed[k] == pytest.approx(log(counts[:, k].mean()) / 11)
        else:
            assert np.isnan(averages.quenched[k])
            assert averages.annealed[k] == -np.inf


def test_averages_by_hand():
    averages = exhaustive.log_averages(np.array([[1, 0], [3, 0], [0, 0]]), 2)
    assert averages.annealed[0] == pytest.approx(log(4 / 3) / 2)
    assert averages.annealed_error[0] == pytest.approx(np.std([1, 3, 0], ddof=1) / 3**0.5 / (4 / 3) / 2)
    assert averages.quenched[0] == pytest.approx(log(3) / 4)
    assert averages.quenched_error[0] == pytest.approx(np.std([0, log(3) / 2], ddof=1) / 2**0.5)
    assert averages.empty.tolist() == [pytest.approx(1 / 3), 1]
    assert averages.annealed[1] == -np.inf
    assert np.isnan(averages.quenched[1])


def test_bad_input_is_named():
    with pytest.raises(UserError, match="N is 10"):
        exhaustive.least_products(EMPTY[:, :-1].repeat(2, 1)[:, :10])
    with pytest.raises(UserError, match="N is 29"):
        exhaustive.least_products(np.ones((1, 29), np.int8))
