"""Copies of a finished project that keep contents, and not times."""

import os
import shutil
from pathlib import Path

import pytest
from project import Project

STUDY = "results/patches"
BY_TIMES = "--max-checksum-file-size=0"
"""As for files so large that Snakemake does not compare contents."""


@pytest.fixture
def copy(finished, tmp_path) -> Project:
    """Made as by `cp -r`, in the worst order: what is read was written last."""
    folder = shutil.copytree(finished.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    made = sorted(
        (folder / STUDY).rglob("*.*"), key=lambda path: (finished.folder / path.relative_to(folder)).stat().st_mtime
    )
    now = made[-1].stat().st_mtime
    for age, path in enumerate(made):
        os.utime(path, (now - age, now - age))
    return Project(folder)


def records(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / ".snakemake/metadata").rglob("*") if path.is_file()}


def test_a_copy_is_up_to_date_by_its_contents(copy):
    assert copy.planned("patches") == set()


def test_a_copy_of_large_files_is_audited_and_touched(copy):
    """Where contents are not compared, all would run again; touched, nothing does, and the evidence is the same."""
    before = records(copy.folder)
    assert {"train", "measure", "figure"} <= {rule for rule, _ in copy.planned("patches", BY_TIMES)}
    audited = copy.run("flatminima", "audit", STUDY, "--level", "integrity", "--level", "code")
    assert audited.returncode == 0, audited.stdout
    touched = copy.snakemake("patches", "--touch", BY_TIMES)
    assert touched.returncode == 0, touched.stdout
    assert copy.planned("patches", BY_TIMES) == set()
    assert records(copy.folder) == before
