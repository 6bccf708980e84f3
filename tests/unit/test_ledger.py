"""The ledger of claims: errors in one line, and the shipped one fits what is run and measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from filtered import SIDE, stack_of
from perceptron_study import small_perceptron
from references import layers, normal
from rescaling_study import small_rescaling
from theory_study import small_theory

from flatminima.claims.ledger import load_ledger
from flatminima.config import load
from flatminima.data.moments import second_moments
from flatminima.data.tasks import Samples
from flatminima.errors import UserError
from flatminima.figures.render import FIGURES
from flatminima.minima.measure import measure
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.settings.training import Measure

ROOT = Path(__file__).resolve().parents[2]
CONTROL = "-unbalanced"


def example():
    return {
        "id": "M1",
        "paper": "p",
        "title": "t",
        "statement": "s",
        "scope": "c",
        "figures": ["training"],
        "criteria": [{"experiments": ["linear"], "statistic": "sharpness_ratio", "at_most": 1.01, "share": 1.0}],
        "control": {"description": "d", "experiments": {"linear": ["linear-unbalanced"]}},
    }


def message(tmp_path, claim):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [claim]}))
    with pytest.raises(UserError) as error:
        load_ledger(path)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


def test_a_ledger_is_read(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [example()]}))
    (claim,) = load_ledger(path).claims
    assert claim.model_dump(exclude_defaults=True) == example()
    assert (claim.criteria[0].where, claim.criteria[0].at_least) == ([], None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"statment": "s"}, "claims.0.statment: unknown key; did you mean 'statement'?"),
        ({"id": "claim 1"}, "claims.0.id is 'claim 1': "),
        ({"criteria": []}, "claims.0.criteria is []: "),
        ({"figures": "training"}, "claims.0.figures is 'training': "),
    ],
)
def test_errors_of_a_claim_are_one_line(tmp_path, change, expected):
    assert message(tmp_path, example() | change).startswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"share": 1.2}, "claims.0.criteria.0.share is 1.2: input should be less than or equal to 1"),
        ({"share": 0.0}, "claims.0.criteria.0.share is 0.0: input should be greater than 0"),
        ({"at_most": "1.01"}, "claims.0.criteria.0.at_most is '1.01': input should be a valid number"),
        ({"at_most": None}, "claims.0.criteria.0: a criterion needs at_least or at_most"),
        ({"experiments": []}, "claims.0.criteria.0.experiments is []: "),
        ({"where": [{"statistic": "loss"}]}, "claims.0.criteria.0.where.0.at_most: missing key"),
        ({"wher": []}, "claims.0.criteria.0.wher: unknown key; did you mean 'where'?"),
    ],
)
def test_errors_of_a_criterion_are_one_line(tmp_path, change, expected):
    claim = example()
    claim["criteria"][0] |= change
    assert message(tmp_path, claim).startswith(expected)


def test_a_missing_key_is_named(tmp_path):
    claim = example()
    del claim["control"]
    assert message(tmp_path, claim) == "claims.0.control: missing key; add it (Claim requires it)"


def test_a_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(UserError, match=r"gone\.yaml: cannot be read: .*No such file"):
        load_ledger(tmp_path / "gone.yaml")
    (tmp_path / "broken.yaml").write_text("claims: [")
    with pytest.raises(UserError, match=r"broken\.yaml: cannot be read: [^\n]*$"):
        load_ledger(tmp_path / "broken.yaml")


@pytest.fixture(scope="module")
def shipped():
    return load_ledger(ROOT / "workflow" / "claims.yaml").claims


@pytest.fixture(scope="module")
def studies():
    return load(ROOT / "config.yaml").studies


@pytest.fixture(scope="module")
def experiments(studies):
    """All experiments of studies that train on data, from whichever study has them."""
    training = [study for study in studies.values() if study.kind == "training"]
    return [(study, name, run) for study in training for name, run in study.experiments.items()]


@pytest.fixture(scope="module")
def theory():
    """Measures of the studies that need no data of their own, as small as can be, all parts in one table."""
    solvers = ("reinforced-bp", "focusing-bp", "sbpi", "annealing", "sgd", "straight-through-sgd", "replicated-sgd")
    return pd.concat([small_theory(depths=[3]), small_rescaling(), small_perceptron(solvers)], ignore_index=True)


def measured_statistics(stack, inputs):
    """{statistic: (layer, ...)} that measure() emits for a network of depth 3."""
    inputs = normal(1, 20, inputs).numpy().astype(np.float32)
    samples = Samples(inputs, 0.5 * inputs, inputs, 0.5 * inputs, 0.0, "none", "sum")
    row = {"seed": 0, "step_size": 0.1, "step_fraction": 0.1, "step": 1, "final": False, "diverged": False}
    labels = dict.fromkeys(["study", "experiment", "family", "task", "initialisation", "optimiser"], "x") | {"depth": 3}
    networks = Networks(stack, pd.DataFrame([row | {"gradient_scale": 1.0}]), labels)
    values = {"tolerance": 0.01, "products": 50, "jacobian_samples": 5}
    settings = Measure.model_validate({k: {"value": v, "source": "chosen"} for k, v in values.items()})
    rows, _ = measure(networks, samples, second_moments(samples), settings)
    return emitted(rows)


def emitted(rows):
    return {
        name: tuple(sorted(set(group["layer"]))) for name, group in rows.dropna(subset="value").groupby("statistic")
    }


def test_every_criterion_names_measured_statistics(shipped, experiments, theory):
    weights = layers(1, 1, [4, 5, 5, 4])[0]
    linear, relu = (measured_statistics(Stack(weights, (), rectified), 4) for rectified in (False, True))
    convolutional = measured_statistics(stack_of(1, (1, 2, 2, 1)), SIDE**2)
    by_family = {"linear": linear, "residual_linear": linear, "relu": relu, "convolutional": convolutional}
    known = {name: by_family[run.family] for _, name, run in experiments}
    known |= {name: emitted(rows) for name, rows in theory.groupby("experiment")}
    for claim in shipped:
        for criterion in claim.criteria:
            for experiment in criterion.experiments:
                statistics = known[experiment]
                assert criterion.statistic in statistics, (claim.id, experiment)
                if criterion.relative_to is not None:
                    assert statistics[criterion.relative_to] == statistics[criterion.statistic]
                assert all(statistics[condition.statistic] == (0,) for condition in criterion.where)


def test_every_claim_names_experiments_that_are_run(shipped, experiments, theory):
    names = {name for _, name, _ in experiments} | set(theory["experiment"])
    for claim in shipped:
        assert {e for criterion in claim.criteria for e in criterion.experiments} <= names


def test_every_experiment_of_a_claim_has_its_control(shipped, experiments, theory):
    """And the control is made: `unbalance` is set wherever an experiment on data is run."""
    trained, made = {name for _, name, _ in experiments}, set(theory["experiment"])
    for claim in shipped:
        judged = {e for criterion in claim.criteria for e in criterion.experiments}
        assert set(claim.control.experiments) == judged
        for name, controls in claim.control.experiments.items():
            assert controls == [name + CONTROL] if name in trained else set(controls) <= made
        for _, name, run in experiments:
            assert name not in judged or run.unbalance is not None, (claim.id, name)


def test_every_claim_shows_figures_that_are_drawn(shipped, experiments):
    drawn = {f"sharpness-{task}" for study, _, _ in experiments for task in study.tasks} | set(FIGURES)
    for claim in shipped:
        assert claim.figures
        assert set(claim.figures) <= drawn


def test_claims_are_told_apart_by_their_ids(shipped):
    ids = [claim.id for claim in shipped]
    assert ids == [
        *("M1", "M2", "M3", "M4", "M5", "I2", "I3", "I4", "I5", "I6", "I7"),
        *("D1", "D2", "D3", "D4", "D5", "D6", "D7", "B1", "P1", "P2", "P3", "P4", "P5", "P6", "P7"),
    ]
