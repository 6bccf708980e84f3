"""Copies of a finished project that keep contents, and not times."""

import os
import shutil

import pytest
from project import Project, different

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


def test_a_copy_is_up_to_date_by_its_contents(copy):
    assert copy.planned("patches") == set()


def test_a_copy_of_large_files_is_audited_and_touched(copy, finished):
    """Where contents are not compared, all would run again; touched, nothing does, and a new manifest says the same."""
    assert {"train", "measure", "figure"} <= {rule for rule, _ in copy.planned("patches", BY_TIMES)}
    audited = copy.run("flatminima", "audit", STUDY, "--level", "integrity", "--level", "code")
    assert audited.returncode == 0, audited.stdout
    touched = copy.snakemake("patches", "--touch", BY_TIMES)
    assert touched.returncode == 0, touched.stdout
    assert copy.planned("patches", BY_TIMES) == set()
    (copy.folder / STUDY / "manifest.json").unlink()
    assert copy.planned("patches", BY_TIMES) == {("manifest", "study=patches")}
    listed = copy.snakemake("patches", BY_TIMES)
    assert listed.returncode == 0, listed.stdout
    assert different(copy.files(STUDY), finished.files(STUDY)) == []
