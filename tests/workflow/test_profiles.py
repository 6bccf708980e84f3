"""The profiles for clusters, as far as they can be tested without one; `make slurm-test` starts one."""

import re

import pytest
import yaml
from project import JOB, ROOT, Project

CLUSTERS = ["slurm", "kubernetes"]


def dry_run(project: Project, profile: str) -> str:
    run = project.run("snakemake", "--dry-run", "--profile", f"workflow/profiles/{profile}")
    assert run.returncode == 0, run.stdout
    return run.stdout


def outputs(text: str) -> set[str]:
    """The files that a run would make; a storage provider shows where it keeps them, before the path."""
    found = (re.search(r"^    output: (.*)$", details, re.MULTILINE) for _, details in JOB.findall(text))
    return {re.sub(r"^.*?(results/\S*).*$", r"\1", name) for match in found if match for name in match[1].split(", ")}


@pytest.mark.parametrize("profile", CLUSTERS)
def test_a_cluster_makes_the_same_files(project, profile):
    assert outputs(dry_run(project, profile)) == outputs(dry_run(project, "default"))


def test_jobs_that_run_beside_snakemake_are_jobs_and_neither_train_nor_measure_networks(project):
    """A dry run does not tell where jobs run; `make slurm-test` sees it."""
    beside = re.search(r"^localrules:\n((?:    \w+,\n)+)", (ROOT / "Snakefile").read_text(), re.MULTILINE)
    rules = {rule for rule, _ in JOB.findall(dry_run(project, "slurm"))}
    names = set(re.findall(r"\w+", beside[1]))
    assert names < rules
    assert not names & {"train", "measure", "crosscheck", "attack", "converge", "orbit", "rescale", "solve"}


@pytest.mark.parametrize("profile", ["default", *CLUSTERS])
def test_every_job_says_what_it_needs(project, profile):
    """A queue must know memory and time beforehand; nothing may be left to a site's defaults."""
    for rule, details in JOB.findall(dry_run(project, profile)):
        if "    output: " in details:
            needs = dict(pair.split("=") for pair in re.search(r"^    resources: (.*)$", details, re.M)[1].split(", "))
            assert 500 <= int(needs["mem_mb"]) <= 8000, rule
            assert 5 <= int(needs["runtime"]) <= 600, rule


@pytest.mark.parametrize("profile", CLUSTERS)
def test_what_ends_with_its_node_is_begun_again(profile):
    settings = yaml.safe_load((ROOT / f"workflow/profiles/{profile}/config.yaml").read_text())
    assert settings["retries"] >= 3
    assert settings["rerun-incomplete"] is True


def test_commands_stay_short_however_many_parts_there_are(project):
    """Linux takes at most 128 KiB as one argument of a program, and a command is one argument of bash."""
    linear = ("studies", "digits", "experiments", "linear")
    project.configure(*linear, "depths", "value", value=[2])
    project.configure(*linear, "seeds", "value", value=3000)
    shown = project.snakemake("--dry-run", "--printshellcmds", "results/digits/manifest.json")
    assert shown.returncode == 0, shown.stdout[-2000:]
    commands = re.findall(r"^ +flatminima .*?>&2$", shown.stdout, re.MULTILINE | re.DOTALL)
    assert sum("linear-depth2-part2999.parquet" in command for command in commands) >= 1
    assert max(map(len, commands)) < 16 * 2**10
    assert max(map(len, shown.stdout.splitlines())) > 128 * 2**10, "the files that collect reads"
