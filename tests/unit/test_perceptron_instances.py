"""Random and planted instances against the binomial distribution of their stabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from flatminima.errors import UserError
from flatminima.perceptron.instances import planted, products, stabilities, storage, threshold


def test_storage_patterns_are_fair_signs():
    patterns = storage(4, 501, 0.5, np.random.default_rng(0))
    assert patterns.shape == (4, 250, 501)
    assert set(np.unique(patterns)) == {-1, 1}
    assert abs(patterns.mean()) < 5 / patterns.size**0.5


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_planted_stabilities_follow_the_truncated_binomial(margin):
    size = 101
    instances = planted(40, size, 2.0, margin, np.random.default_rng(1))
    found = products(instances.patterns, instances.reference)
    wrong = np.arange(size + 1)
    law = binom.pmf(wrong, size, 0.5) * (size - 2 * wrong >= margin * size**0.5)
    law /= law.sum()
    mean = law @ (size - 2 * wrong)
    deviation = np.sqrt(law @ (size - 2 * wrong - mean) ** 2)
    assert found.min() >= margin * size**0.5
    assert abs(found.mean() - mean) < 5 * deviation / found.size**0.5
    assert found.std() == pytest.approx(deviation, rel=0.05)


def test_planted_patterns_favour_no_place():
    """Each weight agrees with the patterns as often as any other, up to chance."""
    instances = planted(50, 51, 20.0, 0.0, np.random.default_rng(2))
    agreement = (instances.patterns * instances.reference[:, None]).mean((0, 1), dtype=float)
    assert agreement.std() < 2 / (50 * 1020) ** 0.5
    assert agreement.mean() == pytest.approx(np.sqrt(2 / np.pi / 51), rel=0.05)


@given(st.integers(0, 200).map(lambda k: 2 * k + 1), st.floats(-3, 3))
def test_threshold_is_the_least_odd_integer_of_enough_stability(size, margin):
    level = threshold(size, margin)
    assert level % 2 == 1
    assert level / size**0.5 >= margin - 1e-9
    assert (level - 2) / size**0.5 < margin


def test_threshold_of_a_margin_that_is_a_stability_is_that_stability():
    for size in (21, 101, 2001):
        assert all(threshold(size, level / size**0.5) == level for level in range(1, 21, 2))


def test_stabilities_in_plain_integers():
    patterns = storage(2, 7, 1.0, np.random.default_rng(3))
    weights = storage(1, 7, 2 / 7, np.random.default_rng(4))[0]
    for i, instance in enumerate(patterns.tolist()):
        for mu, pattern in enumerate(instance):
            total = sum(a * b for a, b in zip(pattern, weights[i].tolist(), strict=True))
            assert stabilities(patterns, weights)[i, mu] == pytest.approx(total / 7**0.5)


def test_same_seed_same_bytes():
    one, two = (planted(3, 31, 0.5, 0.2, np.random.default_rng(5)) for _ in range(2))
    assert one.patterns.tobytes() == two.patterns.tobytes()
    assert one.reference.tobytes() == two.reference.tobytes()


def test_bad_input_is_named():
    generator = np.random.default_rng(0)
    with pytest.raises(UserError, match="N is 100"):
        storage(1, 100, 0.5, generator)
    for load in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match=f"alpha is {load}"):
            storage(1, 101, load, generator)
    with pytest.raises(UserError, match=r"margin is 11.*10\.05"):
        planted(1, 101, 0.5, 11.0, generator)
