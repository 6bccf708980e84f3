"""Second moments, the end-to-end map and the minimal loss, against closed forms, numpy and scikit-learn."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression

from flatminima.data import whitening
from flatminima.data.moments import Moments, equivalent_samples, second_moments
from flatminima.data.sources import load_images
from flatminima.data.tasks import Samples
from flatminima.data.whitening import inverse_power, mean_product, transform
from flatminima.settings.datasets import Dataset

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def samples_of(inputs, targets, noise=0.0, noise_draw="none", loss="sum"):
    inputs, targets = (np.asarray(array, np.float32) for array in (inputs, targets))
    return Samples(inputs, targets, inputs[:1], targets[:1], noise, noise_draw, loss)


@pytest.fixture
def digits():
    """The 8 x 8 digits with one-hot labels: three pixels are black in every image, so Sx is singular."""
    bundle = load_digits()
    return samples_of(bundle.data / 16, np.eye(10)[bundle.target])


def test_moments_of_three_samples_by_hand():
    moments = second_moments(samples_of([[1, 2], [0, 1], [2, 0]], [[3], [0], [-3]]))
    np.testing.assert_allclose(moments.input_moment, np.array([[5, 2], [2, 5]]) / 3)
    np.testing.assert_allclose(moments.cross_moment, np.array([[-3, 6]]) / 3)
    assert moments.target_energy == pytest.approx(6)
    assert moments.samples == 3
    np.testing.assert_allclose(moments.end_to_end_map(), np.array([[-27, 36]]) / 21)
    assert moments.minimal_loss() == pytest.approx(6 - (27 * 1 + 36 * 2) / 21)


def test_moments_match_numpy_in_float64(digits):
    moments = second_moments(digits)
    x, y = digits.inputs.astype(float), digits.targets.astype(float)
    np.testing.assert_allclose(moments.input_moment, x.T @ x / len(x), rtol=1e-13)
    np.testing.assert_allclose(moments.cross_moment, y.T @ x / len(x), rtol=1e-13)
    np.testing.assert_array_equal(moments.input_moment, moments.input_moment.T)
    assert moments.input_moment.dtype == moments.cross_moment.dtype == np.float64
    assert moments.target_energy == pytest.approx(1, rel=1e-14)


def test_float32_products_are_summed_in_float64():
    """1 + 2^-23 squared has 46 fractional bits: float32 keeps 23 of them."""
    value = 1 + 2.0**-23
    moments = second_moments(samples_of(np.full((1000, 1), value), np.full((1000, 1), value)))
    assert moments.input_moment.item() == pytest.approx(value**2, rel=1e-15)
    assert moments.target_energy == pytest.approx(value**2, rel=1e-15)


@pytest.mark.parametrize("rows", [1, 7, 500, 5000])
def test_the_block_size_changes_nothing_but_rounding(rows, digits, monkeypatch):
    whole = second_moments(digits)
    monkeypatch.setattr(whitening, "BLOCK_BYTES", rows * 8 * 128)
    blocks = second_moments(digits)
    np.testing.assert_allclose(blocks.input_moment, whole.input_moment, rtol=1e-13)
    np.testing.assert_allclose(blocks.cross_moment, whole.cross_moment, rtol=1e-13)
    matrix = np.random.default_rng(0).standard_normal((5, 64))
    np.testing.assert_allclose(transform(digits.inputs, matrix), digits.inputs @ matrix.T, atol=1e-5)


def test_memory_is_bounded_by_the_block_not_by_the_samples(monkeypatch):
    monkeypatch.setattr(whitening, "BLOCK_BYTES", 2**20)
    samples = samples_of(np.ones((40_000, 100)), np.ones((40_000, 90)))
    tracemalloc.start()
    second_moments(samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 2**20 < samples.inputs.nbytes


def test_end_to_end_map_is_the_least_norm_least_squares_map(digits):
    moments = second_moments(digits)
    x, y = digits.inputs.astype(float), digits.targets.astype(float)
    assert np.linalg.matrix_rank(x) == 61
    solution = np.linalg.lstsq(x, y)[0].T
    np.testing.assert_allclose(moments.end_to_end_map(), solution, atol=1e-8)
    fit = LinearRegression(fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(moments.end_to_end_map(), fit.coef_, atol=1e-8)
    residual = ((fit.predict(x) - y) ** 2).sum(axis=1).mean()
    assert moments.minimal_loss() == pytest.approx(residual, rel=1e-10)


def test_minimal_loss_is_the_loss_of_the_end_to_end_map_and_the_least(digits):
    moments = second_moments(digits)

    def loss(w):
        return np.trace(w @ moments.input_moment @ w.T - 2 * w @ moments.cross_moment.T) + moments.target_energy

    best = moments.end_to_end_map()
    assert loss(best) == pytest.approx(moments.minimal_loss(), rel=1e-10)
    for step in np.random.default_rng(0).standard_normal((20, 10, 64)) * 1e-2:
        assert loss(best + step) > moments.minimal_loss()


def test_fewer_samples_than_pixels_are_fitted_exactly(digits):
    few = replace(digits, inputs=digits.inputs[:20], targets=digits.targets[:20])
    assert second_moments(few).minimal_loss() == pytest.approx(0, abs=1e-10)


def test_fresh_noise_is_averaged_in_closed_form():
    """theory.md I3: Sx = Sy + sigma^2 I, T = Sy Sx^-1, and the Wiener filter leaves L* = sigma^2 tr T."""
    generator = np.random.default_rng(1)
    clean = generator.standard_normal((500, 6)) @ generator.standard_normal((6, 6))
    moments = second_moments(samples_of(clean + 99, clean, noise=1.25, noise_draw="fresh"))
    y = clean.astype(np.float32).astype(float)
    energy = y.T @ y / 500
    np.testing.assert_allclose(moments.cross_moment, energy, rtol=1e-12)
    np.testing.assert_allclose(moments.input_moment - energy, 1.5625 * np.eye(6), atol=1e-12)
    wiener = energy @ np.linalg.inv(energy + 1.5625 * np.eye(6))
    np.testing.assert_allclose(moments.end_to_end_map(), wiener, atol=1e-12)
    assert moments.minimal_loss() == pytest.approx(1.5625 * np.trace(wiener), rel=1e-12)


def test_fresh_moments_are_the_mean_over_many_fixed_draws():
    generator = np.random.default_rng(2)
    clean = generator.standard_normal((50, 3)).astype(np.float32)
    fresh = second_moments(samples_of(clean, clean, noise=0.7, noise_draw="fresh"))
    repeated = np.tile(clean, (4000, 1))
    noisy = repeated + 0.7 * generator.standard_normal(repeated.shape)
    fixed = second_moments(samples_of(noisy, repeated, noise=0.7, noise_draw="fixed"))
    np.testing.assert_allclose(fixed.input_moment, fresh.input_moment, atol=0.01)
    np.testing.assert_allclose(fixed.cross_moment, fresh.cross_moment, atol=0.01)
    assert fixed.target_energy == pytest.approx(fresh.target_energy)


def test_fixed_noise_uses_the_stored_inputs(digits):
    fixed = second_moments(replace(digits, noise=0.5, noise_draw="fixed"))
    np.testing.assert_array_equal(fixed.input_moment, second_moments(digits).input_moment)


def test_mean_loss_leaves_the_moments_unscaled_and_is_recorded(digits):
    summed, mean = second_moments(digits), second_moments(replace(digits, loss="mean"))
    np.testing.assert_array_equal(mean.cross_moment, summed.cross_moment)
    assert mean.target_energy == summed.target_energy
    assert (summed.loss, summed.loss_scale) == ("sum", 1.0)
    assert (mean.loss, mean.loss_scale) == ("mean", pytest.approx(0.1))


@pytest.mark.parametrize("power", [1.0, 0.5])
@pytest.mark.parametrize("rank", [1, 4, 7])
def test_inverse_power_of_a_known_spectrum(power, rank):
    generator = np.random.default_rng(rank)
    basis = np.linalg.qr(generator.standard_normal((7, rank)))[0]
    spectrum = np.logspace(0, -6, rank)
    expected = (basis * spectrum**-power) @ basis.T
    result = inverse_power((basis * spectrum) @ basis.T, power)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(result, result.T)


def test_inverse_power_cuts_where_it_says():
    moment = np.diag([1e6, 2e-6, 0.5e-6])
    np.testing.assert_allclose(inverse_power(moment, 1.0), np.diag([1e-6, 0.5e6, 0.0]), rtol=1e-9)


def test_inverse_power_of_nothing_is_nothing():
    np.testing.assert_array_equal(inverse_power(np.zeros((3, 3)), 1.0), np.zeros((3, 3)))


def test_rounding_to_float32_is_not_taken_for_signal():
    """Rank 5 in 40 dimensions, centred and rounded to float32: 35 directions hold rounding only."""
    generator = np.random.default_rng(3)
    x = (generator.standard_normal((300, 5)) @ generator.standard_normal((5, 40)) + 1).astype(np.float32)
    inverse = inverse_power(mean_product(x, x), 1.0)
    assert np.linalg.matrix_rank(inverse, hermitian=True) == 6


@pytest.mark.parametrize("noise_draw", ["none", "fresh"])
def test_equivalent_samples_have_the_same_moments(digits, noise_draw):
    """For singular Sx, too, where the images leave pixels black."""
    inputs = digits.inputs if noise_draw == "none" else digits.targets
    moments = second_moments(replace(digits, inputs=inputs, noise=0.5, noise_draw=noise_draw))
    x, y = equivalent_samples(moments)
    size = len(moments.input_moment)
    assert (x.shape, y.shape) == ((size, size), (size, 10))
    np.testing.assert_allclose(x.T @ x / size, moments.input_moment, atol=1e-12)
    np.testing.assert_allclose(y.T @ x / size, moments.cross_moment, atol=1e-12)


def test_equivalent_samples_give_the_same_gradients(digits):
    """The loss of a linear map differs by a constant: by what no linear map explains of the targets."""
    x, y = equivalent_samples(second_moments(digits))
    maps = np.random.default_rng(4).standard_normal((3, 10, 64))

    def loss(weights, inputs, targets):
        return np.square(inputs @ weights.T - targets).sum(1).mean()

    given, made = ([loss(w, *data) for w in maps] for data in ((digits.inputs, digits.targets), (x, y)))
    np.testing.assert_allclose(np.diff(given), np.diff(made), rtol=1e-5)
    assert given[0] - made[0] == pytest.approx(second_moments(digits).minimal_loss(), rel=1e-4)


@pytest.mark.skipif(not (SHARED / "MNIST").is_dir(), reason="needs MNIST in shared/data")
def test_denoising_mnist_matches_the_numbers_of_the_theory():
    """theory.md 1.4: 10,000 test images, sigma 1.25, uncentred: s(T) = .962 and minimal sharpness 158.6 .. 463.6."""
    images = load_images(Dataset.model_validate({"name": "mnist"}), SHARED)
    clean = images.test_images.reshape(10_000, 784) / np.float32(255)
    moments = second_moments(samples_of(clean, clean, noise=1.25, noise_draw="fresh"))
    assert isinstance(moments, Moments)
    gains = np.linalg.eigvalsh(moments.end_to_end_map())
    assert gains[-1] == pytest.approx(0.962, abs=5e-4)
    energies = 1.5625 / (1 - gains)
    for depth, sharpness in [(2, 158.6), (3, 234.8), (4, 311.1), (6, 463.6)]:
        assert (2 * depth * energies * np.abs(gains) ** (2 - 2 / depth)).max() == pytest.approx(sharpness, abs=0.06)
