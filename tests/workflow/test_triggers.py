"""One change at a time in a copy of a run: exactly what depends on it is planned again.

What depends on a module is found without our digest: grimp, which import-linter is built on, reads the import graph,
and the manifests name the modules and the input files of every job.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grimp
import pytest
from project import JOB, Project, jobs

ALWAYS = {"collect", "figure", "table", "claims", "report", "manifest"}
DIGITS = {*ALWAYS, "sensitivity"}
STUDIES = ["digits", "patches", "theory", "rescaling", "perceptron"]


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory):
    """One copy for all tests here; `restored` undoes what each of them changes."""
    return finished.copy(tmp_path_factory.mktemp("triggers") / "copied")


@pytest.fixture
def restored(shared, finished):
    yield shared
    for name, content in (finished.files("src") | finished.files("workflow")).items():
        if (shared.folder / name).read_bytes() != content:
            (shared.folder / name).write_bytes(content)
    (shared.folder / "config.yaml").write_bytes((finished.folder / "config.yaml").read_bytes())


@pytest.fixture(scope="module")
def imports():
    return grimp.build_graph("flatminima", exclude_type_checking_imports=True)


def planned(project: Project) -> set[str]:
    """Every file that a run would make again."""
    run = project.snakemake("--dry-run")
    assert run.returncode == 0, run.stdout
    found: set[str] = set()
    for rule, details in JOB.findall(run.stdout):
        outputs = re.search(r"^    output: (.*)$", details, re.MULTILINE)
        assert outputs or rule in (*STUDIES, "embedded")
        found |= set(outputs[1].split(", ")) if outputs else set()
    return found


def lines(paths: list[Path]) -> int:
    return sum(path.read_text().count("\n") for path in paths)


def following(project: Project, changed: Callable[[dict], bool]) -> set[str]:
    """The outputs of changed jobs, all that was made from them, and the manifests of their studies."""
    entries = {}
    for study in STUDIES:
        outputs = json.loads((project.folder / f"results/{study}/manifest.json").read_text())["outputs"]
        entries |= {output["path"]: output for output in outputs}
    found = {path for path, entry in entries.items() if changed(entry)}
    while more := {path for path, entry in entries.items() if entry["inputs"].keys() & found} - found:
        found |= more
    return found | {f"results/{path.split('/')[1]}/manifest.json" for path in found}


@pytest.mark.parametrize(
    "module",
    [
        "errors", "config", "files", "record", "provenance.environment", "seeding", "generators",
        "data.moments", "data.published", "networks.initialisations", "training.stochastic", "curvature.network",
        "minima.bound", "minima.controls", "minima.crosscheck", "theory.falsification", "rescaling.maps",
        "rescaling.coordinates", "perceptron.replica", "perceptron.gradient", "claims.verdicts",
        "figures.training.path_cosine", "figures.style", "figures.theory.tables", "report.page",
        "stages.files", "stages.train", "stages.transitions",
    ],
)  # fmt: skip
def test_an_edited_module_runs_what_imports_it(restored, imports, module):
    name = f"flatminima.{module}"
    path = restored.folder / f"src/flatminima/{module.replace('.', '/')}.py"
    path.write_text(f"{path.read_text()}\n\nEDITED = 1\n")

    def uses(entry: dict) -> bool:
        return any(name == used or name in imports.find_upstream_modules(used) for used in entry["code"]["modules"])

    expected = following(restored, uses)
    assert expected, "no job uses this module"
    made = planned(restored)
    manifests = {f"results/{study}/manifest.json" for study in STUDIES}
    assert made - manifests == expected - manifests
    assert made & manifests >= expected & manifests, "manifests are made again with their own code too"


def test_another_critical_step_trains_again(restored):
    """What a stage computes is in its digest: the step size at which training is on the edge of stability."""
    path = restored.folder / "src/flatminima/stages/train.py"
    text = path.read_text()
    assert text.count("return 2 / ") == 1
    path.write_text(text.replace("return 2 / ", "return 1.9 / "))
    rules = {rule for rule, _ in restored.planned()}
    assert rules == {"train", "measure", "crosscheck", "orbit", "linear_orbit", "rescale", *DIGITS}


@pytest.mark.parametrize(
    "module", ["cli", "commands.training", "commands.results", "commands.options", "audit.compare"]
)
def test_an_edited_module_that_no_job_of_these_studies_imports_runs_nothing(restored, module):
    path = restored.folder / f"src/flatminima/{module.replace('.', '/')}.py"
    path.write_text(f"{path.read_text()}\n\nEDITED = 1\n")
    assert planned(restored) == set()


def test_comments_docstrings_and_formatting_of_all_modules_run_nothing(restored):
    sources = sorted((restored.folder / "src/flatminima").rglob("*.py"))
    before = lines(sources)
    for path in sources:
        text = path.read_text()
        path.write_text(text.replace('"""', '"""Edited. ', 1) + "\n# A comment.\n" if text else "")
    formatting = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=60", "src"]
    subprocess.run(formatting, cwd=restored.folder, check=True, capture_output=True)
    assert lines(sources) > 1.2 * before
    assert planned(restored) == set()


def test_a_new_module_and_a_file_beside_the_package_run_nothing(restored):
    new = restored.folder / "src/flatminima/training/unused.py"
    new.write_text("VALUE = 1\n")
    (restored.folder / "notes.txt").write_text("notes")
    assert planned(restored) == set()
    new.unlink()


@pytest.mark.parametrize(
    ("keys", "value", "rules"),
    [
        ("digits.title", "Other", {"report", "manifest"}),
        ("digits.measure.tolerance", 0.02, {"measure", *DIGITS}),
        ("digits.measure.stated", ["tolerance"], {"report", "manifest"}),
        ("digits.experiments.relu.stated", ["optimiser", "batch_size"], {"report", "manifest"}),
        ("theory.derived", ["statements", "starts"], {"report", "manifest"}),
        ("digits.experiments.linear.seeds", 1, {"train", "measure", "crosscheck", *DIGITS}),
        ("digits.experiments.residual_flow.unbalance", 2.0, {"train", "measure", "crosscheck", *DIGITS}),
        ("patches.dataset.holdout", 0.3, {"data", "bound", "train", "measure", "crosscheck", *ALWAYS}),
        ("patches.tasks.noisy.noise", 0.6, {"data", "bound", "train", "measure", "crosscheck", *ALWAYS}),
        ("theory.attack.attempts", 9, {"attack", *ALWAYS}),
        ("theory.minima.draws", 4, {"construct", *ALWAYS}),
        ("theory.convergence.kick", 0.02, {"converge", *ALWAYS}),
        ("rescaling.orbits.spread", 20.0, {"orbit", "linear_orbit", "rescale", *ALWAYS}),
        ("rescaling.demonstrations.boxes", 4, {"rescale", "volume", *ALWAYS}),
        ("perceptron.enumeration.instances", 50, {"enumerate", *ALWAYS}),
        ("perceptron.searches.0.instances", 3, {"solve", "survey", "plant", *ALWAYS}),
        ("perceptron.survey.surveyed", 2, {"survey", *ALWAYS}),
    ],
)
def test_an_edited_key_of_the_configuration_runs_its_rules_and_what_follows(restored, keys, value, rules):
    study, *rest = keys.split(".")
    restored.configure("studies", study, *rest, value=value)
    jobs = restored.planned()
    assert {rule for rule, _ in jobs} == rules
    assert {wildcards.split(", ")[0] for _, wildcards in jobs} == {f"study={study}"}
    if rest[0] == "experiments":
        trained = {wildcards for rule, wildcards in jobs if rule in ("train", "measure")}
        assert all(f"experiment={rest[1]}" in wildcards for wildcards in trained)


@pytest.mark.parametrize("keys", [("data_root",), ("embedded",), ("device",)])
def test_what_no_result_depends_on(restored, keys):
    """Where data sets lie is a place, but a job of the data reads it; which studies run by default changes none."""
    value = {"data_root": "elsewhere", "embedded": STUDIES[::-1], "device": "cpu"}[keys[0]]
    restored.configure(*keys, value=value)
    rules = {rule for rule, _ in restored.planned()}
    rescaled = {"convolve", "orbit", "linear_orbit", "rescale"}
    trained = {"data", "bound", "train", "measure", "crosscheck", *rescaled, *DIGITS}
    assert rules == (trained if keys == ("data_root",) else set())


def test_a_title_in_any_alphabet_is_shown_under_any_locale(copied):
    copied.configure("studies", "digits", "title", value="Übungen, 数字")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = copied.run(*copied.snakemake_command("digits"), **locale)
    assert run.returncode == 0, run.stdout
    assert {rule for rule, wildcards in jobs(run.stdout) if wildcards} == {"report", "manifest"}
    assert "Übungen, 数字" in (copied.folder / "results/digits/report/index.html").read_text(encoding="utf-8")
