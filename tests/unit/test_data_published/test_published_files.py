"""MNIST, Fashion-MNIST and CIFAR-10 from files that torchvision stored."""

from pathlib import Path

import numpy as np
import pytest
from published_examples import RAW, check_batches, check_digits, load, put
from torchvision.datasets import CIFAR10

from flatminima.errors import UserError

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.skipif(not (SHARED / "MNIST").is_dir(), reason="needs MNIST in shared/data")
def test_real_mnist_has_its_published_mean_and_deviation():
    images = load("mnist", SHARED)
    assert images.train_images.shape == (60_000, 28, 28, 1)
    assert images.test_images.shape == (10_000, 28, 28, 1)
    counts = np.bincount(images.train_images.ravel(), minlength=256)
    assert moments_of(counts) == pytest.approx((0.1307, 0.3081), abs=5e-5)
    assert np.bincount(images.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.skipif(not (SHARED / "cifar10.npz").is_file(), reason="needs cifar10.npz in shared/data")
def test_real_cifar10_has_its_published_means_and_deviations():
    images = load("cifar10", SHARED)
    assert images.train_images.shape == (50_000, 32, 32, 3)
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    channels = [np.bincount(images.train_images[..., c].ravel(), minlength=256) for c in range(3)]
    means, deviations = zip(*map(moments_of, channels), strict=True)
    assert means == pytest.approx((0.49140, 0.48216, 0.44653), abs=5e-6)
    assert deviations == pytest.approx((0.24703, 0.24349, 0.26159), abs=5e-6)


def moments_of(counts):
    """Mean and standard deviation of pixels in [0, 1] from the number of times that each value occurs."""
    values = np.arange(256) / 255
    mean = (counts * values).sum() / counts.sum()
    return mean, ((counts * (values - mean) ** 2).sum() / counts.sum()) ** 0.5


@pytest.mark.parametrize("name", RAW)
def test_idx_files_are_read(name, digits, archives, tmp_path):
    put(tmp_path, RAW[name], digits[0])
    check_digits(load(name, tmp_path), digits[1])


def test_torchvision_files_come_before_an_npz(digits, archives, tmp_path):
    put(tmp_path, RAW["mnist"], digits[0])
    (tmp_path / "mnist.npz").write_bytes(b"never opened")
    check_digits(load("mnist", tmp_path), digits[1])


def test_the_old_processed_files_of_torchvision_are_not_read(digits, archives, tmp_path):
    put(tmp_path, RAW["mnist"], digits[0])
    put(tmp_path, "MNIST/processed", {"training.pt": b"never opened", "test.pt": b"never opened"})
    check_digits(load("mnist", tmp_path), digits[1])


def cut(content):
    return content[:-5]


def extended(content):
    return content + b"\0"


def other_magic(content):
    return b"\1" + content[1:]


def fewer_declared(content):
    return content[:7] + bytes([content[7] - 1]) + content[8:]


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (cut, r"\d+ bytes, expected \d+"),
        (extended, r"\d+ bytes, expected \d+"),
        (other_magic, "not the header of an idx file of (30 x 28 x 28|12) bytes"),
        (fewer_declared, "not the header of an idx file"),
        (lambda _: b"", "not the header of an idx file"),
    ],
)
def test_a_damaged_idx_file_is_named(file, harm, found, digits, archives, tmp_path):
    put(tmp_path, RAW["mnist"], digits[0] | {file: harm(digits[0][file])})
    message = rf"MNIST/raw/{file}: damaged: {found}.*; replace it by a whole copy, or delete it and run again"
    with pytest.raises(UserError, match=message):
        load("mnist", tmp_path)


def test_a_label_out_of_range_is_named(digits, archives, tmp_path):
    name = "train-labels-idx1-ubyte"
    put(tmp_path, RAW["mnist"], digits[0] | {name: digits[0][name][:-1] + bytes([200])})
    with pytest.raises(UserError, match=rf"{name}: damaged: label 200, expected 0 to 9"):
        load("mnist", tmp_path)


def test_small_idx_files_do_not_pass_for_the_published_ones(digits, tmp_path):
    put(tmp_path, RAW["mnist"], digits[0])
    with pytest.raises(UserError, match="not the header of an idx file of 60000 x 28 x 28 bytes"):
        load("mnist", tmp_path)


def test_cifar_batches_are_read(batches, archives, tmp_path):
    put(tmp_path, CIFAR10.base_folder, batches[0])
    check_batches(load("cifar10", tmp_path), batches[1])


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_damaged_cifar_batch_is_named(file, batches, archives, tmp_path):
    put(tmp_path, CIFAR10.base_folder, batches[0] | {file: cut(batches[0][file])})
    message = rf"cifar-10-batches-py/{file}: damaged: its MD5 is not the published \w{{32}}; replace it"
    with pytest.raises(UserError, match=message):
        load("cifar10", tmp_path)
