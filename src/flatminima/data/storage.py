"""Samples and moments on disk: safetensors with text metadata, identical bytes for identical content."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from flatminima.data.moments import Moments
from flatminima.data.tasks import Loss, NoiseDraw, Samples
from flatminima.errors import UserError
from flatminima.files import atomic_path

Choice = TypeVar("Choice")
Arrays = Mapping[str, NDArray[Any]]

SAMPLE_ARRAYS = ("inputs", "targets", "test_inputs", "test_targets")
MOMENT_AXES = {"input_moment": 2, "cross_moment": 2, "target_energy": 0}


def save_arrays(path: Path, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write arrays and text to a safetensors file, with equal bytes each time.

    The library writes metadata in an order that changes from run to run; here they are sorted.

    Args:
        path: the file to write, whole or not at all.
        arrays: by name, any shapes.
        metadata: text by name.

    Raises:
        UserError: if the file cannot be written.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(contiguous, temporary, dict(metadata))
        except SafetensorError as error:
            raise UserError(
                f"{path}: cannot be written ({error}); free some space on the disk and run again"
            ) from error
        _sort_metadata(temporary)


def load_arrays(path: Path, *, mapped: bool = False) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read the arrays and metadata of a safetensors file.

    Args:
        path: the file.
        mapped: whether the arrays are the file itself, read page by page when used and shared between processes, where
            what is written to them stays in this process; otherwise they are read into memory now.

    Raises:
        UserError: if the file is missing, truncated or not safetensors.
    """
    try:
        with safe_open(path, framework="pt" if mapped else "numpy") as file:
            return {name: np.asarray(file.get_tensor(name)) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the step that makes it") from None
    except (SafetensorError, OSError) as error:
        raise _damaged(path, " ".join(str(error).split())) from error


def save_samples(path: Path, samples: Samples) -> None:
    """Write the samples of a task.

    Raises:
        UserError: if the file cannot be written.
    """
    metadata = {"noise": repr(samples.noise), "noise_draw": samples.noise_draw, "loss": samples.loss}
    save_arrays(path, {name: getattr(samples, name) for name in SAMPLE_ARRAYS}, metadata)


def load_samples(path: Path) -> Samples:
    """Read the samples of a task, as writable numpy arrays mapped from the file.

    Raises:
        UserError: if the file is missing, truncated, or does not hold samples.
    """
    arrays, metadata = load_arrays(path, mapped=True)
    _expect_arrays(path, arrays, dict.fromkeys(SAMPLE_ARRAYS, 2), np.float32)
    inputs, targets, test_inputs, test_targets = (arrays[name] for name in SAMPLE_ARRAYS)
    same_rows = len(inputs) == len(targets) and len(test_inputs) == len(test_targets)
    same_columns = inputs.shape[1] == test_inputs.shape[1] and targets.shape[1] == test_targets.shape[1]
    if not (same_rows and same_columns):
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in SAMPLE_ARRAYS)
        raise _damaged(path, f"its shapes do not fit together: {shapes}")
    noise = _number(path, metadata, "noise")
    draw = _choice(path, metadata, "noise_draw", get_args(NoiseDraw))
    return Samples(inputs, targets, test_inputs, test_targets, noise, draw, _loss(path, metadata))


def save_moments(path: Path, moments: Moments) -> None:
    """Write the second moments of a task.

    Raises:
        UserError: if the file cannot be written.
    """
    arrays = {name: np.asarray(getattr(moments, name), np.float64) for name in MOMENT_AXES}
    save_arrays(path, arrays, {"loss": moments.loss, "samples": str(moments.samples)})


def load_moments(path: Path) -> Moments:
    """Read the second moments of a task, as writable numpy arrays.

    Raises:
        UserError: if the file is missing, truncated, or does not hold moments.
    """
    arrays, metadata = load_arrays(path)
    _expect_arrays(path, arrays, MOMENT_AXES, np.float64)
    input_moment, cross_moment, energy = (arrays[name] for name in MOMENT_AXES)
    size = cross_moment.shape[1]
    if input_moment.shape != (size, size):
        raise _damaged(path, f"input_moment {input_moment.shape} does not fit cross_moment {cross_moment.shape}")
    samples = int(_number(path, metadata, "samples"))
    return Moments(input_moment, cross_moment, float(energy), _loss(path, metadata), samples)


def save_checksums(path: Path, files: Sequence[Path]) -> None:
    """Write the SHA-256 digests of files, as `sha256sum -c` reads them when run in their folder.

    Args:
        path: the checksum file, in the folder of the files.
        files: the files, in the order of the lines.

    Raises:
        UserError: if the file cannot be written.
    """
    lines = []
    for file in files:
        with file.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {file.name}\n")
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _sort_metadata(path: Path) -> None:
    """Rewrite the header of a safetensors file (its length in 8 bytes, then JSON) with sorted metadata."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(length))


def _expect_arrays(path: Path, arrays: Arrays, axes: Mapping[str, int], dtype: type[np.floating[Any]]) -> None:
    for name, count in axes.items():
        if name not in arrays:
            raise _damaged(path, f"no array {name}, expected {', '.join(axes)}")
        if arrays[name].dtype != dtype or arrays[name].ndim != count:
            found = f"{arrays[name].dtype} of shape {arrays[name].shape}"
            raise _damaged(path, f"{name} is {found}, expected {dtype.__name__} with {count} axes")


def _number(path: Path, metadata: Mapping[str, str], key: str) -> float:
    try:
        number = float(metadata[key])
    except (KeyError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise _damaged(path, f"metadata {key} is {metadata.get(key)!r}, expected a number of at least 0")
    return number


def _choice(path: Path, metadata: Mapping[str, str], key: str, allowed: tuple[Choice, ...]) -> Choice:
    for choice in allowed:
        if metadata.get(key) == choice:
            return choice
    raise _damaged(path, f"metadata {key} is {metadata.get(key)!r}, expected {' or '.join(map(str, allowed))}")


def _loss(path: Path, metadata: Mapping[str, str]) -> Loss:
    loss: Loss = _choice(path, metadata, "loss", get_args(Loss))
    return loss


def _damaged(path: Path, found: str) -> UserError:
    return UserError(f"{path}: damaged: {found}; delete it and run again")
