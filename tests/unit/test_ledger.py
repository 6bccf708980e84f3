"""The ledger of claims: errors in one line, and the shipped one fits what is run and measured."""

import fnmatch
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

from flatminima.claims.ledger import Class, load_ledger
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
NULLS = [f"{null}{draw}" for null in ("spectra", "permuted", "untrained") for draw in ("", "_again")]
INTERFACES = (1, 2)
"""Of networks of depth 3."""


def example():
    return {
        "id": "M1",
        "class": "measured",
        "paper": "p",
        "title": "t",
        "statement": "s",
        "scope": "c",
        "figures": ["training"],
        "criteria": [criterion()],
    }


def criterion(**changes):
    control = {"description": "d", "controls": ["unbalanced"]}
    asked = {"name": "is flat", "cases": ["linear"], "statistic": "sharpness_ratio", "at_most": 1.01}
    return asked | {"smallest": 0.01, "control": control} | changes


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
    assert claim.model_dump(exclude_defaults=True, by_alias=True) == example()
    assert (claim.criteria[0].where, claim.criteria[0].at_least) == ([], None)
    assert claim.class_of(claim.criteria[0]) is Class.MEASURED


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"statment": "s"}, "claims.0.statment: unknown key; did you mean 'statement'?"),
        ({"id": "claim 1"}, "claims.0.id is 'claim 1': "),
        ({"class": "guessed"}, "claims.0.class is 'guessed': "),
        ({"criteria": []}, "claims.0.criteria is []: "),
        ({"figures": "training"}, "claims.0.figures is 'training': "),
        ({"predicted": "true"}, "claims.0: M1: `predicted` belongs to the class prediction of ours"),
        ({"class": "prediction of ours"}, "claims.0: M1: `predicted` belongs to the class prediction of ours"),
    ],
)
def test_errors_of_a_claim_are_one_line(tmp_path, change, expected):
    assert message(tmp_path, example() | change).startswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"share": 1.2}, ".share is 1.2: input should be less than or equal to 1"),
        ({"share": 0.0}, ".share is 0.0: input should be greater than 0"),
        ({"at_most": "1.01"}, ".at_most is '1.01': input should be a valid number"),
        ({"at_most": None}, ": the criterion 'is flat' needs at_least or at_most"),
        ({"cases": []}, ".cases is []: "),
        ({"where": [{"statistic": "loss"}]}, ".where.0: a condition needs at_least or at_most"),
        ({"wher": []}, ".wher: unknown key; did you mean 'where'?"),
        ({"control": None}, ": the criterion 'is flat' has no control: name networks on which it must fail"),
        ({"deviation": True}, ": no deviation is defined for sharpness_ratio: "),
        (
            {"statistic": "path_gain", "deviation": True, "at_least": 1.0, "at_most": None},
            ": the criterion 'is flat' asks a deviation to be large; use at_most",
        ),
    ],
)
def test_errors_of_a_criterion_are_one_line(tmp_path, change, expected):
    assert message(tmp_path, example() | {"criteria": [criterion(**change)]}).startswith(
        f"claims.0.criteria.0{expected}"
    )


def test_what_is_given_twice_is_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [example(), example()]}))
    with pytest.raises(UserError, match=r"claims: the id M1 is given twice; give each claim its own$"):
        load_ledger(path)
    path.write_text(yaml.safe_dump({"claims": [example()]}).replace("  id: M1", "  id: M1\n  id: M2"))
    with pytest.raises(UserError, match=r"line \d+: the key 'id' is given twice, first on line \d+"):
        load_ledger(path)
    told = message(tmp_path, example() | {"figures": ["training", "training"]})
    assert told == "claims.0.figures: 'training' is given twice; give each value once"


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ({}, ".control: a control needs controls, instead, cases, where or settings: it must differ from the case"),
        (
            {"controls": ["unbalanced"], "cases": ["relu"]},
            ".control: a control names its networks by one of controls, instead and cases; leave the others out",
        ),
        ({"cases": ["linear"]}, ": the control of linear is linear itself; name other networks"),
        ({"instead": {"relu": "linear"}}, ": the criterion 'is flat' has no control for linear: add it to `instead`"),
        ({"controls": "unbalanced"}, ".control.controls is 'unbalanced': "),
    ],
)
def test_a_control_that_is_the_case_itself_is_refused(tmp_path, control, expected):
    told = message(tmp_path, example() | {"criteria": [criterion(control={"description": "d"} | control)]})
    assert told.startswith(f"claims.0.criteria.0{expected}")


def test_networks_under_other_conditions_may_be_their_own_control(tmp_path):
    for others in ({"settings": {"at_most": 0.1}}, {"where": [{"statistic": "sharpness_ratio", "at_least": 1.1}]}):
        path = tmp_path / "claims.yaml"
        path.write_text(yaml.safe_dump({"claims": [example() | {"criteria": [_controlled(others)]}]}))
        (claim,) = load_ledger(path).claims
        assert claim.criteria[0].control.of("linear") == [("linear", "")]


def _controlled(others):
    return criterion(control={"description": "d"} | others)


@pytest.mark.parametrize("class_", ["measured", "prediction of ours"])
def test_what_can_fail_needs_the_smallest_effect_worth_naming(tmp_path, class_):
    claim = example() | {"class": class_, "criteria": [criterion(smallest=None)]}
    claim |= {"predicted": "true"} if class_ == "prediction of ours" else {}
    assert "needs `smallest`, the effect worth naming" in message(tmp_path, claim)


def test_a_missing_key_is_named(tmp_path):
    claim = example()
    del claim["scope"]
    assert message(tmp_path, claim) == "claims.0.scope: missing key; add it (Claim requires it)"


def test_a_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(UserError, match=r"gone\.yaml: no such file; "):
        load_ledger(tmp_path / "gone.yaml")
    (tmp_path / "broken.yaml").write_text("claims: [")
    with pytest.raises(UserError, match=r"broken\.yaml: not valid YAML: [^\n]*$"):
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
    row = {"seed": 0, "step_size": 0.1, "setting": 0.1, "step": 1, "final": False, "diverged": False}
    labels = dict.fromkeys(["study", "case", "family", "task", "initialisation", "optimiser"], "x")
    labels |= {"control": "", "depth": 3}
    networks = Networks(stack, pd.DataFrame([row | {"gradient_scale": 1.0}]), labels)
    values = {"tolerance": 0.01, "products": 50, "jacobian_samples": 5}
    settings = Measure.model_validate({k: {"value": v, "source": "chosen"} for k, v in values.items()})
    rows, _ = measure(networks, samples, second_moments(samples), settings)
    return emitted(rows)


def emitted(rows):
    """Of small studies whose runs do not all arrive some statistics are NaN; that they are there is what counts."""
    return {name: tuple(sorted(set(group["layer"]))) for name, group in rows.groupby("statistic")}


@pytest.fixture(scope="module")
def known(experiments, theory):
    """{(case, control): {statistic: (layer, ...)}} of all that is run, controls and nulls included."""
    weights = layers(1, 1, [4, 5, 5, 4])[0]
    linear, relu = (measured_statistics(Stack(weights, (), rectified), 4) for rectified in (False, True))
    convolutional = measured_statistics(stack_of(1, (1, 2, 2, 1)), SIDE**2)
    by_family = {"linear": linear, "residual_linear": linear, "relu": relu, "convolutional": convolutional}
    found = {(name, ""): by_family[run.family] for _, name, run in experiments}
    coupling = {"own_cosine": INTERFACES, "own_gain": INTERFACES}
    coupled = [name for _, name, run in experiments if run.family != "residual_linear"]
    found |= {(name, null): coupling for name in coupled for null in NULLS}
    return found | {name: emitted(rows) for name, rows in theory.groupby(["case", "control"])}


def cases_of(criterion, known):
    """The cases of a criterion among all that are run."""
    return [case for case, control in known if not control and criterion.speaks_of(case)]


def test_every_criterion_names_measured_statistics(shipped, known):
    for claim in shipped:
        for criterion in claim.criteria:
            for case in cases_of(criterion, known):
                statistics = known[case, ""]
                assert criterion.statistic in statistics, (claim.id, case)
                if criterion.relative_to is not None:
                    assert statistics[criterion.relative_to] == statistics[criterion.statistic]
                whole = [condition.statistic for condition in criterion.where]
                whole += [criterion.contrast] if criterion.contrast else []
                assert all(statistics[name] == (0,) for name in whole), (claim.id, case)
                for null in criterion.against:
                    assert criterion.statistic in known[case, null], (claim.id, case, null)


def test_every_case_of_a_criterion_has_a_control_that_is_made(shipped, known):
    """With the statistic; a control of the same networks under other conditions names its own."""
    for claim in shipped:
        for criterion in claim.criteria:
            for case in cases_of(criterion, known) if criterion.control else []:
                controls = criterion.control.of(case)
                assert controls, (claim.id, case)
                assert all(criterion.statistic in known[name] for name in controls), (claim.id, case)
                for condition in criterion.control.where or []:
                    assert all(known[name][condition.statistic] == (0,) for name in controls), (claim.id, case)


PATTERNS = (
    *("random_layers*", "random_units*", "two_layers*", "boxes*", "balls*", "radial*"),
    *("weight_normalised*", "orbit_layers*", "orbit_units*"),
)


def test_names_of_cases_are_run_and_patterns_catch_no_others(shipped, known):
    present = {case for case, control in known if not control}
    found = {name: {*fnmatch.filter(present, name)} for c in shipped for k in c.criteria for name in k.cases}
    assert sorted(name for name in found if "*" in name) == sorted(PATTERNS)
    for name, caught in found.items():
        stem = name.removesuffix("*")
        assert caught == ({stem, f"{stem}_convolutional"} if name in PATTERNS else {name})


def test_every_claim_shows_figures_that_are_drawn(shipped, experiments):
    drawn = {f"sharpness-{task}" for study, _, _ in experiments for task in study.tasks} | set(FIGURES)
    for claim in shipped:
        assert claim.figures
        assert set(claim.figures) <= drawn


def test_claims_are_told_apart_by_their_ids(shipped):
    ids = [claim.id for claim in shipped]
    assert len(ids) == len(set(ids))
    assert ids == [
        *("M1", "M1b", "M1c", "M2", "M3", "M3b", "M4", "M5", "I2", "I3", "I4", "I5", "I6", "I7", "I9", "C1", "C2"),
        *("D1", "D2", "D3", "D4", "D5", "D6", "D7", "B1", "P1", "P2", "P3", "P4", "P5", "P6", "P7"),
    ]
