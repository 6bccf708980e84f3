"""Derivatives by autograd: gradients, products with Hessians, and torch's refusals in one line."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from flatminima.curvature.nests import Nest, differentiable_parts
from flatminima.curvature.network import Parameters
from flatminima.errors import UserError

Product = Callable[[Parameters], Sequence[Tensor]]

MISSING = re.compile(r"derivative for '?(?:aten::)?(\w+?)(?:_backward)?'? is not implemented")
CURES = {
    "hardsigmoid": "write it as torch.clamp(x / 6 + 0.5, 0, 1)",
    "_embedding_bag": "write it as an Embedding and a mean or sum over its axis 1",
    "multi_margin_loss": "write its hinges with torch.relu",
}
REASONS = {
    "use_reentrant=True": "a reentrant checkpoint cannot be differentiated twice; pass use_reentrant=False",
    "arguments don't support automatic differentiation": "an operation writes to an out= argument, which cannot be "
    "differentiated; write it with others, such as LocalResponseNorm in place of CrossMapLRN2d",
    "aot_autograd": "a compiled function cannot be differentiated twice; pass the model as it was before torch.compile",
    "CuDNN RNN": "cuDNN's recurrent layers have no second derivative; use torch.backends.cudnn.flags(enabled=False)",
    "saved tensor hooks": "torch.func inside a model cannot be measured; use torch.autograd.grad(create_graph=True)",
    "once_differentiable": "an autograd.Function is marked as once differentiable; write its backward with torch",
}
ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
SHOWN = 200
"""Characters of an error of torch that are quoted."""


def hessian_product(loss: Tensor, parameters: Parameters) -> Product:
    """Product with the Hessian of a number, through a graph of its gradient that is built once."""
    return curvature_of(grad(loss, parameters, create_graph=True), parameters)


def curvature_of(gradient: Sequence[Tensor], parameters: Parameters) -> Product:
    """Product with the Hessian of a number whose gradient has a graph."""
    if not any(part.requires_grad for part in gradient):
        return lambda direction: [torch.zeros_like(part) for part in direction]
    return lambda direction: grad(inner(gradient, direction), parameters)


def gauss_newton_product(outputs: Nest, loss: Callable[[Nest], Tensor], parameters: Parameters) -> Product:
    """Product with J' H J, for the Jacobian J of outputs that have a graph and the Hessian H of a number in them."""
    values, put = differentiable_parts(outputs)
    cotangents = tuple(torch.zeros_like(value, requires_grad=True) for value in values)
    pullback = grad(inner(values, cotangents), parameters, create_graph=True)
    centre = tuple(value.detach().requires_grad_() for value in values)
    curvature = hessian_product(loss(put(centre)), centre)

    def product(direction: Parameters) -> Sequence[Tensor]:
        pushed = grad(inner(pullback, direction), cotangents)
        return grad(inner(values, curvature(pushed)), parameters)

    return product


def grad(value: Tensor, parameters: Parameters, *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Gradient of a number; its graph is kept for more."""
    return torch.autograd.grad(value, parameters, create_graph=create_graph, retain_graph=True, materialize_grads=True)


def inner(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """Inner product of two lists of tensors."""
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()


@contextmanager
def gradients() -> Iterator[None]:
    """Take gradients here, also inside torch.no_grad(), inference_mode() and autocast().

    Raises:
        UserError: in place of an error of the model, the loss or torch, which is its cause.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except ERRORS as error:
            raise UserError(f"model or loss: {_in_a_line(error)}") from error


def _in_a_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    if missing := MISSING.search(said):
        cure = CURES.get(missing[1], "write it with other operations of torch")
        return f"torch has no second derivative of {missing[1]}; {cure}"
    for sign, reason in REASONS.items():
        if sign in said:
            return reason
    return f"{type(error).__name__}: {said if len(said) <= SHOWN else f'{said[:SHOWN]}...'}"
