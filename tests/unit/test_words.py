"""Cases of a perceptron are told apart by N and alpha, those of a network by depth and step."""

import pytest

from flatminima.claims.words import WORDS


@pytest.mark.parametrize(
    ("column", "shapes", "settings"),
    [("depth", "depths 2, 3", "steps 0.3 to 0.95"), ("size", "N = 2, 3", "α = 0.3 to 0.95")],
)
def test_several_are_named_once(column, shapes, settings):
    assert WORDS[column].shapes({3, 2}) == shapes
    assert WORDS[column].settings({0.95, 0.3, 0.5}) == settings


def test_one_is_singular():
    assert WORDS["depth"].shapes({2}) == "depth 2"
    assert WORDS["depth"].settings({0.5}) == "step 0.5"
    assert WORDS["size"].settings({0.74}) == "α = 0.74"


def test_size_zero_stands_for_infinitely_many_weights():
    assert WORDS["size"].shapes({0}) == "N = ∞"
    assert WORDS["size"].size(501) == "501"
