"""Gradient descent on quadratic losses, by its closed form."""

import numpy as np
import pytest

from flatminima.stability.descent import distance_ratio


@pytest.mark.parametrize("multiple", [0.5, 0.9, 1.1])
def test_each_eigenvector_is_multiplied_by_its_own_factor(multiple):
    """docs/stability.md: |1 - eta lambda|^t for sharpness 4, eta = multiple / 2."""
    ratio = distance_ratio(np.diag([1.0, 4.0])[None], np.array([[0.0, 3.0]]), np.array([multiple * 2 / 4]), 10)
    assert ratio == pytest.approx([abs(1 - 2 * multiple) ** 10])


def test_what_exceeds_all_numbers_is_infinite():
    assert distance_ratio(np.eye(1)[None], np.ones((1, 1)), np.array([1e3]), 1000) == np.inf
