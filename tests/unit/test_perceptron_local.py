"""Local entropy around typical solutions: samples, exact limits, and the formula of theory.md 3.3 as written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr, ndtr

from flatminima.errors import UserError
from flatminima.perceptron.franz_parisi import Curve, local_entropy
from flatminima.perceptron.local_saddle import Saddle
from flatminima.perceptron.replica import maximal_margin, saddle_point

ALPHA = 0.5
LARGEST = float(maximal_margin(ALPHA))


def grid(points):
    """Nodes and weights of a Gaussian average by the trapezoidal rule."""
    z = np.linspace(-9, 9, points)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def plain(variables, alpha, distance, reference, margin):
    """phi_FP of theory.md 3.3 as written, in (q1, q1h, t0, t0h, th), each average on a plain grid."""
    q1, q1h, t0, t0h, th = variables
    kt, qt, qht = reference
    t = 1 - 2 * distance
    (x, dx), (y, dy) = grid(161), grid(361)
    f = np.sqrt(qht) * x
    sites = 0.0
    for s in (-1, 1):
        argument = (t0h / np.sqrt(qht) * x)[:, None] + np.sqrt(q1h - t0h**2 / qht) * y + s * (th - t0h)
        sites += (dx * np.exp(s * f) / (2 * np.cosh(f))) @ np.logaddexp(argument, -argument) @ dy
    e = (kt - np.sqrt(qt) * x) / np.sqrt(1 - qt)
    c = (t - t0) / np.sqrt(1 - qt)
    g = np.sqrt(q1 - t0**2 / qt - c**2)
    a = np.hypot(c, g)
    kept = ndtr(-(a * e[:, None] - c * y) / g)
    tail = log_ndtr(-(margin - (t0 / np.sqrt(qt) * x)[:, None] - a * y) / np.sqrt(1 - q1))
    patterns = (dx / ndtr(-e)) @ (kept * tail) @ dy
    return -q1h * (1 - q1) / 2 - th * t + t0h * t0 + sites + alpha * patterns


def variables(curve, distance):
    """(q1, q1h, t0, t0h, th) of the saddle point, and the point."""
    (point,) = curve.follow(np.array([distance]))
    slope, variance, mean = point.fields
    _, _, q1, t0, _ = point.row
    t0h = slope * np.sqrt(curve.conjugate)
    return np.array([q1, variance + slope**2, t0, t0h, mean + t0h]), point


def test_samples_of_theory():
    """theory.md 3.3, to its digits."""
    for kt, distance, value in [(0, 0.1, 0.16466), (LARGEST, 0.1, 0.22183), (0, 0.01, 0.00620), (0.2, 0.01, 0.04401)]:
        assert float(local_entropy(ALPHA, distance, kt).entropy) == pytest.approx(value, abs=5e-6)


@pytest.mark.parametrize(
    ("alpha", "kt", "margin", "distance"),
    [(0.5, 0.0, 0.0, 0.1), (0.5, 0.3, 0.0, 0.25), (0.5, 0.3, 0.1, 0.2), (0.7, 0.1, 0.0, 0.08), (0.3, 0.4, -0.2, 0.45)],
)
def test_stationary_point_of_the_formula_as_written(alpha, kt, margin, distance):
    """Value, vanishing gradient in all five variables, and the derivative in d at fixed variables."""
    curve = Curve.around(alpha, kt, margin)
    reference = kt, curve.overlap, curve.conjugate
    at, point = variables(curve, distance)
    assert point.entropy == pytest.approx(plain(at, alpha, distance, reference, margin), abs=1e-9)
    for shift in 1e-4 * np.eye(5):
        up, down = (plain(at + s * shift, alpha, distance, reference, margin) for s in (1, -1))
        assert abs(up - down) / 2e-4 < 1e-6
    up, down = (plain(at, alpha, distance + s * 1e-4, reference, margin) for s in (1, -1))
    assert point.derivative == pytest.approx((up - down) / 2e-4, abs=1e-5)


def test_no_patterns_leave_the_binary_entropy():
    distances = np.array([0.5, 1e-4, 0.3, 0.01, 0.1])
    curve = local_entropy(0.0, distances, 0.7)
    with np.errstate(divide="ignore"):
        exact = -distances * np.log(distances) - (1 - distances) * np.log(1 - distances)
    np.testing.assert_allclose(curve.entropy, exact, atol=1e-11)
    np.testing.assert_allclose(curve.derivative, np.log((1 - distances) / distances), atol=1e-9)
    np.testing.assert_allclose(curve.overlap, (1 - 2 * distances) ** 2, atol=1e-12)


@pytest.mark.parametrize(("alpha", "kt"), [(0.5, 0.0), (0.5, 0.2), (0.5, LARGEST), (0.75, 0.03)])
def test_the_derivative_is_that_of_the_entropy(alpha, kt):
    distances = np.array([0.4, 0.2, 0.05, 0.02])
    ahead, behind = (local_entropy(alpha, distances * (1 + s), kt).entropy for s in (1e-3, -1e-3))
    slope = local_entropy(alpha, distances, kt).derivative
    np.testing.assert_allclose(slope, (ahead - behind) / (2e-3 * distances), atol=1e-4)


@pytest.mark.parametrize(
    ("alpha", "kt", "margin"), [(0.5, 0.0, 0.0), (0.5, 0.3, 0.0), (0.5, 0.2, 0.2), (0.7, 0.1, -0.1)]
)
def test_the_largest_local_entropy_is_the_whole_entropy(alpha, kt, margin):
    """For every reference; and for kt = kappa it sits at the typical distance (1 - qt) / 2."""
    distances = np.linspace(0.25, 0.45, 9)
    curve = local_entropy(alpha, distances, kt, margin)
    total = saddle_point(alpha, margin)
    assert (curve.entropy <= total.entropy + 1e-10).all()
    typical = np.interp(0, -curve.derivative, distances)
    for _ in range(4):
        near = local_entropy(alpha, typical + np.array([-1e-4, 1e-4]), kt, margin)
        typical = typical - near.derivative.mean() * 2e-4 / np.diff(near.derivative)[0]
    best = local_entropy(alpha, typical, kt, margin)
    assert float(best.entropy) == pytest.approx(float(total.entropy), abs=1e-9)
    assert float(best.reference_overlap) == pytest.approx(1 - 2 * typical, abs=1e-6)
    if kt == margin:
        assert typical == pytest.approx(float(total.distance), abs=1e-7)
        assert float(best.overlap) == pytest.approx(float(total.overlap), abs=1e-6)


def test_far_from_a_reference_of_high_margin_the_order_of_margins_reverses():
    """theory.md 3.3: more local entropy up to d about 0.25, less beyond about 0.35."""
    margins = [0.0, 0.2, LARGEST]
    near, far = (np.array([local_entropy(ALPHA, d, kt).entropy for kt in margins]) for d in ([0.02, 0.25], [0.36, 0.5]))
    assert (np.diff(near, axis=0) > 0).all()
    assert (np.diff(far, axis=0) < 0).all()


@pytest.mark.parametrize(("kt", "smallest"), [(0.0, 2e-3), (0.05, 1e-4), (0.2, 1e-4), (LARGEST, 1e-4)])
def test_finer_rules_change_nothing(kt, smallest):
    curve = Curve.around(ALPHA, kt)
    for point in curve.follow(np.geomspace(smallest, 0.5, 8)):
        results = [Saddle(curve, point.distance, level).results(point.fields) for level in (1, 2, 4)]
        np.testing.assert_allclose(results[:2], [results[2]] * 2, atol=1e-9, rtol=0)
        assert point.row[-1] <= 1e-9


@settings(max_examples=15, deadline=None, derandomize=True)
@given(alpha=st.floats(0.05, 0.7), share=st.floats(0.3, 1), distance=st.floats(0.01, 0.5))
def test_bounds(alpha, share, distance):
    """Between fewer than all configurations at this distance, and an overlap t^2 <= q1 <= 1 they must have."""
    point = local_entropy(alpha, distance, share * float(maximal_margin(alpha)))
    whole = -distance * np.log(distance) - (1 - distance) * np.log(1 - distance)
    assert float(point.entropy) <= min(whole, float(saddle_point(alpha, 0.0).entropy)) + 1e-9
    assert (1 - 2 * distance) ** 2 - 1e-12 <= point.overlap < 1
    assert point.residual <= 1e-9


def test_far_beyond_the_typical_distance_of_large_margins():
    """Where hardly any configuration has such a margin, the entropy turns negative; at the typical one it is whole."""
    typical = float(saddle_point(ALPHA, 0.41).distance)
    curve = local_entropy(ALPHA, [typical, 0.4], 0.41, 0.41)
    assert curve.entropy[0] == pytest.approx(float(saddle_point(ALPHA, 0.41).entropy), abs=1e-10)
    assert curve.entropy[1] < -0.1
    assert local_entropy(0.085, 0.3, 2.149, 2.024).entropy > 0


def test_configurations_around_typical_solutions_freeze_inside_the_gap():
    """For kt = kappa the freedom 1 - q1 of configurations shrinks faster than d, at negative entropy."""
    curve = local_entropy(ALPHA, [0.01, 2e-3, 1.2e-3, 9e-4], 0.0)
    freedom = (1 - curve.overlap) / curve.distance
    assert (np.diff(freedom) < 0).all()
    assert curve.entropy[0] > 0 > curve.entropy[1:].max()
    assert freedom[-1] < 0.6 * freedom[0]


def test_any_shape_and_order_of_distances():
    distances = np.array([[0.2, 0.01], [0.5, 0.2]])
    curve = local_entropy(ALPHA, distances, 0.2)
    assert curve.entropy.shape == (2, 2)
    assert curve.entropy[0, 0] == curve.entropy[1, 1]
    assert float(local_entropy(ALPHA, 0.01, 0.2).entropy) == pytest.approx(curve.entropy[0, 1], abs=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, 0.0, 0.1), "distance: 0.0 given"),
        ((0.5, [0.1, 0.6], 0.1), "distance: 0.6 given"),
        ((0.5, np.nan, 0.1), "distance: nan given"),
        ((0.5, 0.1, LARGEST + 1e-3), "reference_margin: .* given; expected at most the maximal margin"),
        ((-0.5, 0.1, 0.0), "alpha: -0.5 given"),
        ((0.5, 1e-4, 0.0), "no saddle point found at .* residual .* take larger distances"),
    ],
)
def test_nonsense_and_what_has_no_saddle_point_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        local_entropy(*arguments)
