"""A change runs again what depends on it, and nothing else."""

import pytest
from project import different
from tiny_outputs import FIGURES, TABLES

ALL = "study=digits", "study=patches"
LAST = {(rule, study) for rule in ("report", "manifest") for study in ALL}


def figures(*names: str, study: str) -> set[tuple[str, str]]:
    return {("figure", f"{study}, name={name}") for name in names}


def bare(study: str) -> str:
    """`digits` of the wildcards `study=digits`."""
    return study.removeprefix("study=")


def evidence(study: str) -> set[tuple[str, str]]:
    """What follows from the measures of a study."""
    collected = {("collect", f"{study}, table={table}") for table in ("measures", "shared")}
    tables = {
        ("sensitivity" if name == "sensitivity" else "table", f"{study}, name={name}") for name in TABLES[bare(study)]
    }
    return (
        collected
        | figures(*FIGURES[bare(study)], study=study)
        | tables
        | {(rule, study) for rule in ("claims", "report", "manifest")}
    )


def test_one_figure_by_its_name(copied, finished):
    (copied.folder / "results/digits/figures/coupling-excess.pdf").unlink()
    run = copied.snakemake("results/digits/figures/coupling-excess.pdf")
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("Finished jobid") == 1
    assert different(copied.files(), finished.files()) == []


def test_figures_can_be_drawn_again_on_demand(copied):
    planned = copied.planned("--forcerun=figure", "digits_figures")
    assert planned == figures(*FIGURES["digits"], study="study=digits")


def test_a_changed_figure_is_drawn_again_with_the_page_alone(copied, finished):
    before = copied.times()
    copied.edit("src/flatminima/figures/training/path_cosine.py", "rank correlation with sharpness", "rank correlation")
    assert copied.planned() == {("figure", f"{study}, name=path-cosine") for study in ALL} | LAST
    run = copied.snakemake("digits")
    assert run.returncode == 0, run.stdout
    written = {name for name, time in copied.times().items() if time != before[name]}
    drawn = {f"results/digits/figures/path-cosine.{suffix}" for suffix in ("svg", "pdf", "png", "csv")}
    assert written == drawn | {f"results/digits/{name}" for name in ("report/index.html", "manifest.json")}
    assert "results/digits/figures/path-cosine.svg" in different(copied.files(), finished.files())
    assert copied.planned("digits") == set()


def test_a_changed_table_of_theory_leaves_tables_of_training(copied):
    copied.edit("src/flatminima/figures/theory/tables.py", 'how="left"', 'how="inner"', count=2)
    tables = {("table", f"study=theory, name={name}") for name in TABLES["theory"]}
    assert copied.planned() == tables | {("report", "study=theory"), ("manifest", "study=theory")}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("src/flatminima/figures/style.py", "WIDTH = 7.1", "WIDTH = 7.1  # inches"),
        (
            "src/flatminima/minima/measure.py",
            '"""Measure every replica of a file',
            '"""Look at every replica of a file',
        ),
    ],
    ids=["comment", "docstring"],
)
def test_words_for_readers_run_nothing(copied, file, old, new):
    copied.edit(file, old, new)
    assert copied.planned() == set()


def test_a_changed_step_size_runs_its_experiment_and_what_follows(copied):
    copied.configure("studies", "digits", "experiments", "linear", "step_sizes", value=[0.8, 3.0])
    shapes = [f"depth={depth}, part=-part{part}" for depth in (2, 3) for part in (0, 1)]
    jobs = {(rule, f"study=digits, experiment=linear, {shape}") for rule in ("train", "measure") for shape in shapes}
    assert copied.planned() == evidence("study=digits") | jobs | {("crosscheck", "study=digits, task=noisy")}


def test_changed_training_code_keeps_the_data(copied):
    copied.edit("src/flatminima/training/run.py", "DIVERGED = 1e3", "DIVERGED = 1e4")
    rules = {rule for rule, _ in copied.planned()}
    kept = {
        "data",
        "bound",
        "convolve",
        "attack",
        "construct",
        "volume",
        "replica",
        "enumerate",
        "solve",
        "survey",
        "plant",
    }
    assert {"train", "measure", "crosscheck", "converge", "orbit", "rescale", "claims"} <= rules
    assert not rules & kept


def test_a_changed_tolerance_of_a_claim_is_judged_again(copied):
    copied.edit("workflow/claims.yaml", "at_most: 1.01", "at_most: 1.02", count=2)
    judged = {*ALL, "study=theory", "study=rescaling", "study=perceptron"}
    rules = "claims", "report", "manifest"
    varied = {("sensitivity", "study=digits, name=sensitivity")}
    planned = copied.planned()
    drawn = {job for job in planned if job[0] == "figure"}
    assert {wildcards.split(", ")[0] for _, wildcards in drawn} == judged, "figures show what the ledger selects"
    assert planned - drawn == {(rule, study) for rule in rules for study in judged} | varied


def test_a_changed_title_is_printed_again(copied):
    copied.configure("studies", "digits", "title", value="Digits")
    assert copied.planned() == {("report", "study=digits"), ("manifest", "study=digits")}


def test_a_changed_attack_is_made_again_and_no_minimum(copied):
    copied.configure("studies", "theory", "attack", "steps", value=30)
    planned = copied.planned()
    assert {wildcards.split(", ")[0] for _, wildcards in planned} == {"study=theory"}
    assert ("attack", "study=theory, statement=attack_bound") in planned
    assert not {"construct", "converge"} & {rule for rule, _ in planned}


def test_changed_noise_starts_from_the_data(copied):
    copied.configure("studies", "patches", "tasks", "noisy", "noise", value=0.6)
    planned = copied.planned()
    assert {wildcards.split(", ")[0] for _, wildcards in planned} == {"study=patches"}
    assert ("data", "study=patches, task=noisy") in planned
    assert planned >= evidence("study=patches")


def test_changed_orbits_are_measured_again_and_nothing_is_trained(copied):
    copied.configure("studies", "rescaling", "orbits", "spread", value=20.0)
    planned = copied.planned()
    assert {wildcards.split(", ")[0] for _, wildcards in planned} == {"study=rescaling"}
    assert {"orbit", "linear_orbit", "rescale"} <= {rule for rule, _ in planned}
    assert not {"convolve", "volume"} & {rule for rule, _ in planned}


def test_a_changed_solver_runs_again_alone(copied):
    copied.edit("src/flatminima/perceptron/gradient.py", "step_size: float = 0.3", "step_size: float = 0.2")
    planned = copied.planned()
    solved = {("solve", f"study=perceptron, solver={name}, size=201") for name in ("reinforced-bp", "sgd")}
    assert solved <= planned
    assert not {"replica", "enumerate"} & {rule for rule, _ in planned}
