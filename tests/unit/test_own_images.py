"""Images of the user's own from an npz file: read whole, split, and refused in one line that names file and cure."""

import hashlib
import os

import numpy as np
import pytest

from flatminima.data.sources import is_there, load_images
from flatminima.data.tasks import build
from flatminima.errors import UserError
from flatminima.provenance.digest import images_digest
from flatminima.settings.datasets import Dataset
from flatminima.settings.tasks import Task

GREY, COLOUR = [6, 5, 1], [6, 5, 3]


def dataset(shape=GREY, **changes):
    return Dataset.model_validate({"name": "npz", "path": "faces.npz", "shape": shape} | changes)


def arrays(shape=GREY, **changes):
    """25 images for training, 7 for testing, of three classes."""
    generator = np.random.default_rng(3)
    made = {}
    for part, count in [("train", 25), ("test", 7)]:
        made[f"{part}_images"] = generator.integers(0, 256, (count, *shape), np.uint8)
        made[f"{part}_labels"] = generator.integers(0, 3, count)
    return made | changes


def saved(folder, values):
    np.savez_compressed(folder / "faces.npz", **values)
    return folder / "faces.npz"


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_images_and_labels_are_those_of_the_file(tmp_path, shape):
    values = arrays(shape)
    saved(tmp_path, values)
    images = load_images(dataset(shape, classes=3), tmp_path)
    for part in ("train", "test"):
        np.testing.assert_array_equal(getattr(images, f"{part}_images"), values[f"{part}_images"])
        np.testing.assert_array_equal(getattr(images, f"{part}_labels"), values[f"{part}_labels"])
    assert (images.classes, images.largest_pixel) == (3, 255.0)


def test_grey_images_need_no_axis_of_channels_and_denoising_no_labels(tmp_path):
    values = {key: value[..., 0] / 255 for key, value in arrays().items() if key.endswith("images")}
    saved(tmp_path, values)
    images = load_images(dataset(), tmp_path)
    np.testing.assert_array_equal(images.train_images[..., 0], values["train_images"])
    assert (images.train_labels, images.test_labels, images.classes, images.largest_pixel) == (None, None, 0, 1.0)
    task = {"kind": "denoise", "noise": 0.5, "noise_draw": "fixed", "pixels": "unit", "centre": False}
    samples = build(images, Task.model_validate(task | {"whiten": False, "loss": "sum"}), "study", "noisy")
    np.testing.assert_allclose(samples.targets, values["train_images"].reshape(25, -1), rtol=1e-6)


def test_bytes_and_floats_of_the_same_images_make_the_same_samples(tmp_path):
    whole = arrays()
    task = {"kind": "classify", "pixels": "unit", "centre": False, "whiten": False, "loss": "sum"}
    made = []
    for values in (whole, whole | {key: whole[key] / 255 for key in ("train_images", "test_images")}):
        saved(tmp_path, values)
        images = load_images(dataset(classes=3), tmp_path)
        made.append(build(images, Task.model_validate(task), "study", "labels"))
    np.testing.assert_allclose(made[0].inputs, made[1].inputs, rtol=1e-6)
    np.testing.assert_array_equal(made[0].targets, made[1].targets)
    np.testing.assert_array_equal(made[0].targets.argmax(1), whole["train_labels"])


def test_a_holdout_splits_images_with_their_labels(tmp_path):
    labels = np.arange(40)
    images = np.repeat(labels, 30).reshape(40, 6, 5).astype(np.uint8)
    saved(tmp_path, {"images": images, "labels": labels})
    split = load_images(dataset(classes=40, holdout=0.25), tmp_path)
    assert (len(split.train_images), len(split.test_images)) == (30, 10)
    assert sorted([*split.train_labels, *split.test_labels]) == [*range(40)]
    for pixels, names in [(split.train_images, split.train_labels), (split.test_images, split.test_labels)]:
        np.testing.assert_array_equal(pixels[:, 0, 0, 0], names)
    again = load_images(dataset(holdout=0.25), tmp_path)
    np.testing.assert_array_equal(again.test_images, split.test_images)
    assert again.test_labels is None
    assert split.test_labels.tolist() != sorted(split.test_labels)


@pytest.mark.parametrize("path", ["{folder}/faces.npz", "$FACES/faces.npz", "~/faces.npz", "deeper/../faces.npz"])
def test_where_the_file_may_lie(tmp_path, monkeypatch, path):
    saved(tmp_path, arrays())
    (tmp_path / "deeper").mkdir()
    monkeypatch.setenv("FACES", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    name = path.format(folder=tmp_path)
    assert len(load_images(dataset(path=name), tmp_path).train_images) == 25
    assert is_there("npz", name, str(tmp_path))
    assert not is_there("npz", "other.npz", str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "settings", "told"),
    [
        (
            {"train_images": np.zeros((25, 5, 6), np.uint8)},
            {},
            r"train_images is uint8 of shape \(25, 5, 6\), expected of shape \(n, 6, 5\)",
        ),
        ({"train_images": np.zeros((0, 6, 5), np.uint8)}, {}, r"train_images is uint8 of shape \(0, 6, 5\), expected"),
        ({"test_images": np.zeros((7, 6, 5), int)}, {}, r"test_images is int64 .*, expected uint8, or floats from 0"),
        ({"test_images": np.zeros((7, 6, 5))}, {}, r"test_images is float64 .*, expected of the type of train_images"),
        ({"train_images": np.full((25, 6, 5), 1.5)}, {}, "train_images holds floats outside 0 to 1; divide by the"),
        ({"train_images": np.full((25, 6, 5), np.nan)}, {}, "train_images holds floats outside 0 to 1"),
        ({"train_labels": np.zeros(24, int)}, {"classes": 3}, r"train_labels is int64 of shape \(24,\), expected int"),
        (
            {"train_labels": np.zeros(25)},
            {"classes": 3},
            r"train_labels is float64 .*, expected integers of shape \(25",
        ),
        (
            {"test_labels": np.full(7, 3)},
            {"classes": 3},
            "test_labels holds 3, expected 0 to 2; change dataset",
        ),
        ({}, {"holdout": 0.5}, "no array images, found train_images, train_labels, .*; expected images: save them so"),
        (
            {"images": np.zeros((9, 6, 5))},
            {"holdout": 0.5, "classes": 3},
            "no array labels, found .* expected im",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named_in_one_line(tmp_path, changes, settings, told):
    path = saved(tmp_path, arrays(**changes))
    with pytest.raises(UserError, match=told) as error:
        load_images(dataset(**settings), tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_broken_or_no_archive(tmp_path):
    with pytest.raises(UserError, match=r"faces\.npz: no such file; name it in dataset\.path"):
        load_images(dataset(), tmp_path)
    path = saved(tmp_path, arrays())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"^\S*faces\.npz: not an npz file \([^\n]*\); save it by numpy\.savez$"):
        load_images(dataset(), tmp_path)
    np.savez(path, train_images=np.array([{}], object), test_images=np.zeros(3))
    with pytest.raises(UserError, match="not an npz file"):
        load_images(dataset(), tmp_path)


def test_a_classifier_needs_classes(tmp_path):
    saved(tmp_path, arrays())
    task = {"kind": "classify", "pixels": "unit", "centre": False, "whiten": False, "loss": "sum"}
    with pytest.raises(UserError, match=r"the images have no labels: .* `classes`"):
        build(load_images(dataset(), tmp_path), Task.model_validate(task), "study", "labels")


def test_the_digest_of_the_file_is_that_of_its_content(tmp_path):
    path = saved(tmp_path, arrays())
    assert images_digest("faces.npz", str(tmp_path)) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert images_digest(None, str(tmp_path)) == images_digest("other.npz", str(tmp_path)) == ""
    assert images_digest("$UNSET/faces.npz", str(tmp_path)) == ""
    images_digest.cache_clear()
    os.utime(path, (0, 0))
    assert images_digest("faces.npz", str(tmp_path)) == hashlib.sha256(path.read_bytes()).hexdigest()
