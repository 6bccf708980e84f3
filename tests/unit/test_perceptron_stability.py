"""Stabilities of typical solutions and errors after flips against adaptive quadrature, limits and sampling."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from flatminima.errors import UserError
from flatminima.perceptron.replica import maximal_margin, saddle_point
from flatminima.perceptron.stability import error_after_flips, stability_density
from flatminima.seeding import sequence

CASES = [(0.5, 0.0), (0.5, 0.418), (0.3, -0.5), (0.8, 0.0), (0.1, 2.2), (0.0, 0.3)]


def plain_density(alpha, margin, stability):
    """theory.md 3.4 as written, by adaptive quadrature."""
    q = float(saddle_point(alpha, margin).overlap)

    def integrand(x):
        kept = norm.logsf((margin - np.sqrt(q) * x) / np.sqrt(1 - q))
        return np.exp(norm.logpdf(x) + norm.logpdf((stability - np.sqrt(q) * x) / np.sqrt(1 - q)) - kept)

    return quad(integrand, -12, 12, epsabs=1e-13, limit=200)[0] / np.sqrt(1 - q) if stability >= margin else 0.0


@pytest.mark.parametrize(("alpha", "margin"), CASES)
def test_density_is_one_of_adaptive_quadrature(alpha, margin):
    stabilities = margin + np.array([-0.1, 0.0, 0.05, 0.7, 3.0])
    expected = [plain_density(alpha, margin, s) for s in stabilities]
    np.testing.assert_allclose(stability_density(alpha, margin, stabilities), expected, atol=1e-10)
    pieces = [quad(lambda s: float(stability_density(alpha, margin, s)), margin + a, margin + a + 5)[0] for a in (0, 5)]
    assert sum(pieces) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("alpha", "margin"), CASES)
def test_mean_stability_follows_from_the_saddle_point(alpha, margin):
    """By parts over D: <D> = sqrt(1 - q) <G(e)>, an integral over x alone."""
    saddle = saddle_point(alpha, margin)
    q = float(saddle.overlap)
    x = np.linspace(-9, 9, 2001)
    e = (margin - np.sqrt(q) * x) / np.sqrt(1 - q)
    mean = np.sqrt(1 - q) * np.trapezoid(norm.pdf(x) * np.exp(norm.logpdf(e) - norm.logsf(e)), x)
    found = quad(lambda s: s * float(stability_density(alpha, margin, s)), margin, margin + 10, epsabs=1e-11)[0]
    assert found == pytest.approx(mean, abs=1e-8)


@pytest.mark.parametrize(("alpha", "margin"), CASES)
def test_errors_are_those_of_adaptive_quadrature(alpha, margin):
    for fraction in (0.01, 0.2, 0.6):
        slope = (1 - 2 * fraction) / np.sqrt(1 - (1 - 2 * fraction) ** 2)
        expected = quad(
            lambda s, k=slope: float(stability_density(alpha, margin, s)) * norm.sf(k * s),
            margin,
            margin + 12,
            points=[max(margin, 0)],
            epsabs=1e-12,
            limit=200,
        )[0]
        assert float(error_after_flips(alpha, margin, fraction)) == pytest.approx(expected, abs=1e-10)


def test_limits_of_few_half_and_all_flips():
    """No flip, no error; half of them, a coin toss; all of them, all patterns wrong. Few: P(0) sqrt(2 d / pi)."""
    np.testing.assert_allclose(error_after_flips(0.5, 0.0, [0.0, 0.5, 1.0]), [0, 0.5, 1], atol=1e-10)
    few = np.array([1e-10, 1e-8, 1e-6])
    first_order = stability_density(0.5, 0.0, 0.0) * np.sqrt(2 * few / np.pi)
    np.testing.assert_allclose(error_after_flips(0.5, 0.0, few), first_order, rtol=3e-3)
    np.testing.assert_allclose(error_after_flips(0.5, 0.0, few[:2]), first_order[:2], rtol=3e-4)


def test_flips_do_less_harm_to_larger_margins():
    margins = [0.0, 0.2, float(maximal_margin(0.5))]
    errors = np.array([error_after_flips(0.5, margin, [0.01, 0.05, 0.2]) for margin in margins])
    assert (np.diff(errors, axis=0) < 0).all()
    assert (np.diff(errors, axis=1) > 0).all()


def test_a_solution_drawn_among_all_weights():
    """alpha -> 0, margin 0: stabilities are half-normal; flip a fraction of random weights that meet one pattern."""
    generator = np.random.default_rng(sequence("perceptron", "flips"))
    size, flips, trials = 401, 40, 4000
    pattern = generator.standard_normal((trials, size))
    weights = generator.choice([-1.0, 1.0], (trials, size))
    weights *= np.sign((pattern * weights).sum(1, keepdims=True))
    order = generator.random((trials, size)).argsort(1)[:, :flips]
    flipped = weights.copy()
    np.put_along_axis(flipped, order, -np.take_along_axis(weights, order, 1), 1)
    share = ((pattern * flipped).sum(1) < 0).mean()
    expected = float(error_after_flips(0.0, 0.0, flips / size))
    assert expected == pytest.approx(np.arccos(1 - 2 * flips / size) / np.pi, abs=1e-9)
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected / trials))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, np.nan])
def test_fractions_outside_the_range_are_refused(fraction):
    with pytest.raises(UserError, match="expected fractions of weights"):
        error_after_flips(0.5, 0.0, fraction)
