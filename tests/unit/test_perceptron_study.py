"""The parts of a perceptron study: against theory.md's numbers, brute force, and definitions of their statistics."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from perceptron_study import SIZE, attempts, enumeration, surveyed, theory
from scipy.stats import binom

from flatminima.perceptron.attempts import attempt_instances, attempted
from flatminima.perceptron.enumeration import enumerate_perceptrons
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.instances import storage
from flatminima.perceptron.neighbours import FLIPS, count_neighbours, expected_neighbours
from flatminima.perceptron.replica import maximal_margin, saddle_point
from flatminima.perceptron.stability import first_moment_distance
from flatminima.perceptron.survey import planted_solutions
from flatminima.perceptron.typical import surroundings, typical_solutions
from flatminima.seeding import sequence
from flatminima.stages.transitions import thresholds

KEY = ["case", "control", "size", "alpha", "seed", "statistic", "distance", "flips"]


def values(table, case, statistic, control=""):
    chosen = table[(table["case"] == case) & (table["control"] == control) & (table["statistic"] == statistic)]
    return chosen.sort_values(["alpha", "size", "seed", "distance", "flips"])["value"].to_numpy()


def points(curves, name, y=None):
    chosen = curves[(curves["curve"] == name) & ((curves["y"] == y) if y is not None else True)]
    return chosen.sort_values("x").set_index("x")["value"]


@pytest.fixture(scope="module")
def typical():
    return typical_solutions("test", theory(loads=[0.5, 0.7]))


@pytest.fixture(scope="module")
def around():
    return surroundings("test", theory())


@pytest.fixture(scope="module")
def enumerated():
    return enumerate_perceptrons("test", enumeration())


@pytest.fixture(scope="module")
def solved():
    return surveyed("sgd")


def test_typical_solutions(typical):
    """theory.md 3.2 and 3.3: phi(.5, 0) = .31439, which is all lost at the maximal margin; distances .339 and .186."""
    measures, curves = typical
    assert values(measures, "margin_solutions", "rarity")[1] == pytest.approx(0.31439, abs=1e-5)
    assert values(measures, "margin_solutions", "distance_ratio")[1] == pytest.approx(0.186 / 0.339, abs=2e-3)
    assert (values(measures, "margin_solutions", "rarity", "negative") < 0).all()
    assert (values(measures, "margin_solutions", "distance_ratio", "negative") > 1).all()
    fractions = measures.groupby("control")["margin"].agg(lambda margins: sorted(set(margins)))
    assert fractions.to_dict() == {"": [0.5, 1], "negative": [-1, -0.5], "slight": [0.01]}
    assert points(curves, "capacity")[0.0] == pytest.approx(0.83308, abs=1e-5)
    assert points(curves, "entropy", 0.5)[0.0] == pytest.approx(0.31439, abs=1e-5)


def test_surroundings(around):
    """theory.md 3.3 at alpha = .5: isolated up to .0070, positive and rising around solutions of maximal margin."""
    measures, curves = around
    assert values(measures, "zero_margin", "isolation") == pytest.approx([0.0070], abs=5e-5)
    near = local_entropy(0.5, [first_moment_distance(0.5)], 0.0).entropy
    assert values(measures, "zero_margin", "near_entropy") == pytest.approx(near, abs=1e-9)
    assert near < 0 < values(measures, "high_margin", "near_entropy")
    assert values(measures, "high_margin", "least_entropy") > 0 > values(measures, "zero_margin", "least_entropy")
    assert values(measures, "high_margin", "least_slope") > 0
    assert (values(measures, "ordering", "lead") > 0).all()
    assert (values(measures, "ordering", "lead", "far") < 0).all()
    assert (np.abs(values(measures, "reversals", "reversal") - 0.3) < 0.05).all()
    fractions = measures.drop_duplicates(["case", "seed"]).set_index("case")["margin"]
    assert (fractions["zero_margin"], fractions["high_margin"]) == (0, 1)
    assert fractions["ordering"].tolist() == fractions["reversals"].tolist() == [0.5, 1]
    assert len(points(curves, "local_entropy", 0.0)) == 13


def test_inside_the_gap_points_are_missing_and_nothing_is_made_up():
    measures, curves = surroundings("test", theory(distances=[1e-4, 0.45]))
    assert points(curves, "local_entropy", 0.0).index.min() > 3e-4
    assert values(measures, "zero_margin", "smallest_distance") > 3e-4
    assert values(measures, "high_margin", "smallest_distance") == 1e-4


def test_thresholds():
    """theory.md 3.3: monotone up to .729, no gap up to about .748, capacity .833."""
    measures, curves = thresholds("test", theory(loads=[0.5]))
    assert values(measures, "thresholds", "monotone_load") == pytest.approx([0.729], abs=5e-4)
    assert values(measures, "thresholds", "connected_load") == pytest.approx([0.748], abs=5e-4)
    assert values(measures, "thresholds", "capacity") == pytest.approx([0.833], abs=5e-4)
    order = [points(curves, name)[0.5] for name in ("connected_margin", "monotone_margin", "maximal_margin")]
    assert order == sorted(order)
    assert order[2] == pytest.approx(0.41806, abs=1e-5)


def test_enumeration_against_brute_force(enumerated):
    """Rarity and mean distances recomputed from all 2^11 weights, over the same instances."""
    measures, _ = enumerated
    size, generator = 11, np.random.default_rng(sequence("test", "enumeration", 11, "0.5"))
    patterns = storage(40, size, 0.5, generator).astype(int)
    weights = np.array(list(product([-1, 1], repeat=size)))
    logs, apart = {1: [], 3: []}, {1: [], 3: []}
    for instance in patterns:
        least = (weights @ instance.T).min(1)
        for level in (1, 3):
            found = weights[least >= level]
            if len(found):
                logs[level].append(np.log(len(found)) / size)
            if len(found) > 1:
                distances = (size - found @ found.T) / 2 / size
                apart[level].append(distances.sum() / (len(found) * (len(found) - 1)))
    own = measures[(measures["case"] == "enumerated") & (measures["control"] == "") & (measures["size"] == size)]
    first = own.set_index("statistic")["value"]
    assert first["rarity"] == pytest.approx(np.mean(logs[1]) - np.mean(logs[3]), abs=1e-12)
    assert first["distance_ratio"] == pytest.approx(np.mean(apart[3]) / np.mean(apart[1]), rel=1e-12)


def test_enumeration_agrees_with_theory_and_not_with_another(enumerated):
    measures, curves = enumerated
    assert (values(measures, "enumerated", "count_error") < 0.03).all()
    assert (values(measures, "enumerated", "local_error") < 0.05).all()
    assert (values(measures, "enumerated", "count_error", "other_load") > 0.1).all()
    assert (values(measures, "enumerated", "local_error", "other_load") > 0.1).all()
    assert (values(measures, "enumerated", "rarity", "negative") < 0).all()
    exact, expected = (points(curves, name).iloc[:-1] for name in ("exact_local", "exact_local_theory"))
    assert exact.to_numpy() == pytest.approx(expected.to_numpy(), abs=0.05)


def test_the_first_moment_bounds_isolation_from_below():
    """theory.md 3.3 has d0 = .0070 at alpha = .5: a mean bounds a typical number from above."""
    assert 0.5 * 0.0070 < first_moment_distance(0.5) < 0.0070


def test_ranges_of_the_order_of_surroundings_are_distances_between_solutions(around):
    """Compared up to the typical distance at maximal margin, .186, and in the control from the one at zero, .339."""
    measures, _ = around
    apart = saddle_point(0.5, np.array([0.0, float(maximal_margin(0.5))])).distance
    assert apart == pytest.approx([0.339, 0.186], abs=1e-3)
    drawn = np.geomspace(1e-3, 0.45, 12)
    lead = measures[measures["statistic"] == "lead"].groupby("control")["distance"].agg(lambda d: sorted(set(d)))
    assert lead[""] == pytest.approx(sorted([*drawn[drawn <= apart[1]], first_moment_distance(0.5)]))
    assert lead["far"] == pytest.approx(drawn[drawn >= apart[0]])


def test_a_solver_is_followed_by_instance(solved):
    """At alpha = .3 solved, at .9, beyond capacity, not; solutions have denser surroundings than typical ones."""
    measures, curves, _ = solved
    assert values(measures, "attempts_sgd", "solved").tolist() == [1, 1, 0, 0]
    assert set(measures["size"]) == {SIZE}
    assert set(measures["solver"]) == {"sgd"}
    assert (measures["setting"] == measures["alpha"]).all()
    assert sorted(set(measures["distance"].dropna())) == [0.02, 0.05]
    assert sorted(set(measures["flips"])) == [0, 1, 2, 3]
    ratios = values(measures, "attempts_sgd", "flip_error_ratio").reshape(4, 2)
    assert (ratios[:2] < 1).all()
    assert np.isnan(ratios[2:]).all()
    excess = values(measures, "attempts_sgd", "local_entropy_excess").reshape(4, 2)
    assert (excess[0] > 0).all()
    assert np.isnan(excess[1:]).all()
    theory_entropy = local_entropy(0.3, [0.02, 0.05], 0.0).entropy
    assert points(curves, "bp_entropy_sgd", 0.3).to_numpy() - theory_entropy == pytest.approx(excess[0], abs=1e-12)


def test_neighbours_are_counted_around_solutions_alone(solved):
    measures, _, found = solved
    counts = values(measures, "attempts_sgd", "neighbours").reshape(4, 3)
    patterns = storage(2, SIZE, 0.3, np.random.default_rng(sequence("test", "attempts", SIZE, "0.3", "patterns")))
    weights = 2 * np.unpackbits(found["weights_0.3"], axis=1, count=SIZE).astype(np.int8) - 1
    assert np.array_equal(counts[:2], [count_neighbours(p, w) for p, w in zip(patterns, weights, strict=True)])
    assert np.isnan(counts[2:]).all()
    expected = values(measures, "attempts_sgd", "expected_neighbours").reshape(4, 3)
    assert expected[0] == pytest.approx(expected_neighbours(SIZE, 0.3, FLIPS))
    assert values(measures, "attempts_sgd", "log_neighbours")[:3] == pytest.approx(np.log10(1 + counts[0]))


def test_planted_solutions_have_the_neighbours_that_independent_patterns_leave():
    """Around a planted solution patterns are independent, each kept by a flip but for half of those of product one."""
    measures = planted_solutions("test", SIZE, attempts(loads=[0.3], instances=400))
    odd = np.arange(1, SIZE + 1, 2)
    heads = binom.pmf((SIZE + odd) // 2, SIZE, 0.5)
    critical = heads[0] / heads.sum()
    expected = SIZE * (1 - critical * (1 + 1 / SIZE) / 2) ** round(0.3 * SIZE)
    for control in ("", "again"):
        counts = values(measures, "planted", "neighbours", control).reshape(-1, 3)[:, 0]
        assert counts.mean() == pytest.approx(expected, abs=4 * counts.std() / len(counts) ** 0.5)
    first, again = (values(measures, "planted", "neighbours", control) for control in ("", "again"))
    assert not np.array_equal(first, again)


@pytest.mark.parametrize("part", ["typical", "around", "enumerated", "solved"])
def test_rows_are_told_apart(part, request):
    measures, curves = request.getfixturevalue(part)[:2]
    assert not measures.duplicated(KEY).any()
    assert not curves.duplicated(["curve", "x", "y"]).any()


def test_the_same_seed_gives_the_same_rows(solved):
    again, _, _ = surveyed("sgd")
    pd.testing.assert_frame_equal(again, solved[0])


def test_the_solutions_that_are_kept_are_solutions(solved):
    """Unpacked, and put to the instances drawn again from their names: all stabilities are positive."""
    arrays = solved[2]
    drawn = np.random.default_rng(sequence("test", "attempts", SIZE, "0.3", "patterns"))
    patterns = storage(2, SIZE, 0.3, drawn).astype(int)
    weights = 2 * np.unpackbits(arrays["weights_0.3"], axis=1, count=SIZE).astype(int) - 1
    assert arrays["solved_0.3"].all()
    assert (np.einsum("ipn,in->ip", patterns, weights) > 0).all()
    assert not arrays["solved_0.9"].any()


def test_solutions_at_a_load_of_many_digits_are_found_again():
    """1/3, of which six digits would name other instances."""
    load = 1 / 3
    arrays = attempt_instances("test", "sgd", SIZE, attempts(loads=[load], instances=1))
    ((found, patterns, solutions),) = attempted("test", SIZE, arrays)
    assert found == load
    assert solutions.solved.all()
    assert (np.einsum("ipn,in->ip", patterns.astype(int), solutions.weights.astype(int)) > 0).all()
