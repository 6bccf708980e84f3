"""config.yaml as it is shipped: valid, as its schema says, and with a source for every hyperparameter."""

import json
import re
import typing

import yaml
from configured import ROOT, message
from pydantic import BaseModel

from flatminima.config import Config, load
from flatminima.settings.base import LABELS, Hyperparameters
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
        if isinstance(entry, list) and entry and not isinstance(entry[0], dict):
            yield (*path, key)
        elif isinstance(entry, (dict, list)):
            yield from lists(entry, (*path, key))


def test_every_list_of_the_shipped_configuration_refuses_a_value_given_twice():
    values = json.loads(json.dumps(yaml.safe_load((ROOT / "config.yaml").read_text())))
    paths = [path for path in lists(values) if not MAY_REPEAT.intersection(path)]
    assert len({path[-1] for path in paths}) >= 20
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
    """(section, field, bare annotation) of every field of a model and of those inside it, hyperparameters apart."""
    own = model.hyperparameters() if issubclass(model, Hyperparameters) else []
    for name, field in model.model_fields.items():
        kinds = [kind for kind in unwrapped(field.annotation) if kind is not type(None)]
        yield model, name, kinds
        for kind in kinds:
            if name not in own and is_section(kind) and kind not in seen:
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
        return [inside if is_section(inside) else annotation]
    return [kind for arm in typing.get_args(annotation) for kind in unwrapped(arm)]


def is_section(kind):
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_every_value_but_names_and_sections_is_a_hyperparameter():
    others = set()
    for model, name, kinds in fields(Config):
        own = model.hyperparameters() if issubclass(model, Hyperparameters) else []
        if name not in (*own, *LABELS) and not any(map(is_section, kinds)):
            others.add(name)
    assert others == PLAIN
    assert set(Experiment.model_fields) - {"task", "family", "baseline", *LABELS} == set(Experiment.hyperparameters())


def sections(values):
    """All mappings in a mapping, itself included."""
    yield values
    for entry in values.values():
        for inside in entry if isinstance(entry, list) else [entry]:
            if isinstance(inside, dict):
                yield from sections(inside)


def test_what_the_paper_states_is_marked_so():
    """theory.md 1.4: noise of 1.25 on pixels in [0, 1], zero residuals, SGD and Adam. Nothing else is known of it.

    The residual sweep is another paper's, whose grid is public in full (theory.md 4); when to stop is all we chose.
    """
    studies = load(ROOT / "config.yaml").model_dump()["studies"]
    sweep = studies["theory"].pop("scaled_residual")
    assert {name: sweep[name] for name in sweep["stated"]} == {
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
    stated = {(name, section[name]) for section in sections(studies) for name in section.get("stated", [])}
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
