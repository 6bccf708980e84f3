"""All layers and losses of torch.nn are right or refused, as the table of docs/curvature.md says."""

from pathlib import Path

import pytest
import torch
from benchmarks.layers import families, outcomes
from benchmarks.layers.cases import Case, between, ready, real
from benchmarks.layers.families import FAMILIES
from benchmarks.layers.outcomes import Outcome
from benchmarks.layers.reference import Flat, difference, gauss_newton, gradient_error, hessian
from benchmarks.layers.table import read, recorded, table
from modules import dense_hessian
from references import DTYPE
from torch import nn

from flatminima.curvature.operators import Hessian
from flatminima.report.scoreboard import markers

PAGE = Path(__file__).parents[3] / "docs" / "curvature.md"
TABLE = PAGE.read_text().partition(f"{markers('sweep')[0]}\n")[2].partition(markers("sweep")[1])[0]
CASES = [case for cases in FAMILIES.values() for case in cases]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_right_or_refused_as_the_page_says(case):
    found = outcomes.outcomes(case)
    assert {outcome.verdict for outcome in found.values()} <= {"right", "refused"}, found
    assert found == recorded(TABLE, case.name)


def test_the_table_of_the_page_is_that_of_the_sweep():
    assert table({f: {case.name: recorded(TABLE, case.name) for case in FAMILIES[f]} for f in FAMILIES}) == TABLE
    assert len({case.name for case in CASES}) == len(CASES) >= 150


def test_every_layer_and_loss_has_a_case_or_a_reason(monkeypatch):
    assert families.missing() == set()
    assert set(families.WITHOUT) <= families.public()
    monkeypatch.setattr(nn, "NewLoss", type("NewLoss", (nn.Module,), {}), raising=False)
    assert families.missing() == {"NewLoss"}


def linear():
    """Linear regression, with the second derivatives of the textbook: 2 E[(x, 1)(x, 1)'] / outputs for each output."""
    model, inputs = ready(nn.Linear(3, 2)), real(3)
    moment = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=DTYPE)], 1)
    moment = moment.mT @ moment / len(inputs)
    weights, both = torch.kron(torch.eye(2, dtype=DTYPE), moment[:3, :3]), moment[3:, :3]
    across = torch.kron(torch.eye(2, dtype=DTYPE), both)
    expected = torch.cat([torch.cat([weights, across.mT], 1), torch.cat([across, torch.eye(2, dtype=DTYPE)], 1)])
    return Case("Linear", model, nn.MSELoss(), inputs, real(2, seed=1)), expected


def flat(case):
    return Flat(case.model, case.loss, case.inputs, case.targets)


def test_the_reference_against_the_textbook():
    case, expected = linear()
    torch.testing.assert_close(hessian(flat(case)), expected, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(gauss_newton(flat(case)), expected, rtol=1e-8, atol=1e-9)


class WrittenOut(nn.Module):
    """A linear layer under weight_norm, with the same parameters in the same order."""

    def __init__(self):
        super().__init__()
        shapes = {"bias": (4,), "lengths": (4, 1), "directions": (4, 4)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def forward(self, inputs):
        weight = self.lengths * self.directions / self.directions.norm(dim=1, keepdim=True)
        return nn.functional.linear(inputs, weight, self.bias)


def test_the_reference_needs_no_second_derivative_of_autograd():
    """Those of weight_norm are wrong; the reference is that of the layer written out."""
    norm, written = between(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), 4), between(WrittenOut(), 4)
    expected = dense_hessian(written.model, written.loss, written.inputs, written.targets)
    assert difference(hessian(flat(norm)), expected) < 1e-8
    assert difference(torch.autograd.functional.hessian(flat(norm).value, flat(norm).point), expected) > 0.1


def test_gradients_that_are_not_those_of_the_loss():
    """A straight-through estimator has the gradient of another function."""
    honest, other = (case for case in CASES if case.name in {"Tanh", "straight-through rounding"})
    assert gradient_error(flat(honest)) < 1e-8
    assert gradient_error(flat(other)) > 0.1


def test_cases_that_say_nothing():
    """A layer that nothing passes leaves all parameters before it without second derivatives."""
    assert outcomes.outcomes(between(nn.Threshold(100, 0.5), 4))["Hessian"].verdict == "idle"


class Planted(Hessian):
    """An engine that is symmetric and wrong in a few entries."""

    def matmat(self, block):
        return super().matmat(block) + 1e-4 * block


class Broken(Hessian):
    def matmat(self, block):
        raise ValueError("no such\nthing")


@pytest.mark.parametrize(("engine", "verdict"), [(Hessian, "right"), (Planted, "wrong"), (Broken, "unclear")])
def test_verdicts(engine, verdict, monkeypatch):
    """An engine that is wrong, or breaks, is not taken for one that is right."""
    monkeypatch.setitem(outcomes.KINDS, "Hessian", (engine, hessian))
    found = outcomes.outcomes(linear()[0])
    assert (found["Hessian"].verdict, found["Gauss-Newton"].verdict) == (verdict, "right")
    assert "\n" not in found["Hessian"].detail


def test_a_table_is_read_as_it_was_written():
    refused, wrong = Outcome("refused", "loss: is a `sum`: take the mean"), Outcome("wrong", "off: the matrix by 1")
    right = Outcome("right")
    found = {
        "One": {"A": {"Hessian": right, "Gauss-Newton": right}, "B (x)": {"Hessian": right, "Gauss-Newton": wrong}},
        "None": {"C": {"Hessian": refused, "Gauss-Newton": refused}},
    }
    text = table(found)
    assert read(text) == {"A": right, "Hessian of B (x)": right, "Gauss-Newton of B (x)": wrong, "C": refused}
    assert {family: {name: recorded(text, name) for name in cases} for family, cases in found.items()} == found
    assert recorded(text, "D") == {}
