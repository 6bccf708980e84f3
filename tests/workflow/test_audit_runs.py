"""The audit and the comparison as people call them: exit codes, the table, the JSON file, results of record."""

import json
import re
import shutil

import pandas as pd
import pytest

LEVELS = ["integrity", "derivation", "code", "recomputation"]
FIRST_THREE = [f"--level={level}" for level in LEVELS[:3]]
QUICK = ["--level=integrity", "--level=code"]
STUDIES = ("digits", "patches", "perceptron", "rescaling", "theory")


def verdicts(output: str) -> dict[str, str]:
    return dict(re.findall(rf"^  ({'|'.join(LEVELS)}) +(PASSED|FAILED) ", output, re.MULTILINE))


def test_an_undisturbed_run_passes_all_levels(finished, tmp_path):
    audited = finished.run(
        "flatminima", "audit", "results/patches", "results/theory", "--seed=1", f"--json={tmp_path}/audit.json"
    )
    assert audited.returncode == 0, audited.stdout
    assert audited.stdout.count(" PASSED ") == 2 * len(LEVELS)
    assert "FAILED" not in audited.stdout
    results = json.loads((tmp_path / "audit.json").read_text())
    assert [result["folder"] for result in results] == ["results/patches", "results/theory"]
    for result in results:
        assert result["passed"]
        assert [level["name"] for level in result["levels"]] == LEVELS
        assert all(level["passed"] and level["findings"] == [] for level in result["levels"])
        checked = [int(level["checked"].split()[0]) for level in result["levels"]]
        files = len(json.loads((finished.folder / result["folder"] / "manifest.json").read_text())["outputs"])
        assert checked[0] == files
        assert min(checked) > 0


def test_a_failed_level_ends_with_1_and_the_others_still_run(copied):
    (copied.folder / "results/patches/tables/balance.tex").write_text("changed")
    audited = copied.run("flatminima", "audit", "results/patches", *FIRST_THREE)
    assert audited.returncode == 1
    assert verdicts(audited.stdout) == {"integrity": "FAILED", "derivation": "FAILED", "code": "PASSED"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results/none"], "results/none/manifest.json: no such file; run `make reproduce`"),
        (["results/patches", "--level=whole"], "--level"),
        (["results/patches", "--sample=0"], "--sample"),
        ([], "folders"),
    ],
)
def test_an_audit_that_cannot_run_ends_with_2(finished, arguments, message):
    audited = finished.run("flatminima", "audit", *arguments)
    assert audited.returncode == 2
    assert message in audited.stdout
    assert "Traceback" not in audited.stdout


def test_results_behind_a_link_pass_from_any_folder(copied, tmp_path):
    """Results are often moved to a larger disk, and a link put in their place."""
    folder = copied.folder / "results/patches"
    folder.rename(tmp_path / "run 42")
    folder.symlink_to(tmp_path / "run 42")
    audited = copied.run("env", "--chdir=results", "flatminima", "audit", "patches/", str(tmp_path / "run 42"), *QUICK)
    assert audited.returncode == 0, audited.stdout
    assert audited.stdout.count(" PASSED ") == 2 * len(QUICK)


def test_where_snakemake_s_folder_was_deleted_no_file_is_called_a_stranger_and_the_cause_is_named(copied):
    kept = (copied.folder / ".snakemake").rename(copied.folder / "kept")
    (copied.folder / "results/patches/manifest.json").unlink()
    run = copied.snakemake("patches")
    assert run.returncode == 0, run.stdout
    audited = copied.run("flatminima", "audit", "results/patches")
    assert verdicts(audited.stdout) == dict(zip(LEVELS, ["PASSED", "PASSED", "FAILED", "FAILED"], strict=True))
    assert " ".join(audited.stdout.split()).count("(.snakemake/metadata) were not there") == 2, audited.stdout
    shutil.rmtree(copied.folder / ".snakemake")
    kept.rename(copied.folder / ".snakemake")
    assert copied.snakemake("patches", "--forcerun=manifest").returncode == 0
    audited = copied.run("flatminima", "audit", "results/patches", *QUICK)
    assert audited.returncode == 0, audited.stdout


def test_a_run_with_another_configuration_is_audited_with_it(copied):
    (copied.folder / "mine.yaml").write_text("studies: {patches: {title: Mine}}")
    assert copied.snakemake("patches", "--configfile=mine.yaml").returncode == 0
    audited = copied.run("flatminima", "audit", "results/patches", *QUICK)
    assert verdicts(audited.stdout) == {"integrity": "PASSED", "code": "FAILED"}
    assert "the same settings with --configfile FILE" in " ".join(audited.stdout.split())
    audited = copied.run("flatminima", "audit", "results/patches", *QUICK, "--configfile=mine.yaml")
    assert audited.returncode == 0, audited.stdout


def draw(output: str) -> str:
    (found,) = re.findall(r"note: seed (\d+, \d+ of \d+ jobs: .*)$", output, re.MULTILINE)
    return found


def test_a_seed_that_is_not_given_is_drawn_and_printed_and_repeats_the_sample(finished):
    level = ["flatminima", "audit", "results/theory", "--level=recomputation"]
    first = finished.run(*level)
    assert first.returncode == 0, first.stdout
    seed = draw(first.stdout).split(",")[0]
    assert draw(finished.run(*level, f"--seed={seed}").stdout) == draw(first.stdout)


@pytest.fixture(scope="module")
def recorded(finished, tmp_path_factory):
    """A copy of the run whose results of record stand alone, as in a fresh clone."""
    project = finished.copy(tmp_path_factory.mktemp("recorded") / "copied")
    run = project.run("flatminima", "readme")
    assert run.returncode == 0, run.stdout
    for study in STUDIES:
        (project.folder / "results" / study).rename(project.folder / f"made-{study}")
    return project


def test_results_of_record_pass_the_first_three_levels(recorded):
    folders = [f"results/reference/{study}" for study in STUDIES]
    audited = recorded.run("flatminima", "audit", *folders, *FIRST_THREE)
    assert audited.returncode == 0, audited.stdout
    assert audited.stdout.count("files of the run are listed but not kept here") == len(STUDIES)


def test_results_of_record_hold_no_networks_and_are_made_again_from_nothing(recorded):
    folder = recorded.folder / "results/reference/patches"
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".parquet", ".csv", ".png"}
    audited = recorded.run("flatminima", "audit", "results/reference/patches", "--level=recomputation", "--sample=9")
    assert audited.returncode == 0, audited.stdout
    files = int(re.search(r"PASSED +(\d+) files", audited.stdout)[1])
    assert files == 12, "data, bounds, two experiments with networks, histories, measures and shared vectors"


def test_recording_again_replaces_what_was_of_record(recorded):
    (recorded.folder / "results/reference/theory/old.csv").touch()
    (recorded.folder / "made-theory").rename(recorded.folder / "results/theory")
    assert recorded.run("flatminima", "readme").returncode == 0
    assert not (recorded.folder / "results/reference/theory/old.csv").exists()
    (recorded.folder / "results/theory").rename(recorded.folder / "made-theory")


def test_a_run_agrees_with_its_reference_and_an_edited_one_does_not(recorded):
    compared = recorded.run("flatminima", "compare", "made-patches", "results/reference/patches")
    assert compared.returncode == 0, compared.stdout
    assert compared.stdout.splitlines()[-1] == "all verdicts are the same"
    path = recorded.folder / "made-patches/measures.parquet"
    measures = pd.read_parquet(path)
    measures.loc[measures["statistic"] == "sharpness", "value"] *= 1.1
    measures.to_parquet(path)
    compared = recorded.run("flatminima", "compare", "made-patches", "results/reference/patches")
    assert compared.returncode == 1
    assert re.search(r"^ *relu +sharpness +0 +0 +1 +0 +0.091$", compared.stdout, re.MULTILINE)
    assert recorded.run("flatminima", "compare", "made-patches", "results/reference/patches", "--tolerance=0.1").returncode == 0  # fmt: skip  # noqa: E501


def test_make_audits_every_folder_that_has_a_manifest(finished):
    shown = finished.make("--dry-run", "audit")
    assert shown.returncode == 0, shown.stdout
    assert " ".join(["flatminima audit", *(f"results/{study}" for study in STUDIES)]) in shown.stdout
    one = finished.make("--dry-run", "audit", "RESULTS=results/digits")
    assert "flatminima audit results/digits\n" in one.stdout
