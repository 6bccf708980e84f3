"""Bundled images, the split of each, and what load_images says of a data set."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from flatminima.data.bundled import LUMINANCE
from flatminima.data.sources import load_images
from flatminima.errors import UserError
from flatminima.settings.datasets import Dataset

WIDTH = 640


def digits(holdout=0.2):
    return Dataset.model_validate({"name": "digits", "holdout": holdout})


def patches(size=8, colour=False, count=200, holdout=0.25):
    section = {"size": size, "colour": colour, "count": count}
    return Dataset.model_validate({"name": "patches", "patches": section, "holdout": holdout})


def rows(images):
    return sorted(map(tuple, images.reshape(len(images), -1).tolist()))


def test_digits_are_split_without_loss_or_overlap(tmp_path):
    images, bundle = load_images(digits(), tmp_path), load_digits()
    assert images.test_images.shape == (359, 8, 8, 1)
    assert images.train_images.shape == (1438, 8, 8, 1)
    assert (images.classes, images.largest_pixel, images.train_images.max()) == (10, 16.0, 16.0)
    assert rows(np.concatenate([images.train_images, images.test_images])) == rows(bundle.images)


def test_digits_keep_their_labels(tmp_path):
    images, bundle = load_images(digits(), tmp_path), load_digits()
    labels = {pixels.tobytes(): label for pixels, label in zip(bundle.images, bundle.target, strict=True)}
    for part, found in [(images.train_images, images.train_labels), (images.test_images, images.test_labels)]:
        assert found.dtype == np.int64
        assert [labels[pixels.tobytes()] for pixels in part] == found.tolist()


def test_the_split_is_random_and_the_same_each_time(tmp_path):
    first, second = load_images(digits(), tmp_path), load_images(digits(), tmp_path)
    np.testing.assert_array_equal(first.test_images, second.test_images)
    assert not np.array_equal(first.test_images[..., 0], load_digits().images[:359])
    shares = np.bincount(first.test_labels, minlength=10) / 359
    assert shares.min() > 0.05


@pytest.mark.parametrize("holdout", [0.0001, 0.9999])
def test_a_holdout_that_leaves_one_side_empty_is_refused(holdout, tmp_path):
    with pytest.raises(UserError, match=rf"dataset.holdout is {holdout}: of 1797 images .* nearer 0.5"):
        load_images(digits(holdout), tmp_path)
    with pytest.raises(UserError, match=rf"dataset.holdout is {holdout}: of 200 images"):
        load_images(patches(holdout=holdout), tmp_path)


def windows(photographs, size):
    """Every patch of every photograph, by its bytes."""
    return {
        np.ascontiguousarray(photograph[row : row + size, column : column + size]).tobytes()
        for photograph in photographs
        for row in range(photograph.shape[0] - size + 1)
        for column in range(photograph.shape[1] - size + 1)
    }


def test_colour_patches_come_from_their_own_side_of_the_photographs(tmp_path):
    images = load_images(patches(size=9, colour=True, count=60), tmp_path)
    assert images.train_images.shape == (45, 9, 9, 3)
    assert images.test_images.shape == (15, 9, 9, 3)
    assert images.train_images.dtype == np.uint8
    photographs = load_sample_images().images
    left = windows([photograph[:, :480] for photograph in photographs], 9)
    right = windows([photograph[:, 480:] for photograph in photographs], 9)
    assert all(np.ascontiguousarray(patch).tobytes() in left for patch in images.train_images)
    assert all(np.ascontiguousarray(patch).tobytes() in right for patch in images.test_images)


def test_patches_come_from_both_photographs_and_all_heights(tmp_path):
    images = load_images(patches(size=2, colour=True, count=4000), tmp_path)
    photographs = load_sample_images().images
    for region in (photographs[0][:213], photographs[0][213:], photographs[1][:213], photographs[1][213:]):
        known = windows([region], 2)
        assert sum(np.ascontiguousarray(patch).tobytes() in known for patch in images.train_images) > 500


def test_grey_patches_are_the_luminance_of_the_colour_patches(tmp_path):
    grey, colour = (load_images(patches(colour=colour), tmp_path) for colour in (False, True))
    assert grey.train_images.shape == (150, 8, 8, 1)
    np.testing.assert_allclose(grey.train_images[..., 0], colour.train_images @ [0.299, 0.587, 0.114], rtol=1e-14)
    assert LUMINANCE.sum() == pytest.approx(1)


def test_patches_have_no_labels(tmp_path):
    images = load_images(patches(), tmp_path)
    assert images.train_labels is None
    assert images.test_labels is None
    assert (images.classes, images.largest_pixel) == (0, 255.0)


def test_patches_are_the_same_each_time(tmp_path):
    first, second = load_images(patches(), tmp_path), load_images(patches(), tmp_path)
    np.testing.assert_array_equal(first.train_images, second.train_images)
    np.testing.assert_array_equal(first.test_images, second.test_images)


def test_a_patch_may_fill_its_strip_but_not_exceed_it(tmp_path):
    holdout = 64 / WIDTH
    images = load_images(patches(size=64, holdout=holdout), tmp_path)
    assert images.test_images.shape[1:3] == (64, 64)
    message = r"dataset.patches.size is 64, but dataset.holdout 0.09\d* leaves a strip 63 pixels wide .* smaller size"
    with pytest.raises(UserError, match=message):
        load_images(patches(size=64, holdout=63 / WIDTH), tmp_path)


def test_bundled_sources_touch_no_folder(tmp_path):
    load_images(digits(), tmp_path / "absent")
    load_images(patches(), tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
