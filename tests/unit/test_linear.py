"""Stacked problems and path statistics against numpy, one problem at a time."""

import numpy as np
import pytest
import torch
from measured import along
from references import DTYPE, KINK, layers, path_by_search

from flatminima.minima.coupling import follow
from flatminima.minima.linear import LinearProblems, path_statistics
from flatminima.settings.theory import Condition
from flatminima.theory.problems import draw_problems
from flatminima.theory.sampling import flattest

WIDTHS = [4, 6, 5, 3]


def problems_of(depth, count=3, inputs=4, outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((count, inputs, inputs))
    return LinearProblems.of(rng.standard_normal((count, outputs, inputs)), roots @ roots.transpose(0, 2, 1), depth)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_problems_against_a_search_for_each(depth):
    problems = problems_of(depth)
    for k in range(3):
        end_to_end, moment = problems.end_to_end[k].numpy(), problems.input_moment[k].numpy()
        least, image = path_by_search(end_to_end, depth, moment)
        amplitude = np.linalg.norm(image)
        gain = np.linalg.norm(end_to_end @ image) / amplitude
        assert problems.least[k].item() == pytest.approx(least, rel=1e-9)
        assert problems.gap[k].item() <= 1e-9 * least
        assert problems.largest_gain[k].item() == pytest.approx(np.linalg.svd(end_to_end)[1][0], rel=1e-12)
        assert problems.amplitude[k].item() == pytest.approx(amplitude, rel=1e-5)
        assert problems.gain[k].item() == pytest.approx(gain, rel=1e-5)
        assert abs(problems.direction[k].numpy() @ image) == pytest.approx(amplitude, rel=1e-9)
        assert abs(problems.image[k].numpy() @ end_to_end @ image) == pytest.approx(gain * amplitude, rel=1e-9)
        np.testing.assert_allclose(problems.root[k] @ problems.root[k].mT, moment, atol=1e-12)
        np.testing.assert_allclose(
            problems.root[k] @ problems.maximiser[k], problems.amplitude[k] * problems.direction[k], atol=1e-9
        )
        assert problems.smallest_variance[k].item() == pytest.approx(np.linalg.eigvalsh(moment)[0], rel=1e-9)


def test_moments_that_rounding_left_slightly_negative():
    """An eigenvalue of -1e-17 is no variance."""
    moment = np.diag([1.0, 0.5, -1e-17])
    problems = LinearProblems.of(np.eye(3)[None], moment[None], 2)
    assert problems.smallest_variance.tolist() == [0.0]
    assert problems.root.isfinite().all()


def test_selected_problems():
    """In the order of the index, and as often as it says; the depth stays."""
    problems = problems_of(3)
    index = torch.tensor([2, 0, 2])
    chosen = problems.select(index)
    assert chosen.depth == 3
    names = set(vars(problems)) - {"depth"}
    for name in names:
        assert getattr(chosen, name).equal(torch.stack([getattr(problems, name)[k] for k in (2, 0, 2)])), name
    assert chosen.image.equal(problems.image[index])


def test_one_problem_for_several_networks():
    """Each of them has it, and no number is copied."""
    problems = problems_of(3, count=1)
    several = problems.expand(5)
    assert several.depth == 3
    for name in set(vars(problems)) - {"depth"}:
        one, all_of_them = getattr(problems, name), getattr(several, name)
        assert all_of_them.shape == (5, *one.shape[1:]), name
        assert all_of_them.equal(one.repeat_interleave(5, 0)), name
        assert all_of_them.data_ptr() == one.data_ptr(), name


@pytest.mark.parametrize("widths", [[4, 3], [4, 2, 3], WIDTHS])
def test_path_statistics_by_definition(widths):
    """Networks that are no minima: every statistic of every layer from products of numpy matrices."""
    depth, (weights, _) = len(widths) - 1, layers(3, 3, widths)
    problems = problems_of(depth)
    statistics = path_statistics(weights, problems)
    names = {"path_gain", "end_to_end_gain", "path_gain_fraction"}
    inner = {"path_cosine", "path_residual", "product_norm", "band_upper", "balance_defect"}
    inner |= {"left_residual", "right_residual"}
    assert set(statistics) == (names | inner if depth > 1 else names)
    for k in range(3):
        end_to_end, moment = problems.end_to_end[k].numpy(), problems.input_moment[k].numpy()
        _, image = path_by_search(end_to_end, depth, moment)
        amplitude = np.linalg.norm(image)
        gain = np.linalg.norm(end_to_end @ image) / amplitude
        matrices = [weight[k].numpy() for weight in weights]
        root = np.linalg.cholesky(moment)
        along_path = along(matrices, image / amplitude, end_to_end @ image / amplitude / gain, gain, root, amplitude)
        assert statistics["end_to_end_gain"].value[k].item() == pytest.approx(gain, rel=1e-5)
        fraction = gain / np.linalg.norm(end_to_end, 2)
        assert statistics["path_gain_fraction"].value[k].item() == pytest.approx(fraction, rel=1e-5)
        assert fraction < 0.9999
        offset = {"path_residual": 2}
        for (name, layer), value in along_path.items():
            found = statistics[name].value[k, layer - offset.get(name, 1)].item()
            assert found == pytest.approx(value, rel=1e-4, abs=1e-5), (name, layer)
        for layer in range(1, depth):
            before, after = matrices[layer - 1], matrices[layer]
            defect = np.linalg.norm(after.T @ after - before @ before.T)
            assert statistics["balance_defect"].value[k, layer - 1].item() == pytest.approx(defect, rel=1e-12)
            signal, share = np.linalg.multi_dot([*reversed(matrices[:layer]), image]), gain ** (2 / depth)
            signal /= np.linalg.norm(signal)
            for side, square in (("left", before @ before.T), ("right", after.T @ after)):
                residual = np.linalg.norm(square @ signal - share * signal) / share
                found = statistics[f"{side}_residual"].value[k, layer - 1].item()
                assert found == pytest.approx(residual, rel=1e-4), (side, layer)
            upper = np.sqrt(depth - np.linalg.eigvalsh(moment)[0] / amplitude**2)
            assert statistics["band_upper"].value[k, layer - 1].item() == pytest.approx(upper, rel=1e-5)


def test_path_statistics_of_the_lopsided_flat_minimum():
    """theory.md I4: T = diag(2, 1), c = 1.2: on the path all is as it must be, off it the layers are not balanced."""
    g, c = 2 ** (1 / 3), 1.2
    weights = [torch.diag(torch.tensor([g, rest], dtype=DTYPE))[None] for rest in (c, 1.0, 1 / c)]
    problems = LinearProblems.of(np.diag([2.0, 1.0])[None], np.eye(2)[None], 3)
    statistics = {name: statistic.value.tolist() for name, statistic in path_statistics(weights, problems).items()}
    assert statistics["path_gain"][0] == pytest.approx([1, 1, 1], rel=1e-12)
    assert statistics["path_cosine"][0] == pytest.approx([1, 1], rel=1e-12)
    assert statistics["path_residual"][0] == pytest.approx([0, 0], abs=1e-12)
    assert statistics["left_residual"][0] == pytest.approx([0, 0], abs=1e-12)
    assert statistics["right_residual"][0] == pytest.approx([0, 0], abs=1e-12)
    assert statistics["end_to_end_gain"] == pytest.approx([2], rel=1e-12)
    assert statistics["path_gain_fraction"] == pytest.approx([1], rel=1e-12)
    assert statistics["product_norm"][0] == pytest.approx([1, 1], rel=1e-12)
    assert statistics["band_upper"][0] == pytest.approx([2**0.5, 2**0.5], rel=1e-12)
    assert statistics["balance_defect"][0] == pytest.approx([c**2 - 1, 1 - 1 / c**2], rel=1e-12)


def test_m3_fails_at_the_first_layer_of_a_mixture():
    """theory.md I3's example: W_1' p_1 is 1.87 away from rho^{1/2} q, at a cosine of .563, though p_1 fits W_2."""
    problem = LinearProblems.of(*(matrix[None] for matrix in KINK), 2)
    weights = flattest(problem, 3)
    path = follow(weights, problem.direction, problem.image, problem.gain)
    assert (path.residual[0, 0] * problem.gain[0] ** 0.5).item() == pytest.approx(1.87, abs=5e-3)
    assert cosine_at_the_first_layer(weights, problem).item() == pytest.approx(0.563, abs=5e-4)
    statistics = path_statistics(weights, problem)
    assert statistics["left_residual"].value.item() > 1
    assert statistics["right_residual"].value.item() < 1e-12


def cosine_at_the_first_layer(weights, problems):
    """cos(W_1' p_1, q)."""
    start = problems.direction
    back = torch.einsum("rij,rik,rk->rj", weights[0], weights[0], start)
    return (back * start).sum(1) / back.norm(dim=1)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("ill", [1.0, 10.0])
def test_m3_at_flattest_minima(ill, depth):
    """All residuals vanish but, where inputs are not white, the first layer's, whose median cosine is .83 to .91."""
    condition = Condition(inputs=5, outputs=5, hidden=5, rank=5, spread=5.0, ill=ill)
    problems = draw_problems(condition, depth, 100, np.random.default_rng(depth))
    weights = flattest(problems, 5)
    statistics = path_statistics(weights, problems)
    left, right = (statistics[f"{side}_residual"].value for side in ("left", "right"))
    assert right.max() < 1e-9
    assert left[:, 1:].abs().sum() < 1e-9
    if ill == 1:
        assert left.max() < 1e-9
    else:
        assert 0.3 < left[:, 0].median() < 0.8
        assert 0.83 < cosine_at_the_first_layer(weights, problems).median() < 0.91
