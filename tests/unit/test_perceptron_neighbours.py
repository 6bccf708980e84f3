"""Solutions near a solution: exact counts against brute force, expected ones against enumeration."""

from itertools import combinations

import numpy as np
import pytest

from flatminima.perceptron import exhaustive
from flatminima.perceptron.instances import pattern_count, planted, storage
from flatminima.perceptron.landscape import flip_errors
from flatminima.perceptron.neighbours import FLIPS, count_neighbours, expected_neighbours
from flatminima.perceptron.stability import error_after_flips, lattice_error


@pytest.mark.parametrize(("size", "load"), [(11, 0.3), (15, 0.3), (15, 0.6), (21, 0.4)])
def test_counts_are_those_of_trying_every_flip(size, load):
    instances = planted(4, size, load, 0.0, np.random.default_rng(size))
    for patterns, weights in zip(instances.patterns, instances.reference, strict=True):
        for flips, count in zip(FLIPS, count_neighbours(patterns, weights), strict=True):
            flipped = np.repeat(weights[None], len(list(combinations(range(size), flips))), 0).astype(int)
            for row, places in zip(flipped, combinations(range(size), flips), strict=True):
                row[list(places)] *= -1
            assert count == (flipped @ patterns.T.astype(int) > 0).all(1).sum()


@pytest.mark.parametrize(("ones", "threes"), [(0, 0), (1, 2), (2, 40), (4, 70)])
def test_triples_under_many_and_few_critical_patterns(ones, threes, size=13):
    random, safe = np.random.default_rng(ones + threes), 6
    weights = np.ones(size, int)
    patterns = np.ones((safe + ones + threes, size), int)
    for row, product in zip(patterns[safe:], [1] * ones + [3] * threes, strict=True):
        row[random.choice(size, (size - product) // 2, replace=False)] = -1
    flipped = np.ones((len(list(combinations(range(size), 3))), size), int)
    for row, places in zip(flipped, combinations(range(size), 3), strict=True):
        row[list(places)] = -1
    expected = (flipped @ patterns.T > 0).all(1).sum()
    assert count_neighbours(patterns.astype(np.int8), weights.astype(np.int8))[2] == expected


def test_counts_are_those_of_enumeration():
    size, patterns = 19, storage(1, 19, 0.3, np.random.default_rng(3))[0]
    solutions = np.flatnonzero(exhaustive.least_products(patterns) >= 1).astype(np.uint32)
    some = solutions[:: max(1, len(solutions) // 20)]
    counts = exhaustive.distance_counts(some, solutions, size)
    found = [count_neighbours(patterns, weights) for weights in exhaustive.decode(some, size)]
    assert np.array_equal(found, counts[:, 1:4])


def test_without_critical_patterns_all_sets_are_neighbours():
    patterns = np.ones((3, 41), np.int8)
    assert list(count_neighbours(patterns, patterns[0])) == [41, 820, 10660]


@pytest.mark.parametrize("load", [0.3, 0.52])
def test_expected_numbers_are_those_around_random_solutions_of_small_instances(load):
    size, rng, means = 21, np.random.default_rng(7), []
    for instance in storage(150, size, load, rng):
        solutions = np.flatnonzero(exhaustive.least_products(instance) >= 1).astype(np.uint32)
        if len(solutions):
            some = rng.choice(solutions, min(100, len(solutions)), replace=False)
            means.append(exhaustive.distance_counts(some, solutions, size)[:, 1:4].mean(0))
    expected = expected_neighbours(size, pattern_count(size, load) / size, FLIPS)
    error = np.std(means, axis=0) / len(means) ** 0.5
    assert np.all(np.abs(np.mean(means, axis=0) - expected) < 3 * error + 0.3 * expected)


def test_around_a_typical_solution_of_a_thousand_weights_none_is_expected():
    """Worked by hand: N (1 - (1 + 1/N) p / 2)^P, with p the share of patterns whose product is one."""
    assert expected_neighbours(1001, 0.5, 1) == pytest.approx(8e-5, rel=0.1)
    assert expected_neighbours(1001, 0.7, 1) == pytest.approx(2.5e-9, rel=0.1)


def test_errors_on_the_lattice_approach_those_of_large_sizes():
    ends = [float(lattice_error(0.5, size, round(0.05 * size))) for size in (101, 1001, 20001)]
    limit = float(error_after_flips(0.5, 0.0, 0.05))
    assert ends[2] == pytest.approx(limit, rel=5e-3)
    assert abs(ends[2] - limit) < abs(ends[1] - limit) < abs(ends[0] - limit)


def test_errors_on_the_lattice_are_those_of_random_solutions():
    """Rounded flips of few weights are far from the limit of large N, and near theory on the lattice."""
    size, load, rng, found = 21, 0.52, np.random.default_rng(5), []
    for instance in storage(200, size, load, rng):
        solutions = np.flatnonzero(exhaustive.least_products(instance) >= 1).astype(np.uint32)
        if len(solutions):
            some = exhaustive.decode(rng.choice(solutions, min(50, len(solutions)), replace=False), size)
            repeated = np.broadcast_to(instance, (len(some), *instance.shape))
            found.append(flip_errors(repeated, some, [1 / size, 2 / size]).mean(0))
    theory = lattice_error(pattern_count(size, load) / size, size, [1, 2])
    error = np.std(found, axis=0) / len(found) ** 0.5
    assert np.all(np.abs(np.mean(found, axis=0) / theory - 1) < 0.08 + 3 * error / theory)
