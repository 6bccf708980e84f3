"""The registry of kinds of studies: every figure and table is there, with its words, its function and its place."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from configured import ROOT
from docutils.core import publish_parts
from drawing import tables_of
from jinja2 import Template
from tiny_outputs import FIGURES, PARTS, TABLES

import flatminima.figures
from flatminima.config import AnyStudy, load
from flatminima.errors import UserError
from flatminima.figures.render import drawing_of
from flatminima.studies.kind import Exhibit, Kind
from flatminima.studies.registry import KINDS, kind_named, kind_of

SHIPPED = load(ROOT / "config.yaml")
TINY = load(ROOT / "tests/workflow/tiny.yaml")
EVERY_FIGURE = [(kind.name, name) for kind in KINDS.values() for name in kind.figures]
EVERY_TABLE = [(kind.name, name) for kind in KINDS.values() for name in kind.tables]
BESIDE_FIGURES = {
    "training": {"compared", "deviations", "envelope", "excess", "sensitivity", "sweeps", "tables"},
    "theory": {"selection", "tables"},
    "rescaling": {"rank_correlation", "selection", "tables"},
    "perceptron": {"attempts", "half_load", "selection", "success", "tables"},
}
"""Modules that draw no figure."""
BRANCHES = (
    rf"""\bkind\W*(?:==|!=|in)\W*["'(\[]+(?:{"|".join(KINDS)})\b""",
    r"\b(?:settings|study|values|config|study\(\w+\))\.kind\b",
    r"isinstance\([^)]*\b(?:Training|Theory|Rescaling|Perceptron)Study\b",
)
"""How code asks of which kind a study is."""


def test_each_kind_of_settings_has_one_of_its_name():
    assert set(KINDS) == {get_args(study.model_fields["kind"].annotation)[0] for study in get_args(AnyStudy)}
    for name, kind in KINDS.items():
        assert kind.name == name
        assert (ROOT / f"src/flatminima/studies/{name}.py").is_file()


def test_an_unknown_kind_is_named():
    with pytest.raises(UserError, match="kind 'theorie' is not known: did you mean 'theory'"):
        kind_named("theorie")


def test_the_registry_is_light():
    """Snakemake reads it for every job, also on the nodes of a cluster."""
    code = (
        "import sys, flatminima.studies.registry; print(*{'numpy', 'pandas', 'torch', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(("kind", "name"), EVERY_FIGURE)
def test_a_figure_has_words_and_a_function_of_its_name(kind, name):
    exhibit = KINDS[kind].figures[name]
    assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*", name)
    assert len(exhibit.title) > 10
    assert len(exhibit.text) > 40
    assert len(exhibit.alternative) > 40
    drawing = drawing_of(KINDS[kind], name)
    assert drawing.__name__ == name.replace("-", "_")
    assert drawing.__module__ == f"flatminima.figures.{kind}.{drawing.__name__}"


@pytest.mark.parametrize(("kind", "name"), EVERY_TABLE)
def test_a_table_has_words_and_a_function_of_its_name(kind, name):
    exhibit = KINDS[kind].tables[name]
    assert len(exhibit.title) > 10
    assert len(exhibit.text) > 40
    if not exhibit.judged:
        assert tables_of(kind)[name].__name__ == name


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_of_figures_is_registered(kind):
    folder = Path(flatminima.figures.__file__).parent / kind
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert modules - BESIDE_FIGURES.get(kind, {"tables"}) == {name.replace("-", "_") for name in KINDS[kind].figures}


@pytest.mark.parametrize("kind", KINDS)
def test_an_overview_is_a_figure_of_its_kind(kind):
    assert KINDS[kind].overview in KINDS[kind].figures


@pytest.mark.parametrize("study", TINY.studies)
def test_studies_have_the_figures_tables_and_parts_of_record_in_order(study):
    settings = TINY.studies[study]
    kind = kind_of(settings)
    assert kind.figure_names(settings) == FIGURES[study]
    assert kind.table_names(settings) == TABLES[study]
    assert {table: kind.parts(TINY, settings, table) for table in kind.record} == PARTS[study]


def test_settings_decide_which_figures_a_study_has():
    figures = {name: kind_of(study).figure_names(study) for name, study in SHIPPED.studies.items()}
    assert "start-scale" in figures["digits"]
    assert "start-scale" not in figures["patches"]
    settings, kind = TINY.studies["rescaling"], KINDS["rescaling"]
    rectified = settings.model_copy(update={"source": settings.source.model_copy(update={"linear": None})})
    assert kind.figure_names(rectified) == FIGURES["rescaling"][1:]
    assert kind.parts(TINY, rectified, "measures") == PARTS["rescaling"]["measures"][:-1]
    shown = settings.demonstrations.model_copy(update={"shown": ["balls"]})
    balls = settings.model_copy(update={"demonstrations": shown, "convolutional": None})
    assert kind.figure_names(balls) == ["balls", "orbits"]
    assert kind.parts(TINY, balls, "curves") == ["theorems-depth2", "theorems-depth3"]
    assert kind.networks(balls) == []


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("training", "sharpness", ("sharpness", None)),
        ("training", "sharpness-noisy", ("sharpness", "noisy")),
        ("training", "sharpness-black_pixels", ("sharpness", "black_pixels")),
        ("training", "path-cosine", ("path-cosine", None)),
        ("theory", "step-size", ("step-size", None)),
    ],
)
def test_a_name_is_a_figure_or_a_figure_and_its_task(kind, name, expected):
    assert KINDS[kind].split(name) == expected


@pytest.mark.parametrize("name", ["overview-noisy", "path", "path-cosine-noisy", "step-size", "noisy"])
def test_figures_that_are_not_drawn_for_tasks_have_none(name):
    with pytest.raises(UserError, match=f"figure '{name}' is not known"):
        KINDS["training"].split(name)


def test_a_figure_whose_name_begins_as_another_is_no_task():
    words = Exhibit("title", "text", "alternative")
    figures = {"sharpness": Exhibit("title", "text", "alternative", per_task=True), "sharpness-flow": words}
    kind = Kind("training", (), "sharpness", figures, {}, parts=lambda *_: [])
    assert kind.split("sharpness-flow") == ("sharpness-flow", None)
    assert kind.figure_module("sharpness-flow") == "flatminima.figures.training.sharpness_flow"
    assert kind.split("sharpness-noisy") == ("sharpness", "noisy")


def test_a_task_stands_in_the_title_alone():
    plain, of_task = (KINDS["training"].figure(name) for name in ("sharpness", "sharpness-noisy"))
    assert of_task.title == f"{plain.title}: noisy"
    assert (of_task.text, of_task.alternative) == (plain.text, plain.alternative)


def test_an_unknown_table_is_named():
    with pytest.raises(UserError, match="table 'sharpnes' is not known: did you mean 'sharpness'"):
        KINDS["training"].table("sharpnes")


@pytest.mark.parametrize(("file", "exhibits"), [("figure.rst", "figures"), ("table.rst", "tables")])
def test_the_workflow_report_says_the_same_in_valid_markup(file, exhibits):
    template = Template((ROOT / "workflow/report" / file).read_text())
    captions = {name: kind_of(study).captions(study) for name, study in SHIPPED.studies.items()}
    for study, texts in captions.items():
        for name, text in texts[exhibits].items():
            values = {"wildcards": {"study": study, "name": name}, "config": {"captions": captions}}
            shown = template.render(snakemake=values)
            assert shown.split() == text.split()
            publish_parts(shown, writer="html", settings_overrides={"halt_level": 2})


def test_nothing_else_asks_of_which_kind_a_study_is():
    sources = [path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".html")]
    sources = [path for path in sources if path.parent.name not in ("studies", "settings") and path.name != "config.py"]
    rules = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    assert len(sources) > 150
    found = [(path.name, match) for path in [*sources, *rules] for match in asked(path.read_text())]
    assert found == []


def asked(text: str) -> list[str]:
    return [match[0] for pattern in BRANCHES for match in re.finditer(pattern, text)]


@pytest.mark.parametrize(
    "line", ["if study.kind == x:", 'kind == "theory"', 'kind in ("training", x)', "isinstance(study, TheoryStudy)"]
)
def test_questions_of_the_kind_are_found(line):
    assert asked(line)
