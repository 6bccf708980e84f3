"""Snakemake where the environment is not activated, or is another one, and where something is in the way of results."""

import sysconfig
import venv
from pathlib import Path

import pytest
from project import BINARIES, Project

TARGET = "results/patches/data/noisy.safetensors"
SYSTEM = "/usr/bin:/bin"
"""Commands of no environment."""


@pytest.fixture
def other(tmp_path) -> str:
    """The Python of an environment that has the packages of this one, but not flatminima, and no commands."""
    folder = tmp_path / "other"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    return str(folder / "bin" / "python")


def refusal(project: Project, *command: str, **variables: str) -> str:
    """The last line of a run that fails, before it begins anything."""
    run = project.run(*command, "--cores", "1", TARGET, **variables)
    assert run.returncode != 0, run.stdout
    assert "Traceback" not in run.stdout
    assert not (project.folder / TARGET).exists()
    return run.stdout.splitlines()[-1]


def test_an_environment_need_not_be_activated(project):
    run = project.run(str(BINARIES / "snakemake"), "--cores", "1", TARGET, PATH=SYSTEM)
    assert run.returncode == 0, run.stdout
    assert (project.folder / TARGET).exists()


def test_an_environment_without_the_package_is_named(project, other):
    line = refusal(project, other, "-m", "snakemake", PYTHONPATH="")
    assert line.startswith(f"{other}: No module named 'flatminima'; run `make environment` once, and `source ")


def test_an_environment_without_the_command_is_named(project, other):
    line = refusal(project, other, "-m", "snakemake", PATH=SYSTEM)
    assert line.startswith(f"flatminima: no such command in {Path(other).parent}; run `make environment` once, and ")


@pytest.mark.parametrize("name", ["results/patches", "logs/patches"])
def test_a_file_in_the_place_of_a_study_is_named(project, name):
    (project.folder / name).parent.mkdir()
    (project.folder / name).write_text("")
    assert refusal(project, "snakemake") == f"{name}: not a folder that can be written; make it one, or move it away"


def test_a_link_to_a_disk_that_is_not_there_is_named(project, tmp_path):
    (project.folder / "results").symlink_to(tmp_path / "gone")
    assert refusal(project, "snakemake").startswith(f"results (a link to {tmp_path}/gone): not a folder that can be ")


def test_paths_with_spaces_and_quotes_and_links_to_another_disk(project, tmp_path):
    """And by a link to the project's folder."""
    folder = project.folder.rename(tmp_path / 'it\'s "my" project, №1 $HOME')
    for name in ("results", "logs"):
        (tmp_path / f"{name} elsewhere").mkdir()
        (folder / name).symlink_to(tmp_path / f"{name} elsewhere")
    (tmp_path / "link").symlink_to(folder)
    run = Project(tmp_path / "link").snakemake(TARGET)
    assert run.returncode == 0, run.stdout
    assert (tmp_path / "results elsewhere" / "patches" / "data" / Path(TARGET).name).exists()
