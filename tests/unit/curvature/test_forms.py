"""Networks, inputs and outputs in whatever form they come, and calls from inside other modes."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from modules import columns, data, dense_gauss_newton, dense_hessian, mlp, seeded
from references import DTYPE, generator, normal
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.errors import UserError

LOSS = nn.CrossEntropyLoss()
EXACT = {"rtol": 1e-9, "atol": 1e-11}


class Squeezed(nn.Module):
    """Works in every batch but those of one sample."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, inputs):
        return self.body(inputs).squeeze()


@pytest.mark.parametrize("samples", [1, 2, 23])
@pytest.mark.parametrize("memory", [1024, 0.012])
def test_models_that_fail_on_a_batch_of_one(samples, memory):
    model, (inputs, labels) = seeded(Squeezed), data(mlp(), samples)
    targets, loss = (labels > 0).to(DTYPE), nn.BCEWithLogitsLoss()
    reference = dense_hessian(model.body, lambda outputs, wanted: loss(outputs[:, 0], wanted), inputs, targets)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=11)
    for source in ((inputs, targets), loader):
        torch.testing.assert_close(columns(Hessian(model, loss, source, memory=memory)), reference, **EXACT)


Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Fields:
    scores: torch.Tensor
    hidden: torch.Tensor
    name: str = "scores"


class Several(nn.Module):
    """Two inputs, of which one counts twice, and outputs in any form."""

    def __init__(self, form):
        super().__init__()
        self.body, self.form = mlp(), form

    def forward(self, first, second):
        scores = self.body(first + 2 * second)
        return self.form(scores, scores.sin())


FORMS = {
    "tuple": (lambda scores, hidden: (scores, hidden), lambda outputs: outputs[0]),
    "dict": (lambda scores, hidden: {"scores": scores, "hidden": [hidden, None]}, lambda outputs: outputs["scores"]),
    "named tuple": (Pair, lambda outputs: outputs.left),
    "fields": (Fields, lambda outputs: outputs.scores),
    "layers first": (lambda scores, hidden: (scores, hidden.unsqueeze(0)), lambda outputs: outputs[0]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("inputs", [lambda a, b: (a, b), lambda a, b: {"second": b, "first": a}])
@pytest.mark.parametrize("memory", [1024, 0.03])
def test_inputs_and_outputs_in_any_form(form, inputs, memory):
    made, chosen = FORMS[form]
    model, (first, labels) = Several(made), data(mlp(), 60)
    second = normal(9, 60, 5)
    for kind, dense in ((Hessian, dense_hessian), (GaussNewton, dense_gauss_newton)):
        reference = dense(model.body, LOSS, first + 2 * second, labels)
        block = normal(1, len(reference), 2)
        batches = [(inputs(first[i : i + 20], second[i : i + 20]), labels[i : i + 20]) for i in (0, 20, 40)]
        for source in ((inputs(first, second), labels), DataLoader(batches, batch_size=None)):
            operator = kind(model, lambda outputs, targets: LOSS(chosen(outputs), targets), source, memory=memory)
            torch.testing.assert_close(operator.matmat(block), reference @ block, **EXACT)


class Hidden:
    """What holds a tensor out of sight."""

    def __init__(self, scores, _):
        self.inside = [Fields(scores, scores)]


class Answers(dict):
    """A dict of a kind that torch does not know."""

    def __init__(self, scores, _):
        super().__init__(scores=scores)


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize(
    ("form", "chosen"),
    [(Hidden, lambda outputs: outputs.inside[0].scores), (Answers, lambda outputs: outputs["scores"])],
)
def test_outputs_in_forms_that_cannot_be_seen_through(kind, form, chosen):
    inputs, targets = data(mlp())
    with pytest.raises(UserError, match=r"^model: puts out a (Hidden|Answers) without real numbers that are seen"):
        kind(Several(form), lambda outputs, labels: LOSS(chosen(outputs), labels), ((inputs, 0 * inputs), targets))


def test_nested_targets():
    model, (inputs, labels) = mlp(), data(mlp())
    weights = labels + 1.0

    def loss(outputs, targets):
        return (targets["weight"] * functional.cross_entropy(outputs, targets["label"], reduction="none")).mean()

    def same(outputs, targets):
        return loss(outputs, {"label": targets, "weight": weights})

    found = columns(Hessian(model, loss, (inputs, {"label": labels, "weight": weights})))
    torch.testing.assert_close(found, dense_hessian(model, same, inputs, labels), **EXACT)


@pytest.mark.parametrize("axis", [(), (1,)])
def test_inputs_of_one_axis(axis):
    """Such as tokens for an embedding, from tensors or a loader that is read again and again."""
    model = seeded(lambda: nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Tanh(), nn.Linear(4, 3)))
    tokens, labels = torch.randint(9, (301, *axis), generator=generator(1)), data(mlp(), 301)[1]
    if not axis:
        model = nn.Sequential(model[0], *model[2:])
    reference = dense_hessian(model, LOSS, tokens, labels)
    block = normal(1, len(reference), 2)
    for memory in (1024, 0.006):
        loader = DataLoader(TensorDataset(tokens, labels), batch_size=16, shuffle=True)
        for source in ((tokens, labels), loader):
            found = Hessian(model, LOSS, source, memory=memory).matmat(block)
            torch.testing.assert_close(found, reference @ block, **EXACT)


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", dtype=torch.bfloat16)]
)
def test_calls_from_inside_other_modes(context):
    """The value is that outside; also where data and model are made in there."""
    reference = dense_hessian(mlp(), LOSS, *data(mlp()))
    with context():
        model = mlp()
        hessian = Hessian(model, LOSS, data(model))
        torch.testing.assert_close(columns(hessian), reference, **EXACT)
        assert eigenpairs(hessian).eigenvalues.item() == pytest.approx(torch.linalg.eigvalsh(reference)[-1].item())
        hessian.gradient()


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Linear(50, 10))

    def forward(self, inputs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.body(inputs)


@pytest.mark.parametrize(
    ("build", "dtype"), [(Autocast, torch.float32), (Autocast, torch.bfloat16), (Autocast, torch.float16)]
)
def test_low_precision_ends_at_its_rounding(build, dtype):
    """Some tens of products, and a value as near as numbers of 8 bits allow."""
    inputs, targets = normal(1, 600, 20), torch.randint(10, (600,), generator=generator(2))
    model = seeded(build)
    exact = eigenpairs(Hessian(model.body, LOSS, (inputs, targets))).eigenvalues.item()
    single = model.to(dtype) if dtype == torch.float32 else model.body.to(dtype)
    hessian = Hessian(single, LOSS, (inputs, targets))
    pairs = eigenpairs(hessian)
    assert pairs.products < 100
    assert pairs.eigenvalues.item() == pytest.approx(exact, rel=0.02)
    assert hessian.scipy().dtype == np.float32
    assert np.isfinite(hessian.scipy() @ np.ones(hessian.shape[0])).all()


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="aot_eager")])
def test_wrapped_models_are_what_is_inside(wrap):
    found = columns(Hessian(wrap(mlp()), LOSS, data(mlp()), ["2"]))
    torch.testing.assert_close(found, dense_hessian(mlp(), LOSS, *data(mlp()), ["2.weight", "2.bias"]), **EXACT)


def test_tensors_that_are_changed_in_place():
    model, (inputs, targets) = mlp(), data(mlp())
    hessian = Hessian(model, LOSS, (inputs, targets))
    targets[3] = (targets[3] + 1) % 3
    with pytest.raises(UserError, match=r"^data: a tensor was changed in place; make the operator anew"):
        hessian.gradient()
