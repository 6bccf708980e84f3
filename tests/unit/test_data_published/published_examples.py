"""What the tests of published data sets share: small data sets, a loopback server, and comparisons."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from flatminima.data.sources import load_images
from flatminima.settings.datasets import Dataset

COUNTS = {"train": 30, "t10k": 12}
RAW = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}


def load(name, root):
    return load_images(Dataset.model_validate({"name": name}), root)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


class Stub(ThreadingHTTPServer):
    """Serves bytes by path; a path may be cut off half-way, or fall silent half-way."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.files, self.cut, self.silent, self.requests = {}, set(), set(), []
        self.fell_silent, self.closing = threading.Event(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class StubHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.requests.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in self.server.cut | self.server.silent:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if name in self.server.silent:
                self.server.fell_silent.set()
                self.server.closing.wait(60)
        else:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def md5(content):
    return hashlib.md5(content).hexdigest()


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


def put(root, folder, files):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / folder / name).write_bytes(content)


def check_digits(images, arrays):
    np.testing.assert_array_equal(images.train_images[..., 0], arrays["train"][0])
    np.testing.assert_array_equal(images.train_labels, arrays["train"][1])
    np.testing.assert_array_equal(images.test_images[..., 0], arrays["t10k"][0])
    np.testing.assert_array_equal(images.test_labels, arrays["t10k"][1])
    assert images.train_images.dtype == np.uint8
    assert images.train_labels.dtype == np.int64
    assert (images.classes, images.largest_pixel) == (10, 255.0)


def check_batches(images, arrays):
    training = [arrays[f"data_batch_{k}"] for k in range(1, 6)]
    np.testing.assert_array_equal(images.train_images, np.concatenate([data for data, _ in training]))
    assert images.train_labels.tolist() == [label for _, labels in training for label in labels]
    np.testing.assert_array_equal(images.test_images, arrays["test_batch"][0])
    assert images.test_labels.tolist() == arrays["test_batch"][1]
    assert images.train_labels.dtype == np.int64


def everything_in(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
