"""Tasks: what goes in, what comes out."""

import numpy as np
import pytest

from flatminima.data.sources import Images
from flatminima.data.tasks import build
from flatminima.errors import UserError
from flatminima.settings.tasks import Task


def task(kind="denoise", noise=0.5, draw="fixed", pixels="unit", centre=False, whiten=False, loss="sum", keep=None):
    section = {"kind": kind, "pixels": pixels, "centre": centre, "whiten": whiten}
    section["loss"] = loss
    if kind == "denoise":
        section |= {"noise": noise, "noise_draw": draw}
    if keep is not None:
        section["components"] = keep
    return Task.model_validate(section)


@pytest.fixture
def images():
    """Six by five grey images of 8 bits with a pixel that is always black, 400 for training and 300 for testing."""
    generator = np.random.default_rng(0)
    train, test = (generator.integers(0, 256, (n, 6, 5, 1), dtype=np.uint8) for n in (400, 300))
    train[:, 2, 3] = test[:, 2, 3] = 0
    return Images(train, generator.integers(0, 4, 400), test, generator.integers(0, 4, 300), 4, 255.0)


def flat(pixels):
    return pixels.reshape(len(pixels), -1).astype(float)


def test_denoise_targets_are_the_clean_images(images):
    samples = build(images, task(), "study", "noisy")
    np.testing.assert_allclose(samples.targets, flat(images.train_images) / 255, rtol=1e-6)
    np.testing.assert_allclose(samples.test_targets, flat(images.test_images) / 255, rtol=1e-6)
    assert samples.inputs.shape == (400, 30)
    assert samples.test_inputs.shape == (300, 30)
    arrays = (samples.inputs, samples.targets, samples.test_inputs, samples.test_targets)
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in arrays)
    assert (samples.noise, samples.noise_draw, samples.loss) == (0.5, "fixed", "sum")


@pytest.mark.parametrize("draw", ["fixed", "fresh"])
def test_denoise_inputs_add_white_gaussian_noise(draw, images):
    samples = build(images, task(noise=1.25, draw=draw), "study", "noisy")
    for noise in (samples.inputs - samples.targets, samples.test_inputs - samples.test_targets):
        count = noise.size
        assert noise.mean() == pytest.approx(0, abs=4 * 1.25 / count**0.5)
        assert noise.std() == pytest.approx(1.25, rel=4 / (2 * count) ** 0.5)
        assert (np.abs(noise) < 1.25).mean() == pytest.approx(0.6827, abs=4 * (0.2166 / count) ** 0.5)
        correlations = np.corrcoef(noise.T)[np.triu_indices(30, 1)]
        assert np.abs(correlations).max() < 5 / len(noise) ** 0.5
    assert samples.noise_draw == draw


def test_raw_pixels_keep_their_scale_and_the_noise_its_own(images):
    samples = build(images, task(pixels="raw", noise=20.0), "study", "noisy")
    np.testing.assert_array_equal(samples.targets, flat(images.train_images))
    assert (samples.inputs - samples.targets).std() == pytest.approx(20, rel=0.02)


def test_unit_pixels_are_divided_by_the_largest_value_of_the_source(images):
    digits = Images(images.train_images // 16, None, images.test_images // 16, None, 0, 16.0)
    samples = build(digits, task(), "study", "noisy")
    np.testing.assert_array_equal(samples.targets, flat(digits.train_images) / 16)


def test_the_noise_is_named_by_study_and_task(images):
    def inputs(study, name):
        return build(images, task(), study, name).inputs

    np.testing.assert_array_equal(inputs("a", "b"), inputs("a", "b"))
    assert not np.array_equal(inputs("a", "b"), inputs("a", "c"))
    assert not np.array_equal(inputs("a", "b"), inputs("c", "b"))


def test_training_and_test_noise_differ(images):
    same = Images(images.train_images, None, images.train_images, None, 0, 255.0)
    samples = build(same, task(), "study", "noisy")
    assert not np.array_equal(samples.inputs, samples.test_inputs)


def test_centring_subtracts_the_training_mean_from_both_sides_of_denoise(images):
    centred, plain = (build(images, task(centre=centre), "study", "noisy") for centre in (True, False))
    mean = flat(images.train_images).mean(axis=0) / 255
    np.testing.assert_allclose(centred.targets.mean(axis=0), 0, atol=1e-6)
    for name in ("inputs", "targets", "test_inputs", "test_targets"):
        np.testing.assert_allclose(getattr(centred, name), getattr(plain, name) - mean, atol=1e-6)
    assert not centred.targets[:, 13].any()


def test_classify_pairs_images_with_one_hot_labels(images):
    samples = build(images, task("classify", loss="mean"), "study", "labels")
    np.testing.assert_allclose(samples.inputs, flat(images.train_images) / 255, rtol=1e-6)
    assert samples.targets.shape == (400, 4)
    assert samples.targets.dtype == np.float32
    np.testing.assert_array_equal(samples.targets.argmax(axis=1), images.train_labels)
    np.testing.assert_array_equal(samples.test_targets.argmax(axis=1), images.test_labels)
    np.testing.assert_array_equal(samples.targets.sum(axis=1), 1)
    np.testing.assert_array_equal((samples.targets**2).sum(axis=1), 1)
    assert (samples.noise, samples.noise_draw, samples.loss) == (0.0, "none", "mean")


def test_centring_leaves_one_hot_targets_alone(images):
    centred, plain = (build(images, task("classify", centre=centre), "study", "labels") for centre in (True, False))
    np.testing.assert_array_equal(centred.targets, plain.targets)
    np.testing.assert_allclose(centred.inputs.mean(axis=0), 0, atol=1e-6)
    mean = flat(images.train_images).mean(axis=0) / 255
    np.testing.assert_allclose(centred.test_inputs, plain.test_inputs - mean, atol=1e-6)


@pytest.mark.parametrize("kind", ["denoise", "classify"])
def test_whitened_inputs_have_an_identity_second_moment(kind, images):
    samples, plain = (build(images, task(kind, whiten=whiten), "study", "white") for whiten in (True, False))
    inputs = samples.inputs.astype(float)
    expected = np.eye(30)
    if kind == "classify":
        expected[13, 13] = 0
    np.testing.assert_allclose(inputs.T @ inputs / 400, expected, atol=1e-5)
    np.testing.assert_array_equal(samples.targets, plain.targets)
    np.testing.assert_array_equal(samples.test_targets, plain.test_targets)


def test_whitening_is_one_symmetric_map_fitted_on_the_training_inputs(images):
    samples, plain = (build(images, task("classify", whiten=whiten), "study", "white") for whiten in (True, False))
    kept = np.arange(30) != 13
    moment = np.cov(plain.inputs[:, kept].T.astype(float), bias=True) + np.outer(
        mean := plain.inputs[:, kept].mean(axis=0, dtype=float), mean
    )
    eigenvalues, eigenvectors = np.linalg.eigh(moment)
    whitener = eigenvectors / np.sqrt(eigenvalues) @ eigenvectors.T
    np.testing.assert_allclose(samples.inputs[:, kept], plain.inputs[:, kept] @ whitener, atol=1e-5)
    np.testing.assert_allclose(samples.test_inputs[:, kept], plain.test_inputs[:, kept] @ whitener, atol=1e-5)
    np.testing.assert_allclose(samples.test_inputs[:, 13], 0, atol=1e-12)


@pytest.mark.parametrize("centre", [False, True])
def test_components_are_those_of_a_singular_value_decomposition(centre, images):
    whole = build(images, task(noise=1e-6, centre=centre), "s", "t")
    samples = build(images, task(noise=1e-6, centre=centre, keep=7), "s", "t")
    _, _, directions = np.linalg.svd(whole.targets.astype(float), full_matrices=False)
    for part in ("targets", "inputs", "test_targets", "test_inputs"):
        expected, found = getattr(whole, part) @ directions[:7].T, getattr(samples, part)
        np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-4, atol=1e-4)
    assert (np.diff(np.square(samples.targets).sum(0)) < 0).all()


def test_noise_is_added_to_the_components(images):
    samples = build(images, task(noise=0.5, keep=3), "s", "t")
    noise = samples.inputs - samples.targets
    assert noise.shape == (400, 3)
    assert noise.std() == pytest.approx(0.5, rel=0.05)


def test_there_are_no_more_components_than_pixels(images):
    with pytest.raises(UserError, match=r"tasks\.t\.components is 31: expected at most 30, the number of pixels"):
        build(images, task(keep=31), "s", "t")


def test_images_without_labels_cannot_be_classified(images):
    patches = Images(images.train_images, None, images.test_images, None, 0, 255.0)
    with pytest.raises(UserError, match=r"tasks.labels.kind is 'classify', but the images have no labels: use kind"):
        build(patches, task("classify"), "study", "labels")


def test_the_images_are_left_as_they_were(images):
    before = images.train_images.copy()
    build(images, task(centre=True), "study", "noisy")
    real = Images(images.train_images.astype(np.float32), None, images.test_images.astype(np.float32), None, 0, 255.0)
    build(real, task(centre=True), "study", "noisy")
    np.testing.assert_array_equal(images.train_images, before)
    np.testing.assert_array_equal(real.train_images, before)
