"""MNIST, Fashion-MNIST and CIFAR-10 from an npz file."""

import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from published_examples import RAW, flipped, load, put

from flatminima.errors import UserError


def npz_arrays(shape=(28, 28), **changes):
    generator = np.random.default_rng(2)
    arrays = {}
    for part, count in [("train", 25), ("test", 7)]:
        arrays[f"x_{part}"] = generator.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"y_{part}"] = generator.integers(0, 10, count)
    return arrays | changes


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [("mnist", (28, 28), np.uint8), ("fashion_mnist", (28, 28), np.int32), ("cifar10", (32, 32, 3), np.int64)],
)
def test_an_npz_is_read(name, shape, dtype, tmp_path):
    arrays = npz_arrays(shape)
    labels = {key: arrays[key].astype(dtype) for key in ("y_train", "y_test")}
    np.savez_compressed(tmp_path / f"{name}.npz", **arrays | labels)
    images = load(name, tmp_path)
    assert images.train_images.shape == (25, *shape[:2], 3 if name == "cifar10" else 1)
    np.testing.assert_array_equal(images.train_images.squeeze(), arrays["x_train"])
    np.testing.assert_array_equal(images.test_images.squeeze(), arrays["x_test"])
    np.testing.assert_array_equal(images.train_labels, arrays["y_train"])
    np.testing.assert_array_equal(images.test_labels, arrays["y_test"])
    assert images.train_labels.dtype == np.int64


def test_an_npz_is_used_where_torchvision_files_are_incomplete(digits, archives, tmp_path):
    put(tmp_path, RAW["mnist"], {"train-images-idx3-ubyte": digits[0]["train-images-idx3-ubyte"]})
    np.savez(tmp_path / "mnist.npz", **npz_arrays())
    assert len(load("mnist", tmp_path).train_images) == 25


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"x_train": np.zeros((25, 28, 28))}, r"x_train is float64 of shape \(25, 28, 28\), expected uint8 of shape"),
        (
            {"x_train": np.zeros((25, 784), np.uint8)},
            r"x_train is uint8 of shape \(25, 784\), expected .*\(n, 28, 28\)",
        ),
        ({"x_test": np.zeros((7, 28, 29), np.uint8)}, r"x_test is uint8 of shape \(7, 28, 29\), expected"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, r"x_test is uint8 of shape \(0, 28, 28\), expected"),
        ({"y_train": np.zeros(24, int)}, r"y_train is int64 of shape \(24,\), expected integers of shape \(25,\)"),
        ({"y_train": np.zeros((25, 1), int)}, r"y_train is int64 of shape \(25, 1\), expected integers"),
        ({"y_test": np.zeros(7)}, r"y_test is float64 of shape \(7,\), expected integers of shape \(7,\)"),
        ({"y_test": np.full(7, 10)}, "damaged: label 10, expected 0 to 9"),
        ({"y_test": np.full(7, -1)}, "damaged: label -1, expected 0 to 9"),
        ({"y_test": np.full(7, 2**64 - 1, np.uint64)}, "damaged: label 18446744073709551615, expected 0 to 9"),
        ({"y_test": np.array([None] * 7)}, "damaged: Object arrays cannot be loaded"),
    ],
)
def test_an_npz_that_does_not_fit_is_named(changes, found, tmp_path):
    np.savez(tmp_path / "mnist.npz", **npz_arrays(**changes))
    with pytest.raises(UserError, match=rf"mnist.npz: {found}.*; (save it so|replace it)"):
        load("mnist", tmp_path)


def test_an_npz_with_other_names_is_named(tmp_path):
    np.savez(tmp_path / "mnist.npz", **{key.replace("x_", "images_"): array for key, array in npz_arrays().items()})
    message = (
        r"mnist.npz: no array x_train, x_test, found \['images_train', 'y_train', .*; expected x_train, y_train, x_test"
    )
    with pytest.raises(UserError, match=message):
        load("mnist", tmp_path)


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def unknown_compression(content):
    """The first entry of the central directory of a zip file, with a compression method that nobody knows."""
    method = content.index(b"PK\x01\x02") + 10
    return content[:method] + b"\x63\x63" + content[method + 2 :]


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-3],
        flipped,
        unknown_compression,
        lambda _: b"",
        lambda _: npy_bytes(np.zeros(3)),
        lambda _: pickle.dumps({"x_train": 1}),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_named(save, harm, tmp_path):
    path = tmp_path / "mnist.npz"
    save(path, **npz_arrays())
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(UserError, match=r"mnist.npz: damaged: .+; replace it by a whole copy, or delete it") as error:
        load("mnist", tmp_path)
    assert "\n" not in str(error.value)


def test_a_zip_of_something_else_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive:
        for key in npz_arrays():
            archive.writestr(key, "no array")
    with pytest.raises(UserError, match=r"mnist.npz: x_train is .*, expected uint8"):
        load("mnist", tmp_path)


def test_torchvision_is_imported_only_where_needed(tmp_path):
    np.savez(tmp_path / "mnist.npz", **npz_arrays())
    code = (
        "import sys; from pathlib import Path; from flatminima.settings.datasets import Dataset;"
        "from flatminima.data import storage, sources;"
        f"sources.load_images(Dataset.model_validate({{'name': 'mnist'}}), Path({str(tmp_path)!r}));"
        "print('torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "False"
