"""Derivatives that autograd gets wrong, hides or lacks are refused; those of networks of today are right."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from modules import columns, data, dense_gauss_newton, dense_hessian, flat_loss, mlp, seeded
from references import DTYPE, generator, normal
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.errors import UserError

LOSS = nn.CrossEntropyLoss()
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def around(middle, width=4):
    """A network with a layer in its middle."""
    return seeded(lambda: nn.Sequential(nn.Linear(5, width), nn.Tanh(), middle, nn.Linear(width, 3))).eval()


class Forward(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, inputs):
        return self.function(inputs)


def weight_normalised():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    return around(layer)


class Detached(torch.autograd.Function):
    """The sine, whose gradient is right, but not that of its gradient: symmetric, and wrong."""

    @staticmethod
    def forward(ctx, inputs):
        ctx.save_for_backward(inputs)
        return inputs.sin()

    @staticmethod
    def backward(ctx, slopes):
        (inputs,) = ctx.saved_tensors
        return slopes * torch.from_numpy(np.cos(inputs.detach().numpy()))


class Once(Detached):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slopes):
        (inputs,) = ctx.saved_tensors
        return slopes * inputs.cos()


def rounded(inputs):
    """Straight through: the slope of the identity."""
    return inputs + (inputs.round() - inputs).detach()


def half_hidden(inputs):
    return inputs.sin() * inputs.detach()


WRONG_SECOND = "(operator: is not symmetric: u'Hv is|model or loss: a product with its Hessian has norm)"
WRONG_FIRST = (
    "(operator: is not symmetric|model or loss: its slope is .* by autograd, .* by differences; leave out what hid)"
)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (weight_normalised, WRONG_SECOND),
        (lambda: around(Forward(Detached.apply)), WRONG_SECOND),
        (lambda: around(Forward(Once.apply)), WRONG_SECOND),
        (lambda: around(Forward(rounded)), WRONG_FIRST),
        (lambda: around(Forward(half_hidden)), WRONG_FIRST),
    ],
)
def test_wrong_second_derivatives(build, message):
    model = build()
    with pytest.raises(UserError, match=f"^{message}"):
        Hessian(model, LOSS, data(mlp()))


@pytest.mark.parametrize("build", [weight_normalised, lambda: around(Forward(Detached.apply))])
def test_gauss_newton_matrices_need_first_derivatives_alone(build):
    model = build()
    found = columns(GaussNewton(model, LOSS, data(mlp())))
    torch.testing.assert_close(found, dense_gauss_newton(model, LOSS, *data(mlp())), **EXACT)


class Features(nn.Module):
    """A network whose first layer is meant to stay as it is, but requires gradients."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, inputs):
        with torch.no_grad():
            hidden = self.body(inputs).tanh()
        return self.head(hidden)


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
def test_parameters_that_act_outside_the_graph(kind):
    model = seeded(Features)
    with pytest.raises(UserError, match=r"^model or loss: its slope is .* leave out what hides"):
        kind(model, LOSS, data(mlp()))
    model.body.requires_grad_(False)
    reference = dense_hessian(model, LOSS, *data(mlp()), ["head.weight", "head.bias"])
    torch.testing.assert_close(columns(kind(model, LOSS, data(mlp()))), reference, **EXACT)


def decay(model):
    return 0.05 * sum(parameter.square().sum() for parameter in model.parameters())


class Penalised(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, inputs):
        return self.body(inputs), decay(self.body)


def test_losses_that_read_parameters():
    """Weight decay, a call of the model, a scale that the loss learns; the cure gives the Hessian with the decay."""
    model, scale = mlp(), nn.Parameter(torch.ones((), dtype=DTYPE))
    inputs, targets = data(model)
    for loss in (
        lambda outputs, labels: LOSS(outputs, labels) + decay(model),
        lambda outputs, labels: LOSS(outputs, labels) + model(inputs + 0.1).square().mean(),
        lambda outputs, labels: LOSS(scale * outputs, labels),
    ):
        for kind in (Hessian, GaussNewton):
            with pytest.raises(UserError, match=r"^loss: depends on parameters beside the outputs, such as"):
                kind(model, loss, (inputs, targets))
    found = columns(
        Hessian(Penalised(model), lambda outputs, labels: LOSS(outputs[0], labels) + outputs[1], data(model))
    )
    expected = dense_hessian(model, LOSS, inputs, targets) + 0.1 * torch.eye(len(found), dtype=DTYPE)
    torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.parametrize(
    "loss",
    [
        lambda outputs, targets: (outputs.argmax(1) != targets).double().mean(),
        lambda outputs, targets: LOSS(outputs.detach(), targets),
    ],
)
def test_losses_without_a_graph(loss):
    with pytest.raises(UserError, match=r"^loss: autograd finds none of the parameters in it; leave out detach\(\)"):
        Hessian(mlp(), loss, data(mlp()))


def recurrent_scores(outputs, targets):
    """CTC of three steps of four symbols."""
    scores = outputs.repeat(1, 4).reshape(len(outputs), 3, 4).transpose(0, 1).log_softmax(2)
    lengths = torch.full((len(outputs),), 3), torch.ones(len(outputs), dtype=torch.long)
    return functional.ctc_loss(scores, targets.unsqueeze(1) % 3 + 1, *lengths, reduction="none").mean()


def bag():
    return seeded(lambda: nn.Sequential(nn.EmbeddingBag(9, 4), nn.Linear(4, 3)))


@pytest.mark.parametrize(
    ("model", "loss", "inputs", "message"),
    [
        (
            around(nn.Hardsigmoid()),
            LOSS,
            None,
            r"torch has no second derivative of hardsigmoid; write it as torch.clamp",
        ),
        (mlp(), nn.MultiMarginLoss(), None, "torch has no second derivative of multi_margin_loss; write its hinges"),
        (mlp(), recurrent_scores, None, "torch has no second derivative of _ctc_loss; write it with other operations"),
        (
            bag(),
            LOSS,
            torch.randint(9, (23, 2), generator=generator(1)),
            "torch has no second derivative of _embedding_bag; write it as an Embedding and a mean",
        ),
        (
            around(Forward(lambda inputs: checkpoint(torch.sin, inputs, use_reentrant=True))),
            LOSS,
            None,
            "a reentrant checkpoint cannot be differentiated twice; pass use_reentrant=False",
        ),
    ],
)
def test_operations_without_a_second_derivative_are_named(model, loss, inputs, message):
    default, targets = data(mlp())
    with pytest.raises(UserError, match=f"^model or loss: {message}") as caught:
        Hessian(model, loss, (default if inputs is None else inputs, targets))
    assert "\n" not in str(caught.value)


class Attention(nn.Module):
    """Self-attention over five tokens of one number each, as torch runs it by default."""

    def __init__(self, causal):
        super().__init__()
        self.enter, self.leave = nn.Linear(1, 4), nn.Linear(4, 3)
        self.attend, self.causal = nn.MultiheadAttention(4, 2, batch_first=True), causal

    def forward(self, inputs):
        hidden = self.enter(inputs.unsqueeze(2))
        mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=DTYPE) if self.causal else None
        attended, _ = self.attend(hidden, hidden, hidden, need_weights=False, attn_mask=mask)
        return self.leave(attended.mean(1))


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal):
    """The reference: differences of gradients, since torch has no second derivative of its default attention."""
    model = seeded(lambda: Attention(causal)).eval()
    hessian, step = Hessian(model, LOSS, data(mlp())), 1e-6
    direction = normal(4, hessian.shape[0])
    _, loss, flat = flat_loss(model, LOSS, *data(mlp()))
    forth, back = (torch.autograd.functional.jacobian(loss, flat + s * direction) for s in (step, -step))
    torch.testing.assert_close(hessian.matvec(direction), (forth - back) / (2 * step), rtol=1e-6, atol=1e-8)


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


def test_a_compiled_layer_is_named():
    model = around(torch.compile(nn.Linear(4, 4), backend="aot_eager"))
    with pytest.raises(UserError, match=r"^model or loss: a compiled function cannot be differentiated twice; pass"):
        Hessian(model, LOSS, data(mlp()))


def test_tensors_that_are_changed_in_place():
    model, (inputs, targets) = mlp(), data(mlp())
    hessian = Hessian(model, LOSS, (inputs, targets))
    targets[3] = (targets[3] + 1) % 3
    with pytest.raises(UserError, match=r"^data: a tensor was changed in place; make the operator anew"):
        hessian.gradient()
