"""Cases of a perceptron are told apart by N and alpha, those of a network by depth and step."""

import pytest

from flatminima.claims.words import words


@pytest.mark.parametrize(
    ("experiment", "depths", "steps"),
    [
        ("linear", "depths 2, 3", "steps 0.3 to 0.95"),
        ("linear-unbalanced", "depths 2, 3", "steps 0.3 to 0.95"),
        ("attempts_sgd", "N = 2, 3", "α = 0.3 to 0.95"),
        ("planted_again", "N = 2, 3", "α = 0.3 to 0.95"),
        ("margin_solutions-negative", "N = 2, 3", "α = 0.3 to 0.95"),
    ],
)
def test_several_are_named_once(experiment, depths, steps):
    assert words(experiment).depths({3, 2}) == depths
    assert words(experiment).steps({0.95, 0.3, 0.5}) == steps


def test_one_is_singular():
    assert words("relu").depths({2}) == "depth 2"
    assert words("relu").steps({0.5}) == "step 0.5"
    assert words("attempts_sbpi").steps({0.74}) == "α = 0.74"
