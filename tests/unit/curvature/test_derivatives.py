"""Derivatives that autograd gets wrong, hides or lacks are refused; those of networks of today are right."""

import numpy as np
import pytest
import torch
from modules import columns, data, dense_gauss_newton, dense_hessian, flat_loss, mlp, seeded
from references import DTYPE, generator, normal
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

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


def test_a_compiled_layer_is_named():
    model = around(torch.compile(nn.Linear(4, 4), backend="aot_eager"))
    with pytest.raises(UserError, match=r"^model or loss: a compiled function cannot be differentiated twice; pass"):
        Hessian(model, LOSS, data(mlp()))
