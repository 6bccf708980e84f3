"""Replica-symmetric entropy against the literature, plain quadrature, stationarity and exact limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import approx_fprime, brentq
from scipy.stats import norm

from flatminima.errors import UserError
from flatminima.perceptron.gaussian import gaussian_rule, graded_rule, hazard, log_tail, log_two_cosh
from flatminima.perceptron.replica import capacity, maximal_margin, saddle_point


def plain_entropy(overlap, conjugate, alpha, margin):
    """theory.md 3.2 as written, on a fine grid, at any q and qh."""
    z = np.linspace(-10, 10, 4001)
    energy = norm.logsf((margin - np.sqrt(overlap) * z) / np.sqrt(1 - overlap))
    sites = np.logaddexp(np.sqrt(conjugate) * z, -np.sqrt(conjugate) * z)
    return -conjugate * (1 - overlap) / 2 + np.trapezoid(norm.pdf(z) * (sites + alpha * energy), z)


def test_samples_of_theory():
    """theory.md 3.2, to its digits."""
    saddle = saddle_point(0.5, 0.0)
    assert float(saddle.entropy) == pytest.approx(0.31439, abs=5e-6)
    assert float(saddle.overlap) == pytest.approx(0.32239, abs=5e-6)
    assert float(saddle.distance) == pytest.approx(0.339, abs=5e-4)
    assert capacity([0.0, 0.5, 1.0]) == pytest.approx([0.83308, 0.45566, 0.27070], abs=5e-6)
    assert float(maximal_margin(0.5)) == pytest.approx(0.41806, abs=5e-6)
    assert float(saddle_point(0.5, maximal_margin(0.5)).distance) == pytest.approx(0.186, abs=5e-4)


def test_capacity_of_the_literature():
    """Krauth & Mezard 1989: 0.833."""
    assert float(capacity()) == pytest.approx(0.833, abs=5e-4)


@pytest.mark.parametrize(("alpha", "margin"), [(0.5, 0.0), (0.3, 0.6), (0.9, -0.7), (0.02, 0.1), (2.0, -1.5)])
def test_stationary_point_of_the_plain_formula(alpha, margin):
    """Value and vanishing gradient in (q, qh), by finite differences."""
    saddle = saddle_point(alpha, margin)
    at = np.array([float(saddle.overlap), float(saddle.conjugate)])
    assert float(saddle.entropy) == pytest.approx(plain_entropy(*at, alpha, margin), abs=1e-10)
    gradient = approx_fprime(at, lambda x: plain_entropy(*x, alpha, margin), 1e-6)
    assert np.abs(gradient).max() < 1e-5
    away = approx_fprime(at + 0.05, lambda x: plain_entropy(*x, alpha, margin), 1e-6)
    assert np.abs(away).max() > 1e-3


def test_extremum_found_by_nested_minimisation():
    """The same saddle point without its equations: brentq on the q-derivative of the maximum over qh."""

    def slope(function, x, step=1e-4):
        return (function(x + step) - function(x - step)) / (2 * step)

    def conjugate_at(q):
        return brentq(lambda c: slope(lambda x: plain_entropy(q, x, 0.5, 0.0), c), 0.05, 5)

    q = brentq(lambda x: slope(lambda y: plain_entropy(y, conjugate_at(x), 0.5, 0.0), x), 0.2, 0.5, xtol=1e-6)
    assert float(saddle_point(0.5, 0.0).overlap) == pytest.approx(q, abs=1e-5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(alpha=st.floats(0, 0.8), margin=st.floats(-3, 0.2))
def test_bounds_that_hold_for_every_number_of_patterns(alpha, margin):
    """First-moment bound, overlap in [0, 1), small residual, and dphi/dalpha = Int Dz ln H < 0."""
    saddle = saddle_point(alpha, margin)
    annealed = np.log(2) + alpha * norm.logsf(margin)
    assert float(saddle.entropy) <= annealed + 1e-12
    assert 0 <= saddle.overlap < 1
    assert saddle.residual <= 1e-10
    more = saddle_point(alpha + 1e-4, margin)
    z = gaussian_rule(801)
    q = float(saddle.overlap)
    slope = norm.logsf((margin - np.sqrt(q) * z.nodes) / np.sqrt(1 - q)) @ z.weights
    assert float(more.entropy - saddle.entropy) / 1e-4 == pytest.approx(slope, abs=2e-3 * (1 + abs(slope)))


def test_no_patterns():
    """All 2^N weights are solutions of any margin, with no overlap."""
    saddle = saddle_point(0.0, [-1.0, 0.0, 2.0])
    np.testing.assert_allclose(saddle.entropy, np.log(2), atol=1e-14)
    np.testing.assert_array_equal(saddle.overlap, 0)


def test_arrays_broadcast_and_agree_with_single_values():
    alpha, margin = np.array([[0.1], [0.4], [0.6]]), np.array([-0.5, 0.0, 0.2])
    together = saddle_point(alpha, margin)
    assert together.entropy.shape == together.residual.shape == (3, 3)
    for i, j in np.ndindex(3, 3):
        single = saddle_point(alpha[i, 0], margin[j])
        assert float(single.entropy) == pytest.approx(together.entropy[i, j], abs=1e-10)
    assert (np.diff(together.entropy, axis=0) < 0).all()
    assert (np.diff(together.entropy, axis=1) < 0).all()


def test_capacity_and_maximal_margin_are_inverse():
    margins = np.array([-0.8, 0.0, 0.4, 1.5, 2.5])
    np.testing.assert_allclose(maximal_margin(capacity(margins)), margins, atol=1e-9)
    np.testing.assert_allclose(saddle_point(capacity(margins), margins).entropy, 0, atol=1e-9)


def test_margins_of_few_patterns():
    """For alpha -> 0 clipped Hebbian weights are optimal: kappa_max sqrt(alpha) -> sqrt(2 / pi) = 0.798."""
    scaled = maximal_margin(np.array([0.3, 0.1, 0.05])) * np.sqrt([0.3, 0.1, 0.05])
    assert (np.diff(scaled) > 0).all()
    assert np.sqrt(2 / np.pi) - 0.05 < scaled[-1] < np.sqrt(2 / np.pi)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: saddle_point(-0.1), "alpha: -0.1 given"),
        (lambda: saddle_point(np.nan), "alpha: nan given"),
        (lambda: saddle_point(0.5, np.inf), "margin: not a finite number"),
        (lambda: saddle_point(1.4, 0.0), "no replica-symmetric saddle point"),
        (lambda: saddle_point([0.1, 0.6], 1.0), "0.6, 1; take smaller"),
        (lambda: maximal_margin(0.0), "alpha: 0.0 given; expected a positive number"),
        (lambda: capacity(np.nan), "margin: not a finite number"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_special_functions_at_their_extremes():
    x = np.array([-60.0, -3.0, 0.0, 2.0, 30.0, 1e3])
    np.testing.assert_allclose(log_tail(x), norm.logsf(x), rtol=1e-13)
    np.testing.assert_allclose(hazard(x), np.exp(norm.logpdf(x) - norm.logsf(x)), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(log_two_cosh(x), np.logaddexp(x, -x), rtol=1e-14)


@pytest.mark.parametrize(("centre", "length"), [(0.3, 1e-6), (0.0, 1e-3), (5.0, 0.1), (0.5, 3.0)])
def test_graded_rule_integrates_a_steep_step(centre, length):
    rule = graded_rule(-2.0, 3.0, centre, length, 12)
    exact = quad(lambda x: norm.cdf((x - centre) / length), -2, 3, points=[min(centre, 2.99)], epsabs=1e-13)[0]
    assert rule.weights @ norm.cdf((rule.nodes - centre) / length) == pytest.approx(exact, abs=1e-9)
    assert rule.weights.sum() == pytest.approx(5.0, abs=1e-13)
