"""Published data sets under the other names and in the other folders that people keep them in."""

import gzip

import numpy as np
import pytest
from published_examples import check_batches, check_digits, everything_in, load, put
from torchvision.datasets import CIFAR10

from flatminima.data.published import is_there
from flatminima.errors import UserError


def dotted(files):
    """As Kaggle's MNIST has it: train-images.idx3-ubyte."""
    return {name.replace("-idx", ".idx"): content for name, content in files.items()}


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST"),
        ("mnist", "mnist/raw"),
        ("fashion_mnist", "fashion-mnist"),
        ("fashion_mnist", "Fashion_MNIST/raw"),
    ],
)
@pytest.mark.parametrize("named", [dict, dotted])
def test_idx_files_are_found_in_their_own_folder(name, folder, named, digits, archives, tmp_path):
    put(tmp_path, folder, named(digits[0]))
    put(tmp_path, folder, {f"._{file}": b"of another system" for file in named(digits[0])})
    before = everything_in(tmp_path)
    assert is_there(name, tmp_path)
    check_digits(load(name, tmp_path), digits[1])
    assert everything_in(tmp_path) == before


def test_a_folder_of_data_may_be_called_after_the_data_set(digits, archives, tmp_path):
    put(tmp_path, "mnist", digits[0])
    check_digits(load("mnist", tmp_path / "mnist"), digits[1])


def test_files_in_torchvision_s_folder_come_first(digits, archives, tmp_path):
    put(tmp_path, "MNIST/raw", digits[0])
    put(tmp_path, "mnist", dotted(dict.fromkeys(digits[0], b"never opened")))
    check_digits(load("mnist", tmp_path), digits[1])


@pytest.mark.parametrize("folder", ["CIFAR-10-Batches-py", "cifar10", "cifar-10-python/cifar-10-batches-py", "."])
def test_cifar_batches_are_found(folder, batches, archives, tmp_path):
    put(tmp_path, folder, batches[0])
    assert is_there("cifar10", tmp_path)
    check_batches(load("cifar10", tmp_path), batches[1])


@pytest.mark.parametrize("folder", ["mnist", "."])
def test_packed_idx_files_are_found(folder, digits, archives, tmp_path):
    packed = {name: content for name, content in archives.items() if "ubyte" in name}
    put(tmp_path, folder, packed)
    check_digits(load("mnist", tmp_path), digits[1])


def test_a_packed_cifar_is_found(batches, archives, tmp_path):
    put(tmp_path, "CIFAR10", {"CIFAR-10-python.tar.gz": archives[CIFAR10.filename]})
    check_batches(load("cifar10", tmp_path), batches[1])


@pytest.mark.parametrize(
    ("name", "file"),
    [("mnist", "MNIST.npz"), ("mnist", "mnist/mnist.npz"), ("cifar10", "CIFAR-10.npz")],
)
def test_an_npz_is_found(name, file, tmp_path):
    shape = (4, 32, 32, 3) if name == "cifar10" else (4, 28, 28)
    arrays = {f"x_{part}": np.full(shape, 7, np.uint8) for part in ("train", "test")}
    (tmp_path / file).parent.mkdir(exist_ok=True)
    np.savez(tmp_path / file, **arrays, y_train=np.arange(4), y_test=np.arange(4))
    assert is_there(name, tmp_path)
    assert load(name, tmp_path).train_labels.tolist() == [0, 1, 2, 3]


def test_the_files_of_one_data_set_do_not_pass_for_those_of_another(digits, archives, tmp_path):
    """MNIST and Fashion-MNIST name their files alike."""
    put(tmp_path, "FashionMNIST/raw", digits[0])
    assert is_there("fashion_mnist", tmp_path)
    assert not is_there("mnist", tmp_path)
    other = {f"{name}.gz": gzip.compress(content + b"\0", mtime=0) for name, content in digits[0].items()}
    put(tmp_path, ".", other)
    with pytest.raises(UserError, match=r"^mnist: download failed .*; found there, but not read: \S*t10k-images-idx3"):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    "file", ["mnist_train.csv", "train.csv", "train-images-idx3-ubyte", "mnist.pkl.gz", "train-00000-of-00001.parquet"]
)
def test_what_looks_like_the_data_and_is_not_read_is_named(file, digits, archives, tmp_path):
    put(tmp_path, ".", {file: b"label,1x1\n", "notes.txt": b""})
    with pytest.raises(UserError) as error:
        load("mnist", tmp_path)
    told = f"; found there, but not read: {tmp_path / file}: move or convert what is mnist's"
    assert str(error.value).endswith(told)
    assert "\n" not in str(error.value)


def test_a_damaged_file_under_another_name_is_named(digits, archives, tmp_path):
    put(tmp_path, "mnist", dotted(digits[0]) | {"t10k-labels.idx1-ubyte": b"half"})
    with pytest.raises(UserError, match=r"mnist/t10k-labels\.idx1-ubyte: damaged: not the header of an idx file"):
        load("mnist", tmp_path)
