"""Mistakes in the sections of theory, rescaling and perceptron studies are explained in one line."""

import pytest
import yaml
from configured import ROOT, message

from flatminima.config import Config
from flatminima.settings.parsing import parse


def shipped(study, path, value):
    """The shipped configuration, with one entry of a study changed."""
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    section = values["studies"][study]
    *parents, last = path.split(".")
    for key in parents:
        section = section[key]
    section[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("kind", "theorie", "studies.theory.kind is 'theorie': did you mean 'theory'? allowed: training, theory"),
        ("kind", None, "studies.theory.kind is None: allowed: training, theory"),
        ("atack", {}, "studies.theory.atack: unknown key; did you mean 'attack'?"),
        ("attack.steps", 0, "studies.theory.attack.steps is 0: input should be greater than or equal to 1"),
        ("starts", ["flaw"], "studies.theory.starts.0 is 'flaw': did you mean 'flow'?"),
        (
            "attack.conditions.square.rank",
            4,
            "studies.theory.attack.conditions.square: rank is 4: no layer may be narrower",
        ),
    ],
)
def test_mistakes_in_a_theory_study_name_its_keys(path, value, expected):
    assert message(shipped("theory", path, value)).startswith(expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("source.study", "digit", "source.study is 'digit': did you mean 'digits'? allowed: digits, patches, mnist"),
        ("source.study", "theory", "source.study is 'theory': allowed: digits, patches, mnist"),
        ("source.study", "rescaling", "source.study is 'rescaling': allowed: digits, patches, mnist"),
        ("source.rectified", "relu_label", "source.rectified is 'relu_label': did you mean 'relu_labels'? allowed: "),
        ("source.rectified", "linear", "source.rectified is 'linear': allowed: relu, relu_adam, "),
        ("source.linear", "relu_labels", "source.linear is 'relu_labels': allowed: linear, residual, "),
        ("source.linaer", "residual", "source.linaer: unknown key; did you mean 'linear'?"),
        ("convolutional.channels", [], "convolutional.channels is []: list should have at least 1 item"),
        ("demonstrations.exponent", -0.5, "demonstrations.exponent is -0.5: input should be greater than"),
        ("demonstrations.box", 1, "demonstrations.box is 1: input should be less than 1"),
        ("demonstrations.ranges", [2], "demonstrations.ranges is [2]: list should have at least 2 items"),
        ("demonstrations.offsets", [0.0], "demonstrations.offsets.0 is 0.0: input should be greater than"),
        (
            "demonstrations.shown",
            ["ball"],
            "demonstrations.shown.0 is 'ball': did you mean 'balls'?",
        ),
        ("orbits.kinds", [], "orbits.kinds is []: list should have at least 1 item"),
        ("orbits.landscape", 2, "orbits.landscape is 2: input should be greater than or equal to 3"),
        (
            "orbits.stated",
            ["toleranse"],
            "orbits: `stated` names 'toleranse': did you mean 'tolerance'? allowed: ki",
        ),
    ],
)
def test_mistakes_in_a_rescaling_study_name_its_keys(path, value, expected):
    assert message(shipped("rescaling", path, value)).startswith(f"studies.rescaling.{expected}")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "enumeration.sizes",
            [15, 16],
            "enumeration.sizes.1: 16 is even: expected an odd number, so ",
        ),
        ("searches", [], "searches is []: list should have at least 1 item"),
        ("survey.distances", [0.1, 0.10], "survey.distances: 0.1 is given twice; give each value once"),
        (
            "enumeration.loads",
            [0.5, 0.52],
            "enumeration: loads 0.5 and 0.52 both make 8 patterns for 15 weights; leave one of them out",
        ),
        (
            "theory.distances",
            [0.45, 1e-4],
            "theory.distances: 0.0001 comes after 0.45; write the values in ascending order, each once",
        ),
    ],
)
def test_mistakes_in_a_perceptron_study_name_its_keys(path, value, expected):
    assert message(shipped("perceptron", path, value)).startswith(f"studies.perceptron.{expected}")


@pytest.mark.parametrize("path", ["source.linear", "convolutional"])
def test_parts_that_may_be_left_out(path):
    assert parse(Config, shipped("rescaling", path, None), "config.yaml").studies["rescaling"].orbits
