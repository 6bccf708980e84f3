"""A file is whole or absent, whatever goes wrong while it is written."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from flatminima.errors import UserError
from flatminima.files import atomic_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_at_the_end_and_alone(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, ".csv")
    assert path.read_text() == "whole"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == ["table.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UserError, FileNotFoundError])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path):
    program = (
        "import os, signal; from pathlib import Path; from flatminima.files import atomic_path\n"
        "with atomic_path(Path('table.csv')) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path).returncode < 0
    assert not (tmp_path / "table.csv").exists()


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "table.csv"
    with atomic_path(path) as first, atomic_path(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert names(tmp_path) == ["table.csv"]


def test_the_libraries_that_write_the_record_accept_the_temporary_path(tmp_path):
    with atomic_path(tmp_path / "weights.safetensors") as temporary:
        save_file({"weight": np.arange(3.0)}, temporary)
    with atomic_path(tmp_path / "measures.parquet") as temporary:
        pyarrow.parquet.write_table(pyarrow.table({"value": [1.0]}), temporary)
    assert load_file(tmp_path / "weights.safetensors")["weight"].tolist() == [0, 1, 2]
    assert names(tmp_path) == ["measures.parquet", "weights.safetensors"]
    assert (tmp_path / "weights.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["disk", "quota", "safetensors"],
)
def test_a_full_disk_is_explained_in_one_line(tmp_path, error):
    path = tmp_path / "table.csv"
    with (
        pytest.raises(UserError, match=f"^{re.escape(str(path))}: no space left on the disk; free some"),
        atomic_path(path),
    ):
        raise error
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_device_that_is_full_is_recognised(tmp_path):
    with pytest.raises(UserError, match="no space left"), atomic_path(tmp_path / "table.csv"):
        Path("/dev/full").write_text("whole")


def test_a_file_in_the_place_of_the_folder_is_explained(tmp_path):
    (tmp_path / "results").touch()
    with (
        pytest.raises(UserError, match=r"results/table\.csv: cannot be written \(.*\); make the folder writable"),
        atomic_path(tmp_path / "results" / "table.csv"),
    ):
        pytest.fail("the block must not run")


def test_a_folder_in_the_place_of_the_file_is_explained(tmp_path):
    (tmp_path / "table.csv").mkdir()
    with (
        pytest.raises(UserError, match=r"table\.csv: cannot be written \(Is a directory\)"),
        atomic_path(tmp_path / "table.csv"),
    ):
        pass
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_explained(tmp_path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"),
        atomic_path(tmp_path / "table.csv"),
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "inputs.npz"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        SafetensorError("Error while deserializing header: invalid"),
    ],
    ids=["input", "download", "weights"],
)
def test_errors_that_are_not_about_writing_pass_unchanged(tmp_path, error):
    with pytest.raises(type(error)) as caught, atomic_path(tmp_path / "table.csv"):
        raise error
    assert caught.value is error
