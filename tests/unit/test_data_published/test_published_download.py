"""Downloading MNIST, Fashion-MNIST and CIFAR-10 from a loopback server that works, fails, lies or falls silent."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from published_examples import RAW, check_batches, check_digits, everything_in, flipped, load, put
from torchvision.datasets import CIFAR10, MNIST
from torchvision.datasets import utils as torchvision_utils

from flatminima.data import torchvision_files
from flatminima.errors import UserError


@pytest.mark.parametrize("name", RAW)
def test_idx_files_are_downloaded_once(name, digits, server, tmp_path):
    root = tmp_path / "new" / "data"
    check_digits(load(name, root), digits[1])
    assert everything_in(root) == sorted(f"{RAW[name]}/{file}" for file in digits[0])
    asked = len(server.requests)
    check_digits(load(name, root), digits[1])
    assert len(server.requests) == asked


def test_cifar_is_downloaded_once(batches, server, tmp_path):
    check_batches(load("cifar10", tmp_path), batches[1])
    assert everything_in(tmp_path) == sorted(f"{CIFAR10.base_folder}/{file}" for file in batches[0])
    asked = len(server.requests)
    check_batches(load("cifar10", tmp_path), batches[1])
    assert len(server.requests) == asked


def test_files_that_are_there_are_kept_and_only_the_others_are_taken(digits, server, tmp_path):
    name = "t10k-labels-idx1-ubyte"
    own = digits[0][name][:-1] + bytes([(digits[0][name][-1] + 1) % 10])
    put(tmp_path, RAW["mnist"], {name: own})
    images = load("mnist", tmp_path)
    assert images.test_labels[-1] == own[-1]
    np.testing.assert_array_equal(images.train_images[..., 0], digits[1]["train"][0])


def test_archives_that_are_there_replace_the_network(digits, batches, archives, tmp_path):
    put(tmp_path, RAW["mnist"], {name: content for name, content in archives.items() if "ubyte" in name})
    put(tmp_path, ".", {CIFAR10.filename: archives[CIFAR10.filename]})
    check_digits(load("mnist", tmp_path), digits[1])
    check_batches(load("cifar10", tmp_path), batches[1])


@pytest.mark.parametrize(
    ("name", "archive"),
    [("mnist", "MNIST/raw/train-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-python.tar.gz")],
)
def test_a_damaged_archive_is_named_and_left_alone(name, archive, server, tmp_path):
    put(tmp_path, Path(archive).parent, {Path(archive).name: b"half"})
    with pytest.raises(UserError, match=rf"{archive}: damaged: its MD5 is not the published"):
        load(name, tmp_path)
    assert everything_in(tmp_path) == [archive]


def refusal(name, root):
    """What a failed download says, after checking its form and that it left nothing behind."""
    with pytest.raises(UserError) as error:
        load(name, root)
    message = str(error.value)
    folder = CIFAR10.base_folder if name == "cifar10" else RAW[name]
    assert message.startswith(f"{name}: download failed (")
    assert message.endswith(
        "); allow network access and run again, or put torchvision's files "
        f"({folder}) or {name}.npz (x_train, y_train, x_test, y_test) in {root}"
    )
    assert "\n" not in message
    assert list(root.rglob("*")) == []
    return message


@pytest.mark.parametrize("name", [*RAW, "cifar10"])
def test_without_a_network_both_cures_are_named(name, archives, tmp_path):
    assert "Connection refused" in refusal(name, tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "file"), [("mnist", "t10k-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-python.tar.gz")]
)
class TestFailingServer:
    def test_a_corrupt_archive_is_refused(self, name, file, server, tmp_path):
        server.files[file] = flipped(server.files[file])
        assert "corrupted" in refusal(name, tmp_path)

    def test_an_archive_cut_off_half_way_is_refused(self, name, file, server, tmp_path):
        server.cut.add(file)
        assert "corrupted" in refusal(name, tmp_path)

    def test_a_missing_archive_is_refused(self, name, file, server, tmp_path):
        del server.files[file]
        assert "404" in refusal(name, tmp_path)

    def test_a_server_that_falls_silent_is_given_up(self, name, file, server, tmp_path, monkeypatch):
        monkeypatch.setattr(torchvision_files, "DOWNLOAD_TIMEOUT", 0.2)
        server.silent.add(file)
        assert "timed out" in refusal(name, tmp_path)
        assert socket.getdefaulttimeout() is None

    def test_the_next_run_recovers(self, name, file, server, digits, batches, tmp_path):
        server.cut.add(file)
        refusal(name, tmp_path)
        server.cut.clear()
        images = load(name, tmp_path)
        (check_batches if name == "cifar10" else check_digits)(images, (batches if name == "cifar10" else digits)[1])


def test_an_interruption_while_unpacking_leaves_nothing(digits, server, tmp_path, monkeypatch):
    """torchvision unpacks straight to the final name, and would take the half file for whole."""
    unpack = torchvision_utils._decompress

    def unpack_half(archive, target, **options):
        if "t10k-images" in archive:
            Path(target).write_bytes(b"half")
            raise KeyboardInterrupt
        return unpack(archive, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torchvision_utils, "_decompress", unpack_half)
        with pytest.raises(KeyboardInterrupt):
            load("mnist", tmp_path)
    assert list(tmp_path.rglob("*")) == []
    check_digits(load("mnist", tmp_path), digits[1])


KILLED = """
import sys
from pathlib import Path
from torchvision.datasets import MNIST
from flatminima.data import torchvision_files
MNIST.mirrors, MNIST.resources = [sys.argv[2]], [tuple(pair.split("=")) for pair in sys.argv[3:]]
torchvision_files.download("mnist", Path(sys.argv[1]))
"""


def test_a_killed_download_is_not_taken_for_complete(digits, server, tmp_path):
    server.silent.add("t10k-images-idx3-ubyte.gz")
    resources = [f"{name}={checksum}" for name, checksum in MNIST.resources]
    command = [sys.executable, "-c", KILLED, str(tmp_path), server.url, *resources]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert server.fell_silent.wait(60)
        process.kill()
    assert any("train-images" in file for file in everything_in(tmp_path))
    assert torchvision_files.complete("mnist", tmp_path) is None
    assert not (tmp_path / "MNIST").exists()
    server.silent.clear()
    check_digits(load("mnist", tmp_path), digits[1])


def test_a_full_disk_is_named(server, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torchvision_utils, "_urlretrieve", full)
    with pytest.raises(UserError, match=rf"{tmp_path}: no space left while downloading mnist; free some and run again"):
        load("mnist", tmp_path)


def test_a_data_root_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"file/data: cannot be written \(Not a directory\), and mnist must be downloaded"
    ):
        load("mnist", tmp_path / "file" / "data")
    assert server.requests == []
