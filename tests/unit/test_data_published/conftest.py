"""Small published data sets, their archives, and a loopback server; no test here can reach a real host."""

import gzip
import io
import pickle
import socket
import tarfile
import threading

import numpy as np
import pytest
from published_examples import COUNTS, Stub, idx, md5
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

from flatminima.data import torchvision_files


@pytest.fixture(scope="module")
def digits():
    """Small idx files by name, and the arrays in them."""
    generator = np.random.default_rng(0)
    files, arrays = {}, {}
    for part, count in COUNTS.items():
        arrays[part] = generator.integers(0, 256, (count, 28, 28), np.uint8), generator.integers(0, 10, count, np.uint8)
        files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"] = map(idx, arrays[part])
    return files, arrays


@pytest.fixture(scope="module")
def batches():
    """Small CIFAR-10 batches by name, and the arrays in them."""
    generator = np.random.default_rng(1)
    files, arrays = {}, {}
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        data = generator.integers(0, 256, (4, 3072), np.uint8)
        labels = generator.integers(0, 10, 4).tolist()
        arrays[name] = data.reshape(4, 3, 32, 32).transpose(0, 2, 3, 1), labels
        files[name] = pickle.dumps({"data": data, "labels": labels})
    return files | {"batches.meta": pickle.dumps({"label_names": list("abcdefghij")})}, arrays


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def use_server(monkeypatch, url):
    for dataset_class in (MNIST, FashionMNIST):
        monkeypatch.setattr(dataset_class, "mirrors", [url])
    monkeypatch.setattr(CIFAR10, "url", f"{url}{CIFAR10.filename}")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Every address of torchvision becomes a closed loopback port."""
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")
    use_server(monkeypatch, closed_port())


@pytest.fixture
def archives(digits, batches, monkeypatch):
    """Archives of the small files, whose checksums and counts torchvision and the package then expect."""
    packed = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in digits[0].items()}
    for dataset_class in (MNIST, FashionMNIST):
        resources = [(name, md5(packed[name])) for name, _ in dataset_class.resources]
        monkeypatch.setattr(dataset_class, "resources", resources)
    monkeypatch.setattr(torchvision_files, "IDX_COUNTS", COUNTS)

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in batches[0].items():
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    packed[CIFAR10.filename] = buffer.getvalue()
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(buffer.getvalue()))
    for attribute in ("train_list", "test_list"):
        listed = [[name, md5(batches[0][name])] for name, _ in getattr(CIFAR10, attribute)]
        monkeypatch.setattr(CIFAR10, attribute, listed)
    monkeypatch.setitem(CIFAR10.meta, "md5", md5(batches[0]["batches.meta"]))
    return packed


@pytest.fixture
def server(archives, monkeypatch):
    with Stub() as stub:
        stub.files = dict(archives)
        threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        use_server(monkeypatch, stub.url)
        yield stub
        stub.closing.set()
        stub.shutdown()
