"""Constructed minima against searches over the sphere, descents over minima, and dense Hessians of samples."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references import (
    DTYPE,
    KINK,
    covariance,
    dense_hessian,
    generator,
    orthogonal,
    path_by_search,
    sample_loss,
    sharpness_by_descent,
    spectrum_at_minimum,
)
from scipy.linalg import polar

from flatminima.minima.linear import LinearProblems
from flatminima.theory.sampling import Chart, balanced, flattest, of_ratio, sharpness


def map_of(rng, outputs, inputs, rank):
    return rng.standard_normal((outputs, rank)) @ rng.standard_normal((rank, inputs))


def problem_of(end_to_end, moment, depth):
    return LinearProblems.of(end_to_end[None].astype(float), moment[None].astype(float), depth)


def random_problems(seed, count, depth, outputs=3, inputs=4, rank=2, condition=30.0):
    rng = np.random.default_rng(seed)
    maps = np.stack([map_of(rng, outputs, inputs, rank) for _ in range(count)])
    return LinearProblems.of(maps, np.stack([covariance(rng, inputs, condition) for _ in range(count)]), depth)


def one(weights, index=0):
    return [weight[index].numpy() for weight in weights]


def product_of(weights):
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    return product


def top_of_samples(weights, moment, end_to_end):
    """The top eigenvalue of autograd's dense Hessian, on samples whose second moment is Sx; labels are noisy.

    The noise is a constant offset of samples that cancels with their opposite: it leaves Syx alone, not the loss.
    """
    half = np.linalg.cholesky(moment).T * len(moment) ** 0.5
    inputs = torch.from_numpy(np.concatenate([half, -half]))
    targets = inputs @ torch.from_numpy(end_to_end).T + 0.5
    loss, flat = sample_loss([torch.from_numpy(weight) for weight in weights], [], inputs, targets)
    assert loss(flat).item() == pytest.approx(0.25 * len(end_to_end))
    return torch.linalg.eigvalsh(dense_hessian(loss, flat))[-1].item()


def spiked(rng):
    """T and Sx with common eigenvectors; the larger gain meets the smaller variance."""
    basis = orthogonal(rng, 3)
    return [basis @ matrix @ basis.T for matrix in KINK]


PROBLEMS = {
    "white": lambda rng: (map_of(rng, 4, 4, 4), np.eye(4)),
    "commuting": spiked,
    "general": lambda rng: (map_of(rng, 3, 3, 3), covariance(rng, 3, 10.0)),
    "ill": lambda rng: (map_of(rng, 4, 5, 4), covariance(rng, 5, 1e8)),
    "narrow_inputs": lambda rng: (map_of(rng, 9, 2, 2), covariance(rng, 2, 30.0)),
    "rank_deficient": lambda rng: (map_of(rng, 6, 4, 2), covariance(rng, 4, 100.0)),
    "rank_one": lambda rng: (map_of(rng, 3, 6, 1), covariance(rng, 6, 1e8)),
    "black_pixels": lambda rng: (map_of(rng, 3, 4, 3), np.diag([2.0, 1.0, 0.3, 0.0])),
    "large": lambda rng: (map_of(rng, 10, 10, 10), covariance(rng, 10, 1e8)),
}


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("kind", PROBLEMS)
def test_i3_flattest_minima_attain_the_bound(kind, depth):
    """theory.md I3: a search over the sphere and I1 by its definition give the same number, to 1e-9."""
    end_to_end, moment = PROBLEMS[kind](np.random.default_rng(10 * depth))
    problem, rank = problem_of(end_to_end, moment, depth), np.linalg.matrix_rank(end_to_end)
    stacked = flattest(problem, rank)
    weights = one(stacked)
    assert [weight.shape[0] for weight in weights] == [rank] * (depth - 1) + [len(end_to_end)]
    np.testing.assert_allclose(product_of(weights), end_to_end, atol=1e-13 * np.linalg.norm(end_to_end))
    value = spectrum_at_minimum(weights, moment)[-1]
    assert value == pytest.approx(path_by_search(end_to_end, depth, moment, starts=10)[0], rel=1e-9)
    assert sharpness(stacked, problem).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["white", "commuting", "general", "narrow_inputs", "rank_deficient"])
def test_i3_flattest_minima_have_the_sharpness_of_the_bound_on_samples(kind, depth):
    """The same with autograd's dense Hessian of the weights, noisy labels included."""
    end_to_end, moment = PROBLEMS[kind](np.random.default_rng(depth))
    weights = one(flattest(problem_of(end_to_end, moment, depth), np.linalg.matrix_rank(end_to_end)))
    value = top_of_samples(weights, moment, end_to_end)
    assert value == pytest.approx(path_by_search(end_to_end, depth, moment, starts=10)[0], rel=1e-9)


@pytest.mark.parametrize(("depth", "value"), [(2, 14.2887), (3, 26.7100), (4, 41.6222), (5, 57.9955)])
def test_i3_a_mixture_of_eigenvectors_is_attained(depth, value):
    """c = (4, 1, .1) and t = (.5, 3, .1), where a descent meets a kink; a balanced minimum is sharper."""
    problem = problem_of(*KINK, depth)
    assert spectrum_at_minimum(one(flattest(problem, 3)), KINK[1])[-1] == pytest.approx(value, abs=1e-4)
    assert spectrum_at_minimum(one(balanced(problem, 3)), KINK[1])[-1] > 1.1 * value


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("size", "depth"), [(2, 2), (2, 3), (3, 2), (3, 3), (2, 4)])
def test_i3_a_descent_over_all_minima_ends_where_the_flattest_is(size, depth, seed):
    """Never below, and within 1e-8: T and Sx do not commute."""
    rng = np.random.default_rng(10 * size + depth + 100 * seed)
    end_to_end, moment = rng.standard_normal((size, size)), covariance(rng, size, 5.0)
    value = spectrum_at_minimum(one(flattest(problem_of(end_to_end, moment, depth), size)), moment)[-1]
    assert value * (1 - 1e-10) <= sharpness_by_descent(end_to_end, depth, moment, seed) <= value * (1 + 1e-8)


@pytest.mark.parametrize("depth", range(1, 6))
@pytest.mark.parametrize("kind", PROBLEMS)
def test_balanced_minima_are_balanced(kind, depth):
    """theory.md I6: W_{k+1}' W_{k+1} = W_k W_k'; flattest for white inputs, not for others."""
    end_to_end, moment = PROBLEMS[kind](np.random.default_rng(depth))
    problem, rank = problem_of(end_to_end, moment, depth), np.linalg.matrix_rank(end_to_end)
    weights = one(balanced(problem, rank))
    size = np.linalg.norm(end_to_end)
    np.testing.assert_allclose(product_of(weights), end_to_end, atol=1e-13 * size)
    for before, after in pairwise(weights):
        np.testing.assert_allclose(after.T @ after, before @ before.T, atol=1e-13 * size)
    value, bound = spectrum_at_minimum(weights, moment)[-1], path_by_search(end_to_end, depth, moment, starts=10)[0]
    if kind == "white":
        assert value == pytest.approx(2 * depth * np.linalg.norm(end_to_end, 2) ** (2 - 2 / depth), rel=1e-12)
    if kind == "white" or depth == 1:
        assert value == pytest.approx(bound, rel=1e-9)
    elif kind != "black_pixels":
        assert value > bound * (1 + 1e-6)


def test_balanced_minimum_of_a_commuting_problem():
    """2 sum_k t_i^{2(m-k)/m} t_j^{2(k-1)/m} c_j at its largest: 2 (3 * 4 + 0.5 * 4) = 28 at depth 2, not 14.289."""
    assert sharpness(balanced(problem_of(*KINK, 2), 3), problem_of(*KINK, 2)).item() == pytest.approx(28, rel=1e-12)


shapes = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(2, 5))


@given(seed=st.integers(0, 2**32 - 1), shape=shapes, scale=st.floats(0, 0.7))
def test_every_point_of_a_chart_is_a_minimum(seed, shape, scale):
    """The product is T at any coordinates, for any shape, rank, hidden width and depth."""
    outputs, inputs, rank, more, depth = shape
    rank = min(rank, outputs, inputs)
    problems = random_problems(seed, 3, depth, outputs, inputs, rank)
    chart = Chart.around(flattest(problems, rank), rank + more)
    weights = chart.weights(chart.draw(scale, generator(seed)))
    assert [weight.shape[1] for weight in weights] == [rank + more] * (depth - 1) + [outputs]
    magnitude = torch.linalg.matrix_norm(weights[0])
    for weight in weights[1:]:
        magnitude = magnitude * torch.linalg.matrix_norm(weight)
    error = torch.linalg.matrix_norm(product_of(weights) - problems.end_to_end)
    assert (error <= 1e-12 * magnitude).all()


@pytest.mark.parametrize("more", [0, 1, 2, 3])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_each_free_weight_of_a_chart_leaves_the_product_alone(depth, more):
    """One at a time and all together, however large: the units of one kind are not read, the others not excited."""
    problems = random_problems(depth, 1, depth)
    chart = Chart.around(flattest(problems, 2), 2 + more)
    gauge = (depth - 1) * (2 + more) ** 2
    free = chart.size - gauge
    assert (free > 0) == (more > 0)
    coordinates = torch.zeros(free + 1, chart.size, dtype=DTYPE)
    coordinates[:free, gauge:] = 50 * torch.eye(free, dtype=DTYPE)
    coordinates[free, gauge:] = 50 * torch.randn(free, generator=generator(0), dtype=DTYPE)
    several = chart.select(torch.zeros(free + 1, dtype=torch.long))
    weights, base = several.weights(coordinates), several.weights(torch.zeros_like(coordinates))
    torch.testing.assert_close(product_of(weights), problems.end_to_end.expand(free + 1, 3, 4), rtol=0, atol=1e-12)
    moved = sum((a != b).flatten(1).sum(1) for a, b in zip(weights, base, strict=True))
    assert moved.tolist() == [1] * free + ([free] if free else [0])


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("more", [1, 2, 3])
def test_free_weights_of_a_chart_are_as_many_as_can_be(depth, more):
    """One more weight set free, one that reads an unread unit or excites a silent one, and the product can change."""
    chart = Chart.around(flattest(random_problems(depth, 1, depth), 2), 2 + more)
    for k, weight in enumerate(chart.base):
        for row, column in torch.nonzero(~chart.masks[k]).tolist():
            weights = [
                base + 3 * torch.randn(base.shape, generator=generator(j), dtype=DTYPE) * mask
                for j, (base, mask) in enumerate(zip(chart.base, chart.masks, strict=True))
            ]
            before = product_of(weights)
            weights[k] = weights[k] + torch.zeros_like(weight).index_put_(
                tuple(torch.tensor([i]) for i in (0, row, column)), torch.tensor(1.0, dtype=DTYPE)
            )
            after = product_of(weights)
            assert (after - before).abs().max() > 1e-6, (k, row, column)


@pytest.mark.parametrize(("more", "unread", "silent"), [(0, 0, 0), (1, 1, 0), (2, 1, 1), (5, 3, 2)])
def test_half_of_the_further_units_of_a_chart_are_read_and_half_excited(more, unread, silent):
    """Rows of free weights into hidden units that nothing reads, columns of free weights out of silent ones."""
    chart = Chart.around(flattest(random_problems(1, 1, 3), 2), 2 + more)
    assert chart.masks[0].all(1).sum() == unread
    assert chart.masks[0].any(1).sum() == unread
    assert chart.masks[-1].all(0).sum() == silent
    assert chart.masks[-1].any(0).sum() == silent


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_every_minimum_of_rank_wide_layers_is_in_the_chart_but_for_rotations(depth):
    """Any W_k = G_k W_k^0 G_{k-1}^{-1}: with G_k = R_k P_k by polar decomposition, log P_k are its coordinates."""
    problems = random_problems(depth, 1, depth, rank=3)
    base = one(flattest(problems, 3))
    rng = np.random.default_rng(depth)
    turns, stretches = zip(*(polar(rng.standard_normal((3, 3))) for _ in range(depth - 1)), strict=True)
    gauges = [np.eye(4), *(turn @ stretch for turn, stretch in zip(turns, stretches, strict=True)), np.eye(3)]
    minimum = [
        after @ weight @ np.linalg.inv(before) for weight, (before, after) in zip(base, pairwise(gauges), strict=True)
    ]
    logarithms = []
    for stretch in stretches:
        values, vectors = np.linalg.eigh(stretch)
        logarithms.append((vectors * np.log(values) @ vectors.T).ravel())
    chart = Chart.around(flattest(problems, 3), 3)
    found = one(chart.weights(torch.from_numpy(np.concatenate(logarithms))[None]))
    rotations = [np.eye(4), *turns, np.eye(3)]
    for ours, theirs, (before, after) in zip(found, minimum, pairwise(rotations), strict=True):
        np.testing.assert_allclose(after @ ours @ before.T, theirs, rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(2, 4), condition=st.floats(1, 1e3))
def test_sharpness_is_convex_along_rays_from_a_minimum(seed, depth, condition):
    problems = random_problems(seed, 1, depth, outputs=2, inputs=3, condition=condition)
    chart = Chart.around(flattest(problems, 2), 2)
    lengths = torch.linspace(-1.5, 1.5, 13, dtype=DTYPE)
    several = chart.select(torch.zeros(13, dtype=torch.long))
    weights = several.weights(lengths.unsqueeze(1) * chart.draw(1.0, generator(seed)))
    values = np.array([spectrum_at_minimum(one(weights, k), problems.input_moment[0].numpy())[-1] for k in range(13)])
    assert (values[:-2] + values[2:] - 2 * values[1:-1] >= -1e-11 * values[1:-1]).all()
    assert values.min() == pytest.approx(values[6], rel=1e-12)


def test_sharpness_at_wider_minima_against_samples():
    """Units that are not read or not excited count in the Hessian."""
    problems = random_problems(3, 1, 3)
    chart = Chart.around(flattest(problems, 2), 5)
    weights = chart.weights(chart.draw(0.5, generator(1)))
    expected = top_of_samples(one(weights), problems.input_moment[0].numpy(), problems.end_to_end[0].numpy())
    assert sharpness(weights, problems).item() == pytest.approx(expected, rel=1e-9)


def test_widths_below_the_rank_are_refused():
    minima = flattest(random_problems(1, 2, 3), 2)
    with pytest.raises(ValueError, match="hidden width 1 is below the rank 2 of the map"):
        Chart.around(minima, 1)


def test_a_chart_of_one_layer_is_a_point():
    problems = random_problems(1, 2, 1)
    chart = Chart.around(flattest(problems, 2), 3)
    assert chart.size == 0
    assert torch.equal(chart.weights(torch.zeros(2, 0, dtype=DTYPE))[0], problems.end_to_end)


def test_coordinates_are_drawn_at_a_scale_and_from_a_stream():
    chart = Chart.around(flattest(random_problems(1, 400, 2), 2), 3)
    drawn = chart.draw(0.3, generator(5))
    assert drawn.shape == (400, chart.size)
    assert drawn.std().item() == pytest.approx(0.3, rel=0.05)
    assert torch.equal(drawn, chart.draw(0.3, generator(5)))
    assert not torch.equal(drawn, chart.draw(0.3, generator(6)))


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_minima_of_prescribed_sharpness(depth, width):
    """Each replica has its own ratio; I1 by its definition and a search over the sphere see it."""
    ratios = torch.tensor([1.0001, 1.01, 1.5, 10.0, 1e4], dtype=DTYPE)
    problems = random_problems(depth, 5, depth)
    chart = Chart.around(flattest(problems, 2), width)
    weights = of_ratio(chart, problems, chart.draw(1.0, generator(2)), ratios)
    torch.testing.assert_close(product_of(weights), problems.end_to_end, rtol=0, atol=1e-9)
    for k, ratio in enumerate(ratios.tolist()):
        end_to_end, moment = problems.end_to_end[k].numpy(), problems.input_moment[k].numpy()
        least = path_by_search(end_to_end, depth, moment, starts=10)[0]
        assert spectrum_at_minimum(one(weights, k), moment)[-1] / least == pytest.approx(ratio, rel=1e-9)


def test_a_ray_that_changes_nothing_is_refused():
    """No direction at all, or a rotation: the antisymmetric part of a logarithm, which the chart leaves out."""
    problems = random_problems(1, 2, 2)
    chart = Chart.around(flattest(problems, 2), 2)
    rays = chart.draw(1.0, generator(0))
    ratios = torch.full((2,), 1.5, dtype=DTYPE)
    of_ratio(chart, problems, rays, ratios)
    for dead in (torch.zeros(4, dtype=DTYPE), torch.tensor([0, 1, -1, 0], dtype=DTYPE)):
        with pytest.raises(ValueError, match="stays flat"):
            of_ratio(chart, problems, torch.stack([rays[0], dead]), ratios)
