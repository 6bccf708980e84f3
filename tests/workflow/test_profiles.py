"""The profiles for clusters, as far as they can be tested without one; `make slurm-test` starts one."""

import json
import re
import shlex

import pytest
import yaml
from project import JOB, ROOT, Project
from snakemake.cli import parse_args

CLUSTERS = ["slurm", "kubernetes"]


def dry_run(project: Project, profile: str | None = None) -> str:
    """What a run would do, by the default profile alone, or by that of a cluster besides."""
    run = project.run("snakemake", "--dry-run", *(["--profile", f"profiles/{profile}"] if profile else []))
    assert run.returncode == 0, run.stdout
    return run.stdout


def outputs(text: str) -> set[str]:
    """The files that a run would make; a storage provider shows where it keeps them, before the path."""
    found = (re.search(r"^    output: (.*)$", details, re.MULTILINE) for _, details in JOB.findall(text))
    return {re.sub(r"^.*?(results/\S*).*$", r"\1", name) for match in found if match for name in match[1].split(", ")}


@pytest.mark.parametrize("profile", CLUSTERS)
def test_a_cluster_makes_the_same_files(project, profile):
    assert outputs(dry_run(project, profile)) == outputs(dry_run(project))


def test_jobs_that_run_beside_snakemake_are_jobs_and_neither_train_nor_measure_networks(project):
    """A dry run does not tell where jobs run; `make slurm-test` sees it."""
    text = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    names = set(re.findall(r'^rule (\w+):\n    """.*"""\n    localrule: True$', text, re.MULTILINE))
    assert len(names) == text.count("localrule: True") > 0
    rules = {rule for rule, _ in JOB.findall(dry_run(project, "slurm"))}
    assert names < rules
    assert not names & {"train", "measure", "crosscheck", "attack", "converge", "orbit", "rescale", "solve"}


@pytest.mark.parametrize("profile", [None, *CLUSTERS])
def test_every_job_says_what_it_needs(project, profile):
    """A queue must know memory and time beforehand; nothing may be left to a site's defaults."""
    for rule, details in JOB.findall(dry_run(project, profile)):
        if "    output: " in details:
            needs = dict(pair.split("=") for pair in re.search(r"^    resources: (.*)$", details, re.M)[1].split(", "))
            assert 500 <= int(needs["mem_mb"]) <= 8000, rule
            assert 5 <= int(needs["runtime"]) <= 600, rule


@pytest.mark.parametrize("profile", CLUSTERS)
def test_what_ends_with_its_node_is_begun_again(profile):
    default, cluster = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", profile)
    )
    settings = cluster | default  # where both say something, Snakemake follows the default
    assert settings["retries"] >= 3
    assert settings["rerun-incomplete"] is True


@pytest.mark.parametrize("where", ["command line", "environment"])
def test_a_profile_of_a_site_adds_to_the_default(tmp_path, monkeypatch, where):
    """As does one of ours: neither need repeat what the default says, and each decides where jobs run."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/config.yaml").write_text("executor: slurm\njobs: 7\ncores: 3\nprintshellcmds: true\n")
    monkeypatch.chdir(ROOT)
    if where == "environment":
        monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path / "site"))
    given = ["--profile", str(tmp_path / "site")] if where == "command line" else []
    _, asked = parse_args(["digits", *given])
    assert (asked.executor, asked.jobs, asked.cores, asked.printshellcmds) == ("slurm", 7, 3, True)
    assert asked.scheduler == "greedy"
    assert asked.scheduler_subsample == 200


def test_a_manifest_of_a_plain_run_knows_threads(finished):
    """Each job's log tells them in its last line."""
    manifest = json.loads((finished.folder / "results/patches/manifest.json").read_text())
    costs = manifest["circumstances"]["outputs"]
    assert {cost["threads"] for cost in costs.values()} == {1}


def test_names_of_accounts_arrive_as_they_are_written_in_the_docs(project):
    """docs/cluster.md quotes them twice, since Snakemake evaluates them: a number, a name of Python, an expression."""
    shown = re.search(r"`(--default-resources .*?)`", (ROOT / "docs/cluster.md").read_text())[1]
    names = {"slurm_account": "0123", "slurm_partition": "all", "qos": "max-id"}
    option, *resources = shlex.split(shown)
    assert resources == [f"{resource}='NAME'" for resource in names]
    given = [text.replace("NAME", name) for text, name in zip(resources, names.values(), strict=True)]
    target = "results/patches/data/noisy.safetensors"
    run = project.run("snakemake", "--dry-run", "--profile", "profiles/slurm", option, *given, "--", target)
    assert run.returncode == 0, run.stdout[-2000:]
    for resource, name in names.items():
        assert f"{resource}={name}," in run.stdout


def test_commands_stay_short_however_many_parts_there_are(project):
    """Linux takes at most 128 KiB as one argument of a program, and a command is one argument of bash."""
    linear = ("studies", "digits", "experiments", "linear")
    project.configure(*linear, "depths", value=[2])
    project.configure(*linear, "seeds", value=3000)
    shown = project.snakemake("--dry-run", "--printshellcmds", "results/digits/manifest.json")
    assert shown.returncode == 0, shown.stdout[-2000:]
    commands = re.findall(r"^ +flatminima .*?>&2$", shown.stdout, re.MULTILINE | re.DOTALL)
    assert sum("linear-depth2-part2999.parquet" in command for command in commands) >= 1
    assert max(map(len, commands)) < 16 * 2**10
    assert max(map(len, shown.stdout.splitlines())) > 128 * 2**10, "the files that collect reads"
