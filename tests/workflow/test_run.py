"""A whole run from nothing: what it leaves behind, and that the same run leaves the same bytes."""

import csv
import hashlib
import json
from html import unescape
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from project import TINY, Project, different, temporaries
from tiny_outputs import FIGURES, PARTS, SHAPES, SOLVERS, STUDIES, TABLES, TRAINED

from flatminima.claims.verdicts import Verdict
from flatminima.config import Config, load
from flatminima.files import numbered
from flatminima.progress import COST
from flatminima.record import COLUMNS, IDENTITY, WITHIN
from flatminima.statistics.catalogue import STATISTICS, declared_name

STAGES = ["data", "train", "measure", "figures", "tables", "claims", "report", "manifest"]
CLAIMS = {"digits": ["M1", "M2", "M3", "M4", "M5"], "patches": ["M5"]}
CLAIMS["theory"] = ["M1", "M2", "M3", "M3b", "M4", "I2", "I3", "I7", "I9"]
CLAIMS["rescaling"] = ["D1", "D2", "D3", "D4", "D5", "D6", "D7", "B1"]
CLAIMS["perceptron"] = ["P1", "P2", "P3", "P4", "P5", "P6", "P7"]


def outputs(study: str) -> dict[str, list[str]]:
    """The files that each stage of a tiny study makes, by the paths that the documentation promises."""
    shown = {
        "figures": [f"figures/{name}.{suffix}" for name in FIGURES[study] for suffix in ("svg", "pdf", "png", "csv")],
        "tables": [f"tables/{name}.{suffix}" for name in TABLES[study] for suffix in ("csv", "html", "tex")],
        "claims": ["claims.json"],
        "report": ["report/index.html"],
        "manifest": ["manifest.json"],
    }
    made = {"measure": parts(study)}
    if study in TRAINED:
        tasks, shapes = TRAINED[study], [file for name in SHAPES[study] for file in numbered(name)]
        ends = (".safetensors", "-moments.safetensors", ".sha256")
        made |= {
            "data": [f"data/{task}{end}" for task in tasks for end in ends],
            "train": [f"bounds/{task}.json" for task in tasks]
            + [f"networks/{shape}.safetensors" for shape in shapes]
            + [f"histories/{shape}.parquet" for shape in shapes],
        }
    elif study == "rescaling":
        made["train"] = ["networks/convolutional.safetensors"]
    elif study == "perceptron":
        made["measure"] += [f"solutions/{solver}.safetensors" for solver in SOLVERS]
    return {stage: [f"results/{study}/{file}" for file in names] for stage, names in (made | shown).items()}


def parts(study: str) -> list[str]:
    """The tables of record, and their parts."""
    files = []
    for table, names in PARTS[study].items():
        files += [f"{table}.parquet", *(f"{table}/{part}.parquet" for name in names for part in numbered(name))]
    return files


def every_output(studies: list[str]) -> list[str]:
    return sorted(file for study in studies for files in outputs(study).values() for file in files)


def test_a_run_from_nothing_makes_every_file_and_no_other(finished):
    assert sorted(finished.files()) == every_output(STUDIES)


def test_the_tiny_configuration_keeps_every_stage_alive(finished):
    """Guards this folder's other tests: no verdict without evidence, networks that converge and some that diverge."""
    assert isinstance(load(TINY), Config)
    measures = pd.read_parquet(finished.folder / "results/digits/measures.parquet")
    diverged = measures[(measures["statistic"] == "diverged") & measures["final"]]
    assert set(diverged["value"]) == {0.0, 1.0}
    for claim in ledger(finished, "digits"):
        assert any(finding["units"] for case in claim["cases"] for finding in case["findings"]), claim["id"]


def ledger(project: Project, study: str) -> list[dict]:
    content = json.loads((project.folder / "results" / study / "claims.json").read_text())
    assert content["study"] == study
    return content["claims"]


@pytest.mark.parametrize("study", STUDIES)
def test_every_claim_has_a_verdict_that_its_cases_support(finished, study):
    claims = ledger(finished, study)
    assert [claim["id"] for claim in claims] == CLAIMS[study]
    for claim in claims:
        assert claim["verdict"] in set(Verdict)
        if claim["verdict"] in (Verdict.REPRODUCED, Verdict.CONFIRMED, Verdict.CHECKED):
            deciding = [case for case in claim["cases"] if case["counted"]]
            assert all(case["holds"] is not False for case in deciding)
            asked = {finding["criterion"] for case in deciding for finding in case["findings"]}
            assert all(claim["criteria"][k]["control"]["fails"] for k in asked)


@pytest.mark.parametrize("study", TRAINED)
def test_the_measures_name_every_network(finished, study):
    measures = pd.read_parquet(finished.folder / f"results/{study}/measures.parquet")
    experiments = yaml.safe_load(TINY.read_text())["studies"][study]["experiments"]
    final = measures[measures["final"] & (measures["statistic"] == "diverged")]
    for name, run in experiments.items():
        sweep = len(run.get("step_sizes") or [None])
        networks = len(run["depths"]) * sweep * run["seeds"]
        own = final[final["case"] == name]
        assert (own["control"] == "").sum() == networks
        assert (own["control"] == "unbalanced").sum() == (networks if run.get("unbalance") else 0)
    assert set(measures["study"]) == {study}


def test_every_table_of_measures_has_the_columns_of_all_and_declared_statistics(finished):
    tables = {path: pd.read_parquet(path) for path in finished.folder.glob("results/*/measures.parquet")}
    assert tables
    for path, measures in tables.items():
        assert tuple(measures.columns[: len(COLUMNS)]) == COLUMNS, path
        kind = load(TINY).studies[path.parent.name].kind
        names = {declared_name(name) for name in measures["statistic"].unique()}
        assert [name for name in names if not STATISTICS[name].measured_in(kind)] == [], path
        network = [name for name in ("case", "control", "depth", "size", *IDENTITY) if name in measures]
        key = [*network, *(name for name in ("step", "final", "statistic", *WITHIN) if name in measures)]
        assert not measures.duplicated(key).any(), path


@pytest.mark.parametrize("study", TRAINED)
def test_the_checksums_are_those_of_the_files(finished, study):
    folder = finished.folder / "results" / study / "data"
    for task in TRAINED[study]:
        lines = (folder / f"{task}.sha256").read_text().splitlines()
        named = dict(line.split("  ")[::-1] for line in lines)
        assert sorted(named) == [f"{task}-moments.safetensors", f"{task}.safetensors"]
        for name, digest in named.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("study", STUDIES)
def test_figures_and_tables_can_be_read(finished, study):
    folder = finished.folder / "results" / study
    for name in FIGURES[study]:
        assert ElementTree.parse(folder / f"figures/{name}.svg").getroot().tag.endswith("svg")
        assert (folder / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF-")
        assert (folder / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG\r\n")
    for path in [*folder.glob("figures/*.csv"), *folder.glob("tables/*.csv")]:
        with path.open() as file:
            rows = list(csv.reader(file))
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("study", STUDIES)
def test_the_page_shows_every_claim_figure_and_table(finished, study):
    page = unescape((finished.folder / f"results/{study}/report/index.html").read_text())
    assert page.count("data:image/svg+xml;base64,") == len(FIGURES[study])
    for claim in ledger(finished, study):
        assert claim["title"] in page
    for name in TABLES[study]:
        assert f"../tables/{name}.csv" in page


def test_nothing_names_the_folder_it_was_made_in(finished):
    """Results of one machine are those of another: no file holds a path of the run."""
    folder = str(finished.folder.parent).encode()
    assert [name for name, content in finished.files().items() if folder in content] == []


def test_progress_goes_to_the_terminal_and_to_the_log(first_run):
    project, run = first_run
    for study, job in [("digits", "residual depth 3"), ("patches", "start_identity depth 2")]:
        line = next(line for line in run["output"].splitlines() if line.startswith(f"{study} {job}: done after "))
        log = project.folder / "logs" / study / "train" / f"{job.replace(' depth ', '-depth')}.log"
        *_, last, cost = log.read_text().splitlines()
        assert last == line
        assert COST.fullmatch(cost)


def test_a_second_run_does_nothing(copied):
    before = copied.times()
    run = copied.snakemake()
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout
    assert copied.times() == before


def test_a_dry_run_from_nothing_plans_all_and_writes_nothing(project):
    planned = project.planned()
    assert {rule for rule, _ in planned} == {
        "data", "bound", "train", "measure", "crosscheck", "attack", "construct", "converge", "price",
        "scaled_residual", "convolve", "orbit", "linear_orbit", "rescale", "volume", "replica", "enumerate", "solve",
        "survey", "plant", "collect", "figure", "table", "sensitivity", "claims", "report", "manifest",
    }  # fmt: skip
    networks = sum("/networks/" in file for study in TRAINED for file in outputs(study)["train"])
    assert sum(rule == "train" for rule, _ in planned) == networks
    assert not (project.folder / "results").exists()


def test_stages_run_alone_and_leave_the_same_bytes(project, finished):
    """One study, stage after stage on one core: each makes its own files, and all equal those of the other run."""
    expected: list[str] = []
    for stage in STAGES:
        run = project.snakemake(f"patches_{stage}", cores=1 if stage == "figures" else 2)
        assert run.returncode == 0, run.stdout
        expected += outputs("patches")[stage]
        assert sorted(project.files()) == sorted(expected)
    again = {name: content for name, content in finished.files().items() if name.startswith("results/patches/")}
    assert different(project.files(), again) == []
    assert temporaries(project.files()) == []


def test_every_target_is_done_after_a_whole_run(copied):
    stages = [f"{study}_{stage}" for study in STUDIES for stage in STAGES if outputs(study).get(stage)]
    targets = [*STUDIES, *stages, "embedded", "paper"]
    assert copied.planned(*targets) == set()
