"""The workflow in any folder: by --directory, from a checkout that cannot be written, and as a module of another."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from project import Project, different, jobs

from flatminima.provenance.manifest import read_manifest

STUDY = "results/patches"
READS_WORKFLOW = {"claims", "figure", "report", "manifest"}
"""Rules of the study that read files of the workflow, or what such rules make."""
OBEDIENT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
"""Permissions hold for root too."""


@pytest.fixture(scope="module")
def read_only(finished, tmp_path_factory) -> Iterator[Project]:
    """The code of the project that ran once, in a folder that cannot be written."""
    project = Project.create(tmp_path_factory.mktemp("read-only") / "project")
    permit(project.folder, "a-w")
    yield project
    permit(project.folder, "u+w")


def permit(folder: Path, mode: str) -> None:
    subprocess.run(["chmod", "--recursive", mode, str(folder)], check=True)


def without_code(project: Project, folder: Path) -> Project:
    """A copy of the results of a project, and of Snakemake's memory of them, alone."""
    for name in ("results", "logs", ".snakemake"):
        shutil.copytree(project.folder / name, folder / name)
    return Project(folder)


def obedient(code: Project, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder, with the code of a project."""
    environment = code.environment()
    return subprocess.run(
        [*OBEDIENT, "snakemake", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def elsewhere(finished, read_only, tmp_path_factory):
    """Results of the project that ran once, brought up to date in a folder of their own; and what Snakemake printed."""
    folder = without_code(finished, tmp_path_factory.mktemp("elsewhere")).folder
    run = obedient(read_only, read_only.folder, "patches", "--directory", str(folder), "--cores", "2")
    return Project(folder), run


def test_a_checkout_that_cannot_be_written_names_the_cure(read_only):
    run = obedient(read_only, read_only.folder, "--dry-run", "patches")
    assert run.returncode != 0
    assert run.stderr.splitlines()[-1] == (
        f"{read_only.folder}: not a folder that can be written; add `--directory FOLDER` to run in another"
    )


def test_a_run_elsewhere_makes_what_a_run_in_the_checkout_makes(finished, read_only, elsewhere):
    """Of a checkout that cannot be written; the manifest is the same, and names no folder of this machine."""
    project, run = elsewhere
    assert run.returncode == 0, run.stderr
    assert {rule for rule, wildcards in jobs(run.stdout + run.stderr) if wildcards} == READS_WORKFLOW
    assert different(project.files(STUDY), finished.files(STUDY)) == []
    assert str(read_only.folder) not in (project.folder / STUDY / "manifest.json").read_text()
    assert not (read_only.folder / ".snakemake").exists()


def test_a_configuration_in_the_working_folder_comes_first(finished, elsewhere, tmp_path):
    settings = yaml.safe_load((finished.folder / "config.yaml").read_text())
    settings["embedded"] = ["theory"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    run = obedient(finished, finished.folder, "--dry-run", "--directory", str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert {wildcards.partition(",")[0] for _, wildcards in jobs(run.stdout) if wildcards} == {"study=theory"}


IMPORTING = """\
configfile: "mine.yaml"

rule all:
    input:
        "{study}/manifest.json",
        "own.txt",

rule data:
    output:
        "own.txt",
    shell:
        "touch {{output}}"

module flatminima:
    snakefile:
        "{snakefile}"
    config:
        config["flatminima"]
    {prefix}

use rule * from flatminima as fm_*
"""


def importing(folder: Path, code: Project, prefix: str = "", snakefile: str = "") -> None:
    """A workflow of somebody else that takes our rules, and has a rule and a configuration of its own."""
    (folder / "Snakefile").write_text(
        IMPORTING.format(study=STUDY, snakefile=snakefile or code.folder / "Snakefile", prefix=prefix)
    )
    settings = {"flatminima": yaml.safe_load((code.folder / "config.yaml").read_text()), "embedded": "something else"}
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def test_a_workflow_that_imports_this_one_makes_a_study(read_only, elsewhere, tmp_path):
    """By its own first rule, beside a rule with the name of one of ours."""
    folder = without_code(elsewhere[0], tmp_path / "user").folder
    importing(folder, read_only)
    for name in ("claims.json", "manifest.json"):
        (folder / STUDY / name).unlink()
    run = obedient(read_only, folder, "--cores", "2")
    assert run.returncode == 0, run.stderr
    made = {rule for rule, _ in jobs(run.stderr)}
    assert made == {"all", "data", "fm_claims", "fm_report", "fm_manifest"}
    assert different(Project(folder).files(STUDY), elsewhere[0].files(STUDY)) == [f"{STUDY}/manifest.json"]
    own, imported = (read_manifest(place / STUDY).outputs for place in (elsewhere[0].folder, folder))
    assert {output.rule for output in imported} > {"fm_claims", "fm_report"}
    assert [output.model_copy(update={"rule": output.rule.removeprefix("fm_")}) for output in imported] == own


@pytest.mark.parametrize("prefix", ['prefix: "fm"', 'replace_prefix: {"results/": "made/"}'])
def test_a_prefix_is_refused_in_one_line(read_only, tmp_path, prefix):
    importing(tmp_path, read_only, prefix)
    run = obedient(read_only, tmp_path, "--dry-run")
    assert run.returncode != 0
    assert run.stderr.splitlines()[-1].startswith(
        "module: prefix or replace_prefix: manifests name files below results/;"
    )


def test_rules_that_lie_in_no_folder_are_refused_in_one_line(read_only, tmp_path):
    """As those that Snakemake takes out of a git repository, here or at a hosting service."""
    repository = tmp_path / "repository"
    shutil.copytree(read_only.folder / "workflow", repository / "code" / "workflow")
    shutil.copy(read_only.folder / "Snakefile", repository / "code")
    permit(repository, "u+w")
    for arguments in (
        ["init"],
        ["add", "--all"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--message=a"],
    ):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True)
    importing(tmp_path, read_only, snakefile=f"git+file://{repository}/code/Snakefile@HEAD")
    run = obedient(read_only, tmp_path, "--dry-run")
    assert run.returncode != 0
    assert run.stderr.splitlines()[-1].endswith(
        "workflow/rules@HEAD: not a folder of this machine; clone the repository, and name its Snakefile"
    )
