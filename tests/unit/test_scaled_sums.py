"""Least top eigenvalues of scaled sums against closed forms, duals, nested line searches and Nelder-Mead."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from flatminima.errors import UserError
from flatminima.rescaling.flows import Edges, flow_bound
from flatminima.rescaling.scaled_sums import ScaledSum, least_sum

TOLERANCE = 1e-8
SEEDS = st.integers(0, 10**6)


def chain(layers, columns=1):
    """Exponents of the layers of a network, columns for each: h_1, h_2 - h_1, ..., -h_{K-1}."""
    nodes = np.array([layers - 1, *range(layers - 1), layers - 1])
    return Edges(np.repeat(nodes[:-1], columns), np.repeat(nodes[1:], columns), layers - 1)


def cyclic(rng, size, terms):
    """Random exponents, among them a cycle through all nodes, so that no h sends the sum to zero."""
    source, target = rng.integers(0, size + 1, (2, terms))
    target = np.where(source == target, (target + 1) % (size + 1), target)
    cycle = np.arange(size + 1)
    return Edges(np.append(source, cycle), np.append(target, np.roll(cycle, -1)), size)


def random_sum(seed, size, dimension=3, terms=12):
    rng = np.random.default_rng(seed)
    edges = cyclic(rng, size, terms)
    return ScaledSum(rng.standard_normal((dimension, len(edges.source))), edges)


def top(problem, scales):
    """The top eigenvalue, term by term from the definition."""
    extended = np.append(scales, 0.0)
    total = np.zeros((len(problem.columns),) * 2)
    for column, source, target in zip(problem.columns.T, problem.edges.source, problem.edges.target, strict=True):
        total += np.exp(-2 * (extended[target] - extended[source])) * np.outer(column, column)
    return np.linalg.eigvalsh(total)[-1]


def nested(function, size, reach=6.0):
    """The least value of a convex function of `size` numbers, one line search inside another."""
    if not size:
        return function(np.empty(0))
    options = {"xatol": 1e-10}
    inner = minimize_scalar(
        lambda x: nested(lambda rest: function(np.append(rest, x)), size - 1, reach),
        bounds=(-reach, reach),
        method="bounded",
        options=options,
    )
    return inner.fun


@settings(max_examples=30)
@given(st.lists(st.floats(-6, 6), min_size=1, max_size=6))
def test_one_dimension_is_the_inequality_of_means(logarithms):
    """K terms whose exponents add up to zero: K times the geometric mean, at equal terms."""
    layers, masses = len(logarithms), np.exp(logarithms)
    problem = ScaledSum(np.sqrt(masses)[None], chain(layers))
    found = least_sum(problem, TOLERANCE, np.zeros(layers - 1))
    assert found.value == pytest.approx(layers * np.exp(np.mean(logarithms)), rel=TOLERANCE)
    np.testing.assert_allclose(np.square(problem.scaled(found.scales)), found.value / layers, rtol=1e-3)


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 5))
def test_commuting_columns_against_their_dual(seed, layers):
    """Diagonal terms: max over weights p of K prod_k (sum_j p_j c_kj)^{1/K}, a line search where there are two."""
    masses = np.exp(2 * np.random.default_rng(seed).standard_normal((layers, 2)))
    problem = ScaledSum(np.hstack([np.diag(np.sqrt(c)) for c in masses]), chain(layers, 2))
    dual = minimize_scalar(
        lambda p: -layers * np.exp(np.log(masses @ [p, 1 - p]).mean()),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-12},
    )
    found = least_sum(problem, TOLERANCE, np.zeros(layers - 1))
    assert found.value == pytest.approx(-dual.fun, rel=1e-7)
    assert found.lower_bound <= found.value <= found.lower_bound * (1 + 1.01 * TOLERANCE)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [1, 2])
def test_random_sums_against_nested_line_searches(seed, size):
    problem = random_sum(seed, size)
    found = least_sum(problem, TOLERANCE, np.zeros(size))
    assert found.value == pytest.approx(nested(lambda h: top(problem, h), size), rel=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_no_simplex_search_does_better(seed):
    """Nelder & Mead from several starts: never below the lower bound, and the best of them as low as the minimum."""
    problem = random_sum(seed, 4, dimension=4, terms=20)
    found = least_sum(problem, TOLERANCE, np.zeros(4))
    starts = np.random.default_rng(seed).standard_normal((3, 4))
    options = {"xatol": 1e-10, "fatol": 1e-12, "maxfev": 4000, "adaptive": True}
    searches = []
    for start in starts:
        for _ in range(4):
            search = minimize(lambda h: top(problem, h), start, method="Nelder-Mead", options=options)
            start = search.x
        searches.append(search.fun)
    assert min(searches) >= found.lower_bound
    assert min(searches) == pytest.approx(found.value, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 5), st.floats(0.1, 5))
def test_value_and_bound(seed, size, spread):
    """The value is that of the scales, the gap is small, and no random point is below the bound."""
    problem = random_sum(seed, size)
    found = least_sum(problem, TOLERANCE, np.zeros(size))
    assert found.value == pytest.approx(top(problem, found.scales), rel=1e-12)
    assert found.lower_bound <= found.value <= found.lower_bound * np.exp(TOLERANCE)
    points = spread * np.random.default_rng(seed + 1).standard_normal((20, size))
    near = found.scales + 1e-3 * points
    assert min(top(problem, h) for h in [*points, *near]) >= found.lower_bound


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 6))
def test_far_apart_starts_meet(seed, size):
    """Starts e^20 apart, and one that is already there."""
    problem = random_sum(seed, size)
    starts = 10 * (2 * np.random.default_rng(seed + 1).random((3, size)) - 1)
    found = [least_sum(problem, TOLERANCE, start) for start in starts]
    again = least_sum(problem, TOLERANCE, found[0].scales, gap=1e-6)
    for other in [*found[1:], again]:
        assert other.value == pytest.approx(found[0].value, rel=1.01 * TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 3))
def test_compression_keeps_the_function(seed, size):
    rng = np.random.default_rng(seed)
    edges = cyclic(rng, size, 200)
    problem = ScaledSum(rng.standard_normal((2, len(edges.source))), edges)
    small = problem.compressed()
    assert small.columns.shape[1] <= 2 * size * (size + 1) < problem.columns.shape[1]
    for h in rng.standard_normal((5, size)):
        np.testing.assert_allclose(small.at(h), problem.at(h), rtol=1e-12, atol=1e-12 * top(problem, h))
        assert np.linalg.eigvalsh(problem.at(h))[-1] == pytest.approx(top(problem, h), rel=1e-12)


def test_few_terms_are_not_compressed():
    """Exponents of as many terms as dimensions, or fewer, keep them."""
    problem = random_sum(1, 5, dimension=4, terms=4)
    np.testing.assert_array_equal(problem.compressed().columns, problem.columns)
    np.testing.assert_array_equal(problem.compressed().edges.source, problem.edges.source)
    np.testing.assert_array_equal(problem.compressed().edges.target, problem.edges.target)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(1, 6), st.floats(0, 3))
def test_the_flow_bound_is_a_bound(seed, size, spread):
    """Whatever flow it starts from, also one that is far from conserved."""
    rng = np.random.default_rng(seed)
    edges = cyclic(rng, size, 15)
    masses, flow = np.exp(rng.standard_normal((2, len(edges.source)))) * (rng.random((2, len(edges.source))) < 0.8)
    flow[-size - 1 :] += 0.1
    bound = flow_bound(masses + 1e-3, flow, edges)
    for h in spread * rng.standard_normal((20, size)):
        sums = top(ScaledSum(np.sqrt(masses + 1e-3)[None], edges), h)
        assert bound <= sums * (1 + 1e-12)


def test_a_flow_that_only_a_ridge_keeps_from_vanishing():
    """Nothing enters where one term leaves: no flow is conserved, and any bound above zero would be wrong."""
    dead_end = Edges(np.array([2, 0]), np.array([0, 1]), 2)
    assert flow_bound(np.array([3.0, 5.0]), np.array([0.5, 0.5]), dead_end) == 0
    assert flow_bound(np.array([3.0]), np.array([1.0]), Edges(np.array([1]), np.array([0]), 1)) == 0
    assert flow_bound(np.array([3.0]), np.array([0.0]), Edges(np.array([1]), np.array([0]), 1)) == 0


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_the_flow_of_the_minimum_attains_it(seed, size):
    """A conserved flow f and masses f exp(2 E h) with h at random: the least sum is that of h, sum f."""
    rng = np.random.default_rng(seed)
    edges = cyclic(rng, size, 0)
    flow = np.ones(size + 1)
    for _ in range(3):
        nodes = rng.permutation(size + 1)[: rng.integers(2, size + 2)]
        more = Edges(nodes, np.roll(nodes, -1), size)
        edges = Edges(np.append(edges.source, more.source), np.append(edges.target, more.target), size)
        flow = np.append(flow, np.full(len(nodes), np.exp(rng.standard_normal())))
    h = rng.standard_normal(size)
    masses = flow * np.exp(2 * (edges.incidence @ h))
    assert flow_bound(masses, flow, edges) == pytest.approx(flow.sum(), rel=1e-10)
    found = least_sum(ScaledSum(np.sqrt(masses)[None], edges), TOLERANCE, np.zeros(size))
    assert found.value == pytest.approx(flow.sum(), rel=1.01 * TOLERANCE)


def test_a_node_without_mass():
    """Scales that change nothing stay where they are."""
    edges = Edges(np.array([2, 0, 1, 2]), np.array([0, 2, 0, 1]), 2)
    found = least_sum(ScaledSum(np.array([[2.0, 3.0, 0.0, 0.0]]), edges), TOLERANCE, np.array([0.0, 0.7]))
    assert found.value == pytest.approx(2 * 6, rel=TOLERANCE)
    assert found.scales[1] == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize("dimension", [1, 3])
def test_an_infimum_that_no_scales_attain(dimension):
    """A node that terms leave and none enter: its terms vanish at infinity, and the rest is the infimum."""
    core = random_sum(3, 2, dimension=dimension)
    shifted = [np.append(ends + 1, [0, 0]) for ends in (core.edges.source, core.edges.target)]
    columns = np.hstack([core.columns, np.random.default_rng(4).standard_normal((dimension, 2))])
    shifted[1][-2:] = 1, 3
    found = least_sum(ScaledSum(columns, Edges(*shifted, 3)), TOLERANCE, np.zeros(3))
    assert found.value == pytest.approx(least_sum(core, TOLERANCE, np.zeros(2)).value, rel=2.1 * TOLERANCE)
    assert found.scales[0] < -5


def test_no_free_scales():
    """A network of one layer: nothing to minimise."""
    columns = np.random.default_rng(5).standard_normal((3, 5))
    problem = ScaledSum(columns, Edges(np.zeros(5, int), np.zeros(5, int), 0))
    found = least_sum(problem, TOLERANCE, np.empty(0))
    assert found.value == pytest.approx(np.linalg.norm(columns, 2) ** 2, rel=1e-12)
    assert found.lower_bound == pytest.approx(found.value, rel=1.01 * TOLERANCE)


def test_a_sum_that_can_be_made_as_small_as_one_likes():
    """Nothing bounds exp(-2h): no relative gap is reached, and the error says where the search stands."""
    problem = ScaledSum(np.ones((1, 1)), Edges(np.array([1]), np.array([0]), 1))
    with pytest.raises(UserError, match=r"the least top eigenvalue is between 0 and \S+ after 400 steps; expected"):
        least_sum(problem, TOLERANCE, np.zeros(1))


def test_an_accuracy_beyond_rounding():
    problem = random_sum(0, 3)
    value = least_sum(problem, TOLERANCE, np.zeros(3)).value
    with pytest.raises(UserError, match=r"after 400 steps; expected a relative gap of 1\.0e-18") as caught:
        least_sum(problem, 1e-18, np.zeros(3))
    lower, upper = (float(number) for number in re.findall(r"\d+\.\d+(?= )", str(caught.value))[:2])
    assert value * (1 - 1e-3) <= lower <= value * (1 + TOLERANCE)
    assert upper == pytest.approx(value, rel=1e-7)
