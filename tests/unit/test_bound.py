"""Minimal sharpness against closed forms, searches over the sphere, and direct minimisation over minima."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import KINK, covariance, orthogonal, path_by_search, sharpness_by_descent

from flatminima.minima.bound import minimal_sharpness

GAP = 1e-10


def assert_certified(bound, end_to_end, depth, moment):
    """Both sides agree, and the value is that of its maximiser, direction, gain and amplitude."""
    assert abs(bound.upper - bound.value) <= GAP * bound.value
    values, vectors = np.linalg.eigh(moment)
    image = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T @ bound.maximiser
    assert np.linalg.norm(bound.maximiser) == pytest.approx(1, abs=1e-12)
    assert bound.amplitude == pytest.approx(np.linalg.norm(image), rel=1e-9)
    np.testing.assert_allclose(bound.direction * bound.amplitude, image, atol=1e-9 * bound.amplitude)
    assert bound.gain == pytest.approx(np.linalg.norm(end_to_end @ bound.direction), rel=1e-9)
    whole = 2 * depth * (bound.amplitude**2 * bound.gain ** (2 - 2 / depth))
    assert bound.value == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 6), (6, 2)])
def test_white_inputs(depth, shape):
    """theory.md I2: 2 m s^{2 - 2/m}, along the top right singular vector."""
    end_to_end = np.random.default_rng(depth).standard_normal(shape)
    top = np.linalg.norm(end_to_end, 2)
    for moment in (None, np.eye(shape[1])):
        bound = minimal_sharpness(end_to_end, depth, moment)
        assert bound.value == pytest.approx(2 * depth * top ** (2 - 2 / depth), rel=1e-12)
        assert_certified(bound, end_to_end, depth, np.eye(shape[1]))
        if depth > 1:
            assert (bound.gain, bound.amplitude) == pytest.approx((top, 1), rel=1e-9)
            assert abs(np.linalg.svd(end_to_end)[2][0] @ bound.direction) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("seed", range(5))
def test_commuting_map_and_covariance_that_grow_together(depth, seed):
    """theory.md I3 where c_i and t_i have the same order, as in denoising: 2 m max c_i t_i^{2 - 2/m}."""
    rng = np.random.default_rng(seed)
    basis = orthogonal(rng, 5)
    variances, gains = np.sort(rng.uniform(0.1, 4, 5)), np.sort(rng.uniform(0, 2, 5))
    end_to_end, moment = basis * gains @ basis.T, basis * variances @ basis.T
    bound = minimal_sharpness(end_to_end, depth, moment)
    assert bound.value == pytest.approx(2 * depth * variances[-1] * gains[-1] ** (2 - 2 / depth), rel=1e-11)
    assert_certified(bound, end_to_end, depth, moment)


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("seed", range(4))
def test_no_search_over_the_sphere_finds_more(depth, seed):
    rng = np.random.default_rng(10 * depth + seed)
    size = int(rng.integers(2, 7))
    end_to_end = rng.standard_normal((int(rng.integers(1, 6)), size))
    moment = covariance(rng, size, 30.0)
    value, _ = path_by_search(end_to_end, depth, moment, starts=12)
    assert minimal_sharpness(end_to_end, depth, moment).value == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(("depth", "value"), [(2, 14.2887), (3, 26.7100), (4, 41.6222), (5, 57.9955)])
def test_the_maximiser_may_be_a_mixture_of_eigenvectors(depth, value):
    """T and Sx commute, but the larger gain meets the smaller variance: the formula over i alone is too low."""
    bound = minimal_sharpness(KINK[0], depth, KINK[1])
    found, _ = path_by_search(*KINK[:1], depth, KINK[1], starts=30)
    assert bound.value == pytest.approx(value, abs=1e-4)
    assert bound.value == pytest.approx(found, rel=1e-8)
    assert_certified(bound, KINK[0], depth, KINK[1])
    gains, variances = KINK[0].diagonal(), KINK[1].diagonal()
    single = 2 * depth * np.max(variances * gains ** (2 - 2 / depth))
    if depth == 2:
        assert single == pytest.approx(12)
    if depth < 5:
        assert bound.value > 1.001 * single
        assert np.sort(np.abs(bound.maximiser))[1] > 0.1
    else:
        assert bound.value == pytest.approx(single, rel=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    rank=st.integers(1, 8),
    depth=st.integers(1, 6),
    condition=st.floats(0, 8),
    scale=st.floats(-3, 3),
)
def test_the_certificate_closes_on_any_input(seed, shape, rank, depth, condition, scale):
    """All sizes, ranks of T, conditions of Sx up to 1e8, and units."""
    rng = np.random.default_rng(seed)
    rank = min(rank, *shape)
    end_to_end = 10**scale * rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    moment = covariance(rng, shape[1], 10**condition)
    assert_certified(minimal_sharpness(end_to_end, depth, moment), end_to_end, depth, moment)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    variances=st.lists(st.integers(1, 6), min_size=2, max_size=6),
    gains=st.lists(st.integers(0, 5), min_size=6, max_size=6).filter(lambda gains: any(gains[:2])),
    depth=st.integers(2, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_certificate_closes_at_ties_and_kinks(variances, gains, depth, seed):
    """Small integers make double eigenvalues and crossings the rule; so does a repeated top singular value."""
    basis = orthogonal(np.random.default_rng(seed), len(variances))
    end_to_end = basis * np.array(gains[: len(variances)], float) @ basis.T
    moment = basis * np.array(variances, float) @ basis.T
    assert_certified(minimal_sharpness(end_to_end, depth, moment), end_to_end, depth, moment)


@pytest.mark.parametrize("seed", range(40))
def test_repeated_top_singular_value_of_white_inputs(seed):
    rng = np.random.default_rng(seed)
    rows, columns, depth = (int(n) for n in rng.integers((4, 4, 2), (9, 9, 7)))
    values = np.zeros((rows, columns))
    np.fill_diagonal(values, [2, 2, *rng.uniform(0, 2, 6)])
    end_to_end = orthogonal(rng, rows) @ values @ orthogonal(rng, columns)
    bound = minimal_sharpness(end_to_end, depth)
    assert bound.value == pytest.approx(2 * depth * 2 ** (2 - 2 / depth), rel=1e-12)
    assert_certified(bound, end_to_end, depth, np.eye(columns))


def test_inputs_without_variance_in_some_directions():
    """Pixels that are always black: a singular Sx, and the same bound as without these pixels."""
    rng = np.random.default_rng(0)
    end_to_end, moment = rng.standard_normal((3, 4)), covariance(rng, 4, 10.0)
    padded, wide = np.zeros((3, 6)), np.zeros((6, 6))
    padded[:, :4], wide[:4, :4] = end_to_end, moment
    for depth in (1, 2, 4):
        small, large = minimal_sharpness(end_to_end, depth, moment), minimal_sharpness(padded, depth, wide)
        assert large.value == pytest.approx(small.value, rel=1e-11)
        assert_certified(large, padded, depth, wide)


@pytest.mark.parametrize("depth", range(1, 6))
def test_units(depth):
    """A gain of T in other units is a power of them; so is a variance of the inputs."""
    rng = np.random.default_rng(1)
    end_to_end, moment = rng.standard_normal((4, 5)), covariance(rng, 5, 100.0)
    one = minimal_sharpness(end_to_end, depth, moment).value
    assert minimal_sharpness(7 * end_to_end, depth, moment).value == pytest.approx(
        7 ** (2 - 2 / depth) * one, rel=1e-10
    )
    assert minimal_sharpness(end_to_end, depth, 7 * moment).value == pytest.approx(7 * one, rel=1e-10)


@pytest.mark.parametrize(("size", "depth"), [*product((2, 3), (2, 3)), (2, 4)])
def test_the_flattest_minimum_attains_the_bound(size, depth):
    """theory.md I3: tight for maps and covariances that do not commute."""
    rng = np.random.default_rng(10 * size + depth)
    end_to_end, moment = rng.standard_normal((size, size)), covariance(rng, size, 5.0)
    found = sharpness_by_descent(end_to_end, depth, moment)
    bound = minimal_sharpness(end_to_end, depth, moment).value
    assert bound * (1 - 1e-9) <= found <= bound * (1 + 1e-8)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_the_flattest_minimum_attains_a_mixture(depth):
    """The minimum lies on a kink of the top eigenvalue, which a search by gradients reaches less exactly."""
    found = sharpness_by_descent(KINK[0], depth, KINK[1].astype(float))
    bound = minimal_sharpness(KINK[0], depth, KINK[1]).value
    assert bound * (1 - 1e-9) <= found <= bound * (1 + 2e-3)


@pytest.mark.parametrize("depth", [0, -1])
def test_a_network_has_a_layer(depth):
    with pytest.raises(ValueError, match=f"depth is {depth}"):
        minimal_sharpness(np.eye(2), depth)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"\(3, 3\) does not fit a map of shape \(2, 4\)"):
        minimal_sharpness(np.ones((2, 4)), 2, np.eye(3))


@pytest.mark.parametrize(
    ("end_to_end", "moment"),
    [(np.zeros((3, 3)), np.eye(3)), (np.diag([0.0, 1.0]), np.diag([1.0, 0.0]))],
)
def test_a_map_that_vanishes_on_the_data_has_no_path(end_to_end, moment):
    with pytest.raises(ValueError, match="vanishes on the data"):
        minimal_sharpness(end_to_end, 2, moment)
    assert minimal_sharpness(end_to_end, 1, moment).value == pytest.approx(2)
