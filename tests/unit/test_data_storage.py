"""Samples and moments on disk: same bytes, whole or absent, and a clear word on damage."""

import json
import resource
import subprocess
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from flatminima.data.moments import Moments, second_moments
from flatminima.data.storage import (
    load_arrays,
    load_moments,
    load_samples,
    save_arrays,
    save_checksums,
    save_moments,
    save_samples,
)
from flatminima.data.tasks import Samples
from flatminima.errors import UserError


@pytest.fixture
def samples():
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape, dtype=np.float32) for shape in [(20, 4), (20, 3), (6, 4), (6, 3)]]
    return Samples(*arrays, noise=0.1, noise_draw="fixed", loss="mean")


@pytest.fixture
def moments(samples):
    return second_moments(samples)


def test_samples_come_back_as_they_were(samples, tmp_path):
    save_samples(tmp_path / "data" / "task.safetensors", samples)
    loaded = load_samples(tmp_path / "data" / "task.safetensors")
    for name in ("inputs", "targets", "test_inputs", "test_targets"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(samples, name))
        assert getattr(loaded, name).dtype == np.float32
    assert (loaded.noise, loaded.noise_draw, loaded.loss) == (0.1, "fixed", "mean")


def test_moments_come_back_as_they_were(moments, tmp_path):
    save_moments(tmp_path / "task-moments.safetensors", moments)
    loaded = load_moments(tmp_path / "task-moments.safetensors")
    np.testing.assert_array_equal(loaded.input_moment, moments.input_moment)
    np.testing.assert_array_equal(loaded.cross_moment, moments.cross_moment)
    assert (loaded.target_energy, loaded.loss, loaded.samples) == (moments.target_energy, "mean", 20)
    assert load_file(tmp_path / "task-moments.safetensors")["target_energy"].shape == ()


def test_identical_content_gives_identical_bytes(samples, moments, tmp_path):
    for save, content in [(save_samples, samples), (save_moments, moments)]:
        written = set()
        for _ in range(12):
            save(tmp_path / "file.safetensors", content)
            written.add((tmp_path / "file.safetensors").read_bytes())
        assert len(written) == 1


def test_transposed_arrays_and_any_text_survive(tmp_path):
    array, text = np.arange(6.0).reshape(2, 3).T, {"z": 'quote " \\ é \n\x7f', "a": "", "m": "1e-05"}
    save_arrays(tmp_path / "file.safetensors", {"b": array, "a": np.float64(2.5)}, text)
    arrays, metadata = load_arrays(tmp_path / "file.safetensors")
    np.testing.assert_array_equal(arrays["b"], array)
    assert arrays["a"] == 2.5
    assert metadata == text
    content = (tmp_path / "file.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"]) == ["a", "m", "z"]


def test_loaded_arrays_are_writable_so_that_torch_takes_them(samples, tmp_path):
    save_samples(tmp_path / "task.safetensors", samples)
    loaded = load_samples(tmp_path / "task.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.from_numpy(loaded.inputs).shape == (20, 4)


def test_what_is_written_to_loaded_samples_stays_in_this_process(samples, tmp_path):
    """They are mapped from the file, not read."""
    path = tmp_path / "task.safetensors"
    save_samples(path, samples)
    load_samples(path).inputs[:] = 0
    np.testing.assert_array_equal(load_samples(path).inputs, samples.inputs)


def test_checksums_are_read_by_sha256sum(samples, moments, tmp_path):
    files = [tmp_path / "task.safetensors", tmp_path / "task-moments.safetensors"]
    save_samples(files[0], samples)
    save_moments(files[1], moments)
    save_checksums(tmp_path / "task.sha256", files)

    def check():
        return subprocess.run(["sha256sum", "-c", "task.sha256"], cwd=tmp_path, capture_output=True, text=True)

    good = check()
    assert good.returncode == 0
    assert good.stdout.splitlines() == ["task.safetensors: OK", "task-moments.safetensors: OK"]
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert check().returncode == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none.safetensors: no such file; run the step that makes it"):
        load_samples(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 8, 60, -1])
@pytest.mark.parametrize("load", [load_samples, load_moments])
def test_a_truncated_file_is_named_with_its_cure(load, keep, samples, tmp_path):
    path = tmp_path / "task.safetensors"
    save_samples(path, samples)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"task.safetensors: damaged: .*; delete it and run again$"):
        load(path)


def test_a_file_of_another_kind_is_damaged(tmp_path):
    path = tmp_path / "task.safetensors"
    for content in (b"not safetensors at all", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged: .*; delete it and run again$"):
            load_samples(path)
    with pytest.raises(UserError, match=r"damaged: .*; delete it and run again$"):
        load_samples(tmp_path)


GOOD = {"noise": "0.1", "noise_draw": "fixed", "loss": "sum"}


def sample_arrays(**changes):
    arrays = {"inputs": (5, 4), "targets": (5, 2), "test_inputs": (3, 4), "test_targets": (3, 2)}
    return {name: np.zeros(shape, np.float32) for name, shape in arrays.items()} | changes


@pytest.mark.parametrize(
    ("arrays", "metadata", "found"),
    [
        ({"other": np.zeros(3)}, GOOD, "no array inputs, expected inputs, targets, test_inputs, test_targets"),
        (
            sample_arrays(inputs=np.zeros((5, 4))),
            GOOD,
            "inputs is float64 of shape .5, 4., expected float32 with 2 axes",
        ),
        (sample_arrays(targets=np.zeros(5, np.float32)), GOOD, "targets is float32 of shape .5,., expected"),
        (
            sample_arrays(inputs=np.zeros((6, 4), np.float32)),
            GOOD,
            "shapes do not fit together: inputs .6, 4., targets",
        ),
        (sample_arrays(test_inputs=np.zeros((3, 5), np.float32)), GOOD, "shapes do not fit together"),
        (sample_arrays(test_targets=np.zeros((4, 2), np.float32)), GOOD, "shapes do not fit together"),
        (sample_arrays(test_targets=np.zeros((3, 1), np.float32)), GOOD, "shapes do not fit together"),
        (sample_arrays(), None, "metadata noise is None, expected a number of at least 0"),
        (sample_arrays(), GOOD | {"noise": "much"}, "metadata noise is 'much'"),
        (sample_arrays(), GOOD | {"noise": "nan"}, "metadata noise is 'nan'"),
        (sample_arrays(), GOOD | {"noise": "-1"}, "metadata noise is '-1'"),
        (
            sample_arrays(),
            GOOD | {"noise_draw": "never"},
            "metadata noise_draw is 'never', expected fixed or fresh or none",
        ),
        (sample_arrays(), {"noise": "0", "noise_draw": "none"}, "metadata loss is None, expected sum or mean"),
    ],
)
def test_a_file_that_does_not_hold_samples_is_named(arrays, metadata, found, tmp_path):
    save_file(arrays, tmp_path / "task.safetensors", metadata)
    with pytest.raises(UserError, match=rf"task.safetensors: damaged: .*{found}.*; delete it and run again$"):
        load_samples(tmp_path / "task.safetensors")


@pytest.mark.parametrize(
    ("changes", "metadata", "found"),
    [
        ({"input_moment": np.zeros((4, 3))}, {}, r"input_moment .4, 3. does not fit cross_moment .2, 4."),
        ({"cross_moment": np.zeros((2, 5))}, {}, r"input_moment .4, 4. does not fit cross_moment .2, 5."),
        ({"target_energy": np.zeros(1)}, {}, r"target_energy is float64 of shape .1,., expected float64 with 0 axes"),
        ({"input_moment": np.zeros((4, 4), np.float32)}, {}, "input_moment is float32"),
        ({}, {"loss": "max"}, "metadata loss is 'max', expected sum or mean"),
        ({}, {"samples": "inf"}, "metadata samples is 'inf', expected a number"),
    ],
)
def test_a_file_that_does_not_hold_moments_is_named(changes, metadata, found, tmp_path):
    arrays = {"input_moment": np.eye(4), "cross_moment": np.zeros((2, 4)), "target_energy": np.array(1.0)} | changes
    save_file(arrays, tmp_path / "m.safetensors", {"loss": "sum", "samples": "5"} | metadata)
    with pytest.raises(UserError, match=rf"m.safetensors: damaged: .*{found}.*; delete it and run again$"):
        load_moments(tmp_path / "m.safetensors")


@contextmanager
def file_size_limit(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / "m.safetensors"
    save_moments(path, Moments(np.eye(2), np.eye(2), 2.0, "sum", 1))
    before = path.read_bytes()
    large = Moments(np.eye(100), np.eye(100), 2.0, "sum", 1)
    with file_size_limit(4096), pytest.raises(UserError, match=r"m.safetensors: cannot be written \(.*File too large"):
        save_moments(path, large)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
