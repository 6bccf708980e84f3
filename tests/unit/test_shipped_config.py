"""config.yaml as it is shipped: valid, as its schema says, and with a source for every hyperparameter."""

import json
import re
import typing

import yaml
from configured import ROOT, message
from pydantic import BaseModel

from flatminima.config import Config, load
from flatminima.settings.base import Sourced
from flatminima.settings.training import Experiment

PLAIN = {
    "task",
    "baseline",
    "family",
    "kind",
    "name",
    "title",
    "data_root",
    "device",
    "embedded",
    "paper",
    "study",
    "rectified",
    "linear",
}
"""Fields that say what is run, not how: no hyperparameters."""
MAY_REPEAT = {"channels"}
"""Lists whose entries need not differ: the layers of a network."""


def lists(section, path=()):
    """Path of every list of plain values."""
    entries = section.items() if isinstance(section, dict) else enumerate(section)
    for key, entry in entries:
        if isinstance(entry, list) and not isinstance(entry[0], dict):
            yield (*path, key)
        elif isinstance(entry, (dict, list)):
            yield from lists(entry, (*path, key))


def test_every_list_of_the_shipped_configuration_refuses_a_value_given_twice():
    values = json.loads(json.dumps(yaml.safe_load((ROOT / "config.yaml").read_text())))
    paths = [path for path in lists(values) if not MAY_REPEAT.intersection(path)]
    assert len({[key for key in path if key != "value"][-1] for path in paths}) >= 20
    for path in paths:
        *parents, last = path
        section = values
        for key in parents:
            section = section[key]
        section[last].append(section[last][-1])
        told = message(values)
        assert told.startswith(".".join(map(str, path))), told
        assert re.search(r"is given twice; give each value once|comes after .* ascending|at most 2 items", told), told
        section[last].pop()


def test_the_shipped_configuration_is_valid():
    config = load(ROOT / "config.yaml")
    assert set(config.embedded) <= set(config.studies)
    assert {"digits", "patches"} <= set(config.embedded)


def test_embedded_studies_need_no_download():
    config = load(ROOT / "config.yaml")
    training = [config.studies[name] for name in config.embedded if config.studies[name].kind == "training"]
    assert {study.dataset.name for study in training} == {"digits", "patches"}


def fields(model, seen=()):
    """(section, field, bare annotation) of every field of a model and of the models inside it."""
    for name, field in model.model_fields.items():
        kinds = [kind for kind in unwrapped(field.annotation) if kind is not type(None)]
        yield model.__name__, name, kinds
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel) and not is_sourced(kind) and kind not in seen:
                yield from fields(kind, (*seen, model))


def unwrapped(annotation):
    """What an annotation is made of: the arms of a union, the values of a mapping, the models of a list."""
    origin = typing.get_origin(annotation)
    if origin is None or origin is typing.Literal:
        return [annotation]
    if origin is dict:
        return unwrapped(typing.get_args(annotation)[1])
    if origin is list:
        (inside,) = typing.get_args(annotation)
        return [inside if isinstance(inside, type) and issubclass(inside, BaseModel) else annotation]
    return [kind for arm in typing.get_args(annotation) for kind in unwrapped(arm)]


def is_sourced(kind):
    return isinstance(kind, type) and issubclass(kind, Sourced)


def test_every_hyperparameter_carries_its_source():
    found = list(fields(Config))
    hyperparameters = [(section, name) for section, name, kinds in found if any(map(is_sourced, kinds))]
    sections = [(s, n) for s, n, kinds in found if any(isinstance(k, type) and issubclass(k, BaseModel) for k in kinds)]
    others = {name for section, name, _ in found if (section, name) not in {*hyperparameters, *sections}}
    assert others == PLAIN
    assert set(Experiment.model_fields) - {"task", "family", "baseline"} == {
        n for s, n in hyperparameters if s == "Experiment"
    }


def test_what_the_paper_states_is_marked_so():
    """theory.md 1.4: noise of 1.25 on pixels in [0, 1], zero residuals, SGD and Adam. Nothing else is known of it.

    The residual sweep is another paper's, whose grid is public in full (theory.md 4); when to stop is all we chose.
    """
    text = yaml.safe_load((ROOT / "config.yaml").read_text())
    stated = set()
    sweep = text["studies"]["theory"].pop("scaled_residual")
    grid = {name: section["value"] for name, section in sweep.items() if section["source"] == "stated"}
    assert grid == {
        "samples": 50,
        "inputs": 5,
        "noise": 1.0,
        "depth": 10,
        "scales": 10,
        "largest_scale": 1.7,
        "step_sizes": [0.005, 0.02, 0.07, 0.1, 0.2],
        "steps": 4000,
        "repeats": 20,
    }

    def walk(section, name=""):
        if isinstance(section, dict):
            if section.get("source") == "stated":
                stated.add((name, section["value"]))
            for key, value in section.items():
                walk(value, key)

    walk(text)
    known = {
        ("noise", 1.25),
        ("pixels", "unit"),
        ("initialisation", "identity"),
        ("optimiser", "sgd"),
        ("optimiser", "adam"),
    }
    assert stated == known


def test_the_published_schema_is_the_one_in_use():
    """Run `make schema` after changes of flatminima.config."""
    published = json.loads((ROOT / "workflow" / "config.schema.json").read_text())
    assert published == Config.model_json_schema()
