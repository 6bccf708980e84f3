"""Experiments that change one choice of a baseline: found by comparison, and refused where they change more."""

import copy

import pytest
from configured import ROOT, example

from flatminima.config import Config, load
from flatminima.errors import UserError
from flatminima.settings.parsing import parse
from flatminima.studies.registry import KINDS


def parsed(*, task=None, **changes):
    """The example with the experiment `varied`: `linear`, with some settings changed, on its task or on a new one."""
    values = example()
    study = values["studies"]["digits"]
    if task is not None:
        study["tasks"]["other"] = copy.deepcopy(study["tasks"]["noisy"]) | task
        changes["task"] = "other"
    study["experiments"]["varied"] = copy.deepcopy(study["experiments"]["linear"]) | {"baseline": "linear"} | changes
    return parse(Config, values, "config.yaml").studies["digits"]


@pytest.mark.parametrize(
    ("changes", "choice"),
    [
        ({"width": 32}, ("width", "input size", "32")),
        ({"initialisation": "xavier_normal"}, ("initialisation", "pytorch", "xavier_normal")),
        ({"steps": 20}, ("steps", "10", "20")),
        ({"task": {"loss": "mean"}}, ("loss", "sum", "mean")),
        ({"task": {"centre": True}}, ("centre", "no", "yes")),
        ({"task": {"noise_draw": "fresh"}}, ("noise_draw", "fixed", "fresh")),
        ({"task": {"noise": 0.7}}, ("noise", "0.5", "0.7")),
    ],
)
def test_the_choice_is_found_by_comparing_the_two(changes, choice):
    (variation,) = parsed(**changes).variations
    assert (variation.experiment, variation.baseline) == ("varied", "linear")
    assert (variation.choice, variation.before, variation.after) == choice


@pytest.mark.parametrize("part", [{"depths": [3]}, {"seeds": 7}, {"seeds": 1}])
def test_a_part_of_the_grid_is_no_choice_of_its_own(part):
    (variation,) = parsed(width=9, **part).variations
    assert variation.choice == "width"


def test_where_a_value_comes_from_is_no_choice():
    (variation,) = parsed(width=9, stated=["steps"], derived=[]).variations
    assert variation.choice == "width"


def test_experiments_without_a_baseline_are_no_variations():
    assert parse(Config, example(), "config.yaml").studies["digits"].variations == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "differs from its baseline 'linear' in no setting"),
        ({"seeds": 9}, "in no setting"),
        ({"task": {}}, "in no setting"),
        ({"width": 3, "steps": 9}, "in width, steps: a variation changes one setting"),
        ({"width": 3, "task": {"loss": "mean"}}, "in width, loss"),
        ({"width": 3, "depths": [2, 4, 5]}, r"depths has 4, 5, which its baseline .* of 2, 3"),
        ({"width": 3, "step_sizes": [0.2]}, r"step_sizes has 0.2, .* take some of 0.1"),
        ({"baseline": "linera"}, "baseline is 'linera', .* did you mean 'linear'"),
        ({"baseline": "varied"}, "baseline is 'varied', expected an experiment without a baseline"),
    ],
)
def test_what_is_no_variation_is_refused_in_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        parsed(**changes)
    assert "\n" not in str(error.value)
    assert "experiments.varied" in str(error.value)


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        ("gains", set()),
        ("sharpness-mild", set()),
        ("coupling-excess", {"relu_centred", "linear_centred"}),
        ("dose-response", {"relu_centred", "linear_centred"}),
        ("start-scale", {"scaled_030", "scaled_060", "scaled_100", "scaled_160", "scaled_245"}),
    ],
)
def test_figures_leave_out_what_they_are_not_about(figure, shown):
    study = load(ROOT / "config.yaml").studies["digits"]
    aside = {name for name in study.experiments if name.startswith("scaled_") or study.experiments[name].baseline}
    assert len(aside) > len(shown)
    assert set(KINDS["training"].left_out(study, figure)) == aside - shown
