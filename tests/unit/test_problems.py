"""Random problems have the spectra, ranks and signs that were asked for."""

import numpy as np
import pytest
from references import path_by_search
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from flatminima.settings.theory import Condition
from flatminima.theory.problems import draw_problems, evenly, label_tasks, log_uniform, positive, rotations, square_maps
from flatminima.theory.runs import MAPS


def rng(seed=0):
    return np.random.default_rng(seed)


def singular_values(matrices):
    return np.linalg.svd(matrices, compute_uv=False)


@pytest.mark.parametrize(
    ("inputs", "outputs", "rank", "spread", "ill"),
    [(4, 4, 4, 10.0, 30.0), (5, 3, 2, 7.0, 1.0), (2, 6, 2, 1.0, 1e8), (3, 3, 1, 10.0, 5.0), (1, 4, 1, 10.0, 5.0)],
)
def test_problems_have_the_spectra_of_their_condition(inputs, outputs, rank, spread, ill):
    condition = Condition(inputs=inputs, outputs=outputs, hidden=6, rank=rank, spread=spread, ill=ill)
    problems = draw_problems(condition, 3, 9, rng())
    assert problems.end_to_end.shape == (9, outputs, inputs)
    assert problems.depth == 3
    values = singular_values(problems.end_to_end.numpy())
    np.testing.assert_allclose(values[:, 0], 1, rtol=1e-12)
    np.testing.assert_allclose(values[:, rank - 1], 1 if rank == 1 else 1 / spread, rtol=1e-12)
    assert np.abs(values[:, rank:]).max(initial=0) < 1e-14
    moments = problems.input_moment.numpy()
    np.testing.assert_array_equal(moments, moments.transpose(0, 2, 1))
    variances = np.linalg.eigvalsh(moments)
    np.testing.assert_allclose(variances[:, -1], 1, rtol=1e-12)
    np.testing.assert_allclose(variances[:, 0], 1 if inputs == 1 else 1 / ill, rtol=1e-6)
    if ill == 1:
        np.testing.assert_allclose(moments, np.broadcast_to(np.eye(inputs), moments.shape), atol=1e-14)
    for k in range(2):
        least, _ = path_by_search(problems.end_to_end[k].numpy(), 3, moments[k], starts=10)
        assert problems.least[k].item() == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize("spread", [1.0, 4.0])
@pytest.mark.parametrize("size", [2, 5])
def test_positive_maps_are_symmetric_and_positive(size, spread):
    """Singular values lie between 1 / sqrt(spread) and sqrt(spread), both included: evenly about a start of one."""
    maps = square_maps("positive", 8, size, spread, rng())
    np.testing.assert_array_equal(maps, maps.transpose(0, 2, 1))
    values = np.linalg.eigvalsh(maps)
    np.testing.assert_allclose(values[:, -1], spread**0.5, rtol=1e-12)
    np.testing.assert_allclose(values[:, 0], spread**-0.5, rtol=1e-12)


def test_turned_maps_are_positive_maps_after_a_rotation():
    """The same spectrum and a positive determinant, but not symmetric: their positive factor is another map."""
    maps = square_maps("turned", 8, 4, 9.0, rng())
    values = singular_values(maps)
    np.testing.assert_allclose(values[:, [0, -1]], [[3, 1 / 3]] * 8, rtol=1e-12)
    assert (np.linalg.det(maps) > 0).all()
    left, _, right = np.linalg.svd(maps)
    turns = left @ right
    assert (np.abs(turns - np.eye(4)).max((1, 2)) > 0.1).all()
    angles = np.abs(np.angle(np.linalg.eigvals(turns)))
    assert 0.2 < np.median(angles) < 1.5
    np.testing.assert_allclose(maps @ turns.transpose(0, 2, 1), (maps @ turns.transpose(0, 2, 1)).transpose(0, 2, 1))


def test_turned_maps_are_turned_by_moderate_angles():
    """In the plane by normal angles of a standard deviation of half a radian."""
    left, _, right = np.linalg.svd(square_maps("turned", 2000, 2, 2.0, rng()))
    turns = left @ right
    assert np.std(np.arctan2(turns[:, 1, 0], turns[:, 0, 0])) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_reflected_maps_have_one_negative_eigenvalue(size):
    maps = square_maps("reflected", 8, size, 4.0, rng())
    np.testing.assert_array_equal(maps, maps.transpose(0, 2, 1))
    assert ((np.linalg.eigvalsh(maps) < 0).sum(1) == 1).all()
    assert (np.linalg.det(maps) < 0).all()
    np.testing.assert_allclose(singular_values(maps)[:, [0, -1]], [[2, 0.5]] * 8, rtol=1e-12)


def test_rotations_are_orthogonal_and_in_all_directions():
    turns = rotations(200, 3, rng())
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (200, 3, 3)), atol=1e-14)
    np.testing.assert_allclose((turns**2).mean(0), 1 / 3, atol=0.1)


def test_positive_keeps_eigenvalues():
    values = np.array([[3.0, 1.0, 0.2], [5.0, 0.0, 0.0]])
    np.testing.assert_allclose(np.linalg.eigvalsh(positive(values, rng())), values[:, ::-1], atol=1e-14)


def test_logarithms_are_uniform():
    values = log_uniform(4000, 5, 100.0, rng())
    np.testing.assert_array_equal(values[:, :2], [[1.0, 0.01]] * 4000)
    exponents = -np.log(values[:, 2:]) / np.log(100)
    np.testing.assert_allclose(np.quantile(exponents, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)
    assert log_uniform(2, 1, 100.0, rng()).tolist() == [[1.0], [1.0]]


def test_a_stream_fixes_the_problems():
    condition = Condition(inputs=3, outputs=2, hidden=4, rank=2, spread=3.0, ill=3.0)
    one, same, other = (draw_problems(condition, 2, 3, rng(seed)) for seed in (1, 1, 2))
    for name in ("end_to_end", "input_moment", "least"):
        assert getattr(one, name).equal(getattr(same, name))
        assert not getattr(one, name).equal(getattr(other, name))
    for kind in MAPS:
        assert np.array_equal(square_maps(kind, 2, 3, 2.0, rng()), square_maps(kind, 2, 3, 2.0, rng()))


@pytest.mark.parametrize("count", [2, 20])
def test_label_tasks_against_scikit_learn(count):
    """T is the regression of contrasts between classes on nine principal components, up to signs and scales."""
    maps, moments = label_tasks(count)
    assert maps.shape == moments.shape == (count, 9, 9)
    images, classes = load_digits(return_X_y=True)
    for k in range(count):
        components = PCA(9, svd_solver="full").fit(images[k::count])
        inputs = components.transform(images[k::count])
        variances = inputs.var(0)
        np.testing.assert_allclose(np.diag(moments[k]), variances / variances[0], rtol=1e-9)
        assert np.count_nonzero(moments[k]) == 9
        one_hot = (classes[k::count, None] == np.arange(10)).astype(float)
        fitted = LinearRegression().fit(inputs / np.sqrt(variances[0]), one_hot)
        ours, theirs = (np.linalg.svd(matrix, compute_uv=False)[:9] for matrix in (maps[k], fitted.coef_))
        np.testing.assert_allclose(ours / ours[0], theirs / theirs[0], rtol=1e-7)
        gram, expected = maps[k].T @ maps[k], fitted.coef_.T @ fitted.coef_
        np.testing.assert_allclose(np.abs(gram / gram[0, 0]), np.abs(expected / expected[0, 0]), rtol=1e-6, atol=1e-9)
    assert (np.linalg.det(maps) > 0).all()
    values = singular_values(maps)
    np.testing.assert_allclose(values[:, 0] * values[:, -1], 1, rtol=1e-9)


def test_label_tasks_share_no_image():
    """The tasks of a finer deal are other tasks, and every one has all ten classes."""
    _, classes = load_digits(return_X_y=True)
    assert all(len(set(classes[k::20])) == 10 for k in range(20))
    maps, _ = label_tasks(20)
    assert len({round(float(value), 9) for value in maps[:, 0, 0]}) == 20


def test_maps_are_scaled_evenly_about_one():
    values = singular_values(evenly(rng().standard_normal((5, 4, 4)) * 37))
    np.testing.assert_allclose(values[:, 0] * values[:, -1], 1, rtol=1e-12)
