"""The command line: exit codes, one-line errors, and what it prints."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml
from project import ROOT, TINY

from flatminima.claims.verdicts import Verdict

WORDS = "|".join(sorted(Verdict, key=len, reverse=True))
COMMANDS = [
    "data", "bound", "train", "measure", "crosscheck", "attack", "construct", "converge", "price", "scaled-residual",
    "convolve", "orbit", "linear-orbit", "rescale", "volume", "replica", "enumerate", "solve", "survey", "plant",
    "collect", "figure", "table", "sensitivity", "claims", "report", "manifest", "audit", "compare", "export",
    "verdicts", "readme", "schema", "validate",
]  # fmt: skip


def test_help_lists_every_command(command):
    ended = command("--help")
    assert ended.code == 0
    assert [line.split()[1] for line in ended.output.splitlines() if line[2:3].isalpha() and line[0] == "│"] == COMMANDS


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["figure", "overview"], "--kind"),
        (["train", "--stpes=3"], "--stpes"),
        (["vredicts"], "vredicts"),
        (["measure", "--unbalance=much", "n.safetensors"], "--unbalance"),
    ],
)
def test_a_wrong_call_is_explained_without_a_traceback(command, arguments, named):
    ended = command(*arguments)
    assert ended.code == 2
    assert named in ended.error
    assert "Usage: " in ended.error
    assert "Traceback" not in ended.error


def only_line(ended) -> str:
    """The error of a command that failed for its user's mistake."""
    assert (ended.code, ended.output) == (2, "")
    assert ended.error.startswith("flatminima: ")
    assert ended.error.count("\n") == 1
    return ended.error.removeprefix("flatminima: ").rstrip()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "--settings is not JSON: Expecting property name enclosed in double quotes"),
        ("{}", "--settings: dataset: missing key; add it (DataSettings requires it)"),
        ("[]", "--settings:"),
        (
            '{"dataset": {"name": "digits"}, "task": {}}',
            "--settings: dataset: `holdout` is missing: the data set digits needs it",
        ),
    ],
)
def test_malformed_settings_are_named(command, tmp_path, settings, message):
    files = [f"--samples={tmp_path}/s", f"--moments={tmp_path}/m", f"--checksums={tmp_path}/c"]
    ended = command("data", "--study=digits", f"--settings={settings}", *files, "noisy", tmp_path)
    assert only_line(ended).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_verdicts_without_results_name_the_cure(command, tmp_path):
    assert only_line(command("verdicts", tmp_path)) == (
        f"{tmp_path}: no claims.json in any study; run `make reproduce` first"
    )


def test_verdicts_of_a_run_are_printed_with_the_places_of_its_reports(command, finished):
    ended = command("verdicts", finished.folder / "results")
    assert ended.code == 0
    verdicts: dict[str, dict[str, str]] = {}
    studies = ("digits", "patches", "perceptron", "rescaling", "theory")
    for study in studies:
        page = finished.folder / "results" / study / "report" / "index.html"
        assert f"report: {page}" in ended.output.splitlines()
        claims = json.loads((page.parents[1] / "claims.json").read_text())["claims"]
        for claim in claims:
            verdicts.setdefault(claim["id"], {})[study] = claim["verdict"]
    for identity, found in verdicts.items():
        lines = [line for line in ended.output.splitlines() if line.startswith(f"{identity} ")]
        printed = [word for line in lines for word in re.findall(WORDS, line)]
        assert printed == [found[study] for study in studies if study in found]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["figure", "trianing"],
            "figure 'trianing' is not known: did you mean 'training'? allowed: sharpness, dose-response, ",
        ),
        (
            ["figure", "sharpness-nosy"],
            "figure 'sharpness-nosy': no network of task 'nosy' in the measures: did you mean 'noisy'?",
        ),
        (["table", "sharpnes"], "table 'sharpnes' is not known: did you mean 'sharpness'? allowed: "),
    ],
)
def test_an_unknown_figure_or_table_is_named(command, finished, tmp_path, arguments, message):
    results = finished.folder / "results" / "digits"
    tables = ["--kind=training", f"--measures={results}/measures.parquet"]
    if arguments[0] == "figure":
        tables += [f"--ledger={ROOT}/workflow/claims.yaml", f"--details={results}/shared.parquet"]
    assert only_line(command(*arguments, *tables, f"--output={tmp_path}/out")).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_depth_without_a_bound_is_named(command, finished, tmp_path):
    relu = yaml.safe_load(TINY.read_text())["studies"]["patches"]["experiments"]["relu"]
    results = finished.folder / "results" / "patches"
    data = [f"--samples={results}/data/noisy.safetensors", f"--moments={results}/data/noisy-moments.safetensors"]
    files = [f"--bounds={results}/bounds/noisy.json", f"--networks={tmp_path}/n", f"--history={tmp_path}/h"]
    ended = command("train", "--study=patches", f"--settings={json.dumps(relu)}", *data, *files, "relu", "7")
    assert only_line(ended) == f"{results}/bounds/noisy.json: no bound for depth 7, only for 2; add it to `depths`"
    assert list(tmp_path.iterdir()) == []


def test_the_traceback_is_there_for_those_who_ask(project):
    """An error with a cause names the variable, and the variable shows the cause."""
    (project.folder / "old.parquet").write_bytes(b"half")
    arguments = ["flatminima", "collect", "--output=new.parquet", "old.parquet"]
    short = project.run(*arguments)
    assert short.returncode == 2
    assert short.stdout.startswith("flatminima: old.parquet: damaged: ")
    assert short.stdout.endswith("(for the traceback, set FLATMINIMA_TRACEBACK=1)\n")
    assert short.stdout.count("\n") == 1
    long = project.run(*arguments, FLATMINIMA_TRACEBACK="1")
    assert long.returncode == 1
    assert "Traceback" in long.stdout
    assert "ArrowInvalid" in long.stdout


@pytest.mark.parametrize("path", [ROOT / "config.yaml", TINY], ids=["shipped", "tiny"])
def test_a_valid_configuration_is_called_valid(command, path):
    ended = command("validate", path)
    assert (ended.code, ended.output, ended.error) == (0, f"{path}: valid\n", "")


def test_the_schema_describes_the_shipped_configuration(command):
    ended = command("schema")
    schema = json.loads(ended.output)
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert set(schema["properties"]) == set(shipped)
    assert json.loads((ROOT / "workflow/config.schema.json").read_text()) == schema


def test_readme_records_the_evidence_and_notices_when_it_is_old(command, copied, monkeypatch):
    monkeypatch.chdir(copied.folder)
    assert command("readme").code == 0
    for study in ("digits", "patches"):
        for name in ("claims.json", "figures/overview.png"):
            recorded = copied.folder / "results/reference" / study / name
            assert recorded.read_bytes() == (copied.folder / "results" / study / name).read_bytes()
    assert command("readme", "--check").code == 0
    claims = copied.folder / "results/reference/digits/claims.json"
    claims.write_text(re.sub('"verdict": "[A-Z ]+"', '"verdict": "VIOLATED"', claims.read_text()))
    ended = command("readme", "--check")
    assert only_line(ended) == "README.md: does not match the results of record; run `make readme`"
    shutil.rmtree(claims.parents[1])
    assert "no claims.json in any study" in only_line(command("readme", "--check"))


def test_a_figure_without_anything_to_show_says_so_and_the_run_goes_on(command, finished, tmp_path):
    results = finished.folder / "results" / "digits"
    measures = pd.read_parquet(results / "measures.parquet")
    measures[measures["final"]].to_parquet(tmp_path / "measures.parquet")
    tables = [f"--measures={tmp_path}/measures.parquet", f"--details={results}/shared.parquet"]
    tables.append(f"--ledger={ROOT}/workflow/claims.yaml")
    ended = command("figure", "training", "--kind=training", *tables, f"--output={tmp_path}/training")
    reason = "figure training: no network along training; set `snapshots` of an experiment in config.yaml"
    assert (ended.code, ended.error) == (0, f"{reason}\n")
    assert (tmp_path / "training.csv").read_text().splitlines() == ["absent", reason]
    assert all((tmp_path / f"training.{suffix}").stat().st_size > 0 for suffix in ("svg", "pdf", "png"))
