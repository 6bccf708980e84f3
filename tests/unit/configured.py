"""A small configuration, changes of it, and the line with which one is refused."""

import copy
from pathlib import Path

import pytest

from flatminima.config import Config
from flatminima.errors import UserError
from flatminima.settings.parsing import parse

ROOT = Path(__file__).resolve().parents[2]
RUN = "studies.digits.experiments.linear"
TASK = "studies.digits.tasks.noisy"


def example():
    """A valid configuration with one of everything."""
    task = {"kind": "denoise", "noise": 0.5, "noise_draw": "fixed", "pixels": "unit", "centre": False, "whiten": False}
    run = {"depths": [2, 3], "bias": False, "initialisation": "pytorch", "optimiser": "gradient_descent", "seeds": 2}
    run |= {"step_unit": "critical", "step_sizes": [0.1], "steps": 10, "tolerance": 0.0, "snapshots": 0}
    measure = {"tolerance": 1e-3, "products": 50, "jacobian_samples": 4}

    study = {
        "kind": "training",
        "title": "Digits",
        "dataset": {"name": "digits", "holdout": 0.2},
        "tasks": {"noisy": task | {"loss": "sum", "stated": ["pixels"]}},
        "measure": measure,
        "experiments": {"linear": {"task": "noisy", "family": "linear"} | run | {"derived": ["bias"]}},
    }
    return {"data_root": "data", "embedded": ["digits"], "studies": {"digits": study}}


def changed(path, value):
    """The example with one entry set, or deleted where the value is `...`."""
    values = copy.deepcopy(example())
    *parents, last = path.split(".")
    section = values
    for key in parents:
        section = section[key]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return values


def message(values):
    with pytest.raises(UserError) as error:
        parse(Config, values, "config.yaml")
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith("config.yaml: ")
    return text.removeprefix("config.yaml: ")
