"""Thresholds of the local entropy against scans of the curves just above and below them."""

import numpy as np
import pytest

from flatminima.errors import UserError
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.replica import capacity, maximal_margin
from flatminima.perceptron.thresholds import (
    connected_load,
    connected_margins,
    isolation_distance,
    monotone_load,
    monotone_margins,
    reversal_distance,
)

DISTANCES = np.geomspace(1e-3, 0.2, 40)


def lowest(alpha, margin):
    """Least entropy per distance, and least derivative, over a scan of the curve up to d = 0.2."""
    curve = local_entropy(alpha, DISTANCES, margin)
    return (curve.entropy / DISTANCES).min(), curve.derivative.min()


@pytest.mark.parametrize(("alpha", "value", "digits"), [(0.5, 0.0070, 5e-5), (0.8, 0.1052, 5e-5)])
def test_typical_solutions_are_isolated(alpha, value, digits):
    """theory.md 3.3 (its .106 for alpha = .8 is .1052); the entropy changes sign there."""
    distance = isolation_distance(alpha)
    assert distance == pytest.approx(value, abs=digits)
    below, at, above = local_entropy(alpha, distance * np.array([0.99, 1, 1.01]), 0.0).entropy
    assert below < 0 < above
    assert at == pytest.approx(0, abs=1e-9)


def test_isolation_grows_with_the_number_of_patterns():
    distances = [isolation_distance(alpha) for alpha in (0.4, 0.6, 0.75)]
    assert (np.diff(distances) > 0).all()


def test_margins_at_which_the_gap_and_the_fall_vanish():
    """A scan sees a gap 2 % below kappa_min and none 2 % above; so for kappa_u and a decrease."""
    alphas = [0.72, 0.66]
    for alpha, gap, fall in zip(alphas, connected_margins(alphas), monotone_margins(alphas), strict=True):
        assert gap.alpha == fall.alpha == alpha
        assert max(gap.residual, fall.residual) < 1e-6
        assert lowest(alpha, 0.98 * gap.margin)[0] < 0 < lowest(alpha, 1.02 * gap.margin)[0]
        assert lowest(alpha, 0.98 * fall.margin)[1] < 0 < lowest(alpha, 1.02 * fall.margin)[1]
        touch = local_entropy(alpha, gap.distance, gap.margin)
        assert (float(touch.entropy), float(touch.derivative)) == pytest.approx((0, 0), abs=1e-7)
        assert local_entropy(alpha, fall.distance, fall.margin).derivative == pytest.approx(0, abs=1e-6)
        assert 0 < gap.margin < fall.margin < maximal_margin(alpha)


@pytest.mark.parametrize(
    ("threshold", "value", "digits", "column"), [(connected_load, 0.748, 1e-3, 0), (monotone_load, 0.729, 5e-4, 1)]
)
def test_loads_at_which_even_the_largest_margin_fails(threshold, value, digits, column):
    """theory.md 3.3, and scans of the curves of maximal margin on both sides."""
    load = threshold()
    assert load.alpha == pytest.approx(value, abs=digits)
    assert load.margin == pytest.approx(float(maximal_margin(load.alpha)), abs=1e-12)
    assert load.alpha < capacity()
    below, above = (lowest(a, float(maximal_margin(a)) - 1e-12)[column] for a in (load.alpha - 2e-3, load.alpha + 2e-3))
    assert below > 0 > above


def test_thresholds_meet_at_the_largest_margin():
    """kappa_min(alpha) ends where it reaches kappa_max(alpha): two ways to one point."""
    load = connected_load()
    (last,) = connected_margins([load.alpha - 1e-6])
    assert last.margin == pytest.approx(load.margin, abs=1e-5)
    assert last.distance == pytest.approx(load.distance, rel=1e-3)


def test_the_order_of_margins_reverses():
    distance = reversal_distance(0.5, 0.0, 0.2)
    assert 0.25 < distance < 0.35
    low, high = (local_entropy(0.5, distance * np.array([0.99, 1, 1.01]), margin).entropy for margin in (0.0, 0.2))
    assert high[0] > low[0]
    assert high[1] == pytest.approx(low[1], abs=1e-8)
    assert high[2] < low[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: connected_margins([0.76]), "0.76 given; there, no margin up to the maximal one"),
        (lambda: monotone_margins([0.74]), "0.74 given; there, no margin up to the maximal one"),
        (lambda: isolation_distance(0.5, 0.3), "does not turn negative"),
        (lambda: isolation_distance(-1.0), "alpha: -1.0 given"),
        (lambda: reversal_distance(0.5, 0.2, 0.0), "order does not reverse"),
    ],
)
def test_what_does_not_exist_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
