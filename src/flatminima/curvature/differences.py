"""Derivatives that autograd finds, against differences in float64."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from flatminima.curvature.differentiation import grad, gradients, hessian_product, inner
from flatminima.curvature.mean import Mean
from flatminima.curvature.network import Network, Parameters
from flatminima.curvature.samples import Batch
from flatminima.errors import UserError

MOVED = 1e-2
"""Distance by which parameters are moved, relative to their root mean square, lest they lie where slopes change."""
STEP = 1e-8
"""Step of differences in float64, relative to the parameters' root mean square: small, so as to cross few corners of
rectifiers."""
AGREES = 1e-4
NOISE = 1e3
"""Uncertainty of a difference, in units in the last place of the two values that it is taken between."""


def refuse_asymmetric(matrix: Tensor, rounding: float) -> None:
    """Refuse a matrix V'H V that is not symmetric, as it is for every symmetric H.

    Args:
        matrix: shape (..., columns, columns).
        rounding: unit in the last place of the products H V.

    Raises:
        UserError: saying what two entries are.
    """
    gap = (matrix - matrix.mT).abs()
    single = torch.finfo(torch.float32)
    tolerance = max(rounding, single.eps) ** 0.5
    if not (gap > (tolerance * matrix.abs().amax((-2, -1), keepdim=True)).clamp_min(single.tiny)).any():
        return
    worst = gap.flatten().argmax()
    one, two = matrix.flatten()[worst], matrix.mT.flatten()[worst]
    exact = "" if rounding < single.eps else "pass model.double(), lest the rounding of a nearly zero loss be all; "
    raise UserError(
        f"operator: is not symmetric: u'Hv is {float(one):.6g} and v'Hu {float(two):.6g}; {exact}write operations with "
        "others if their derivatives are wrong, such as those of weight_norm on a CPU, or scaled, such as by hooks"
    )


def check_derivatives(network: Network, mean: Mean, batch: Batch, *, second: bool) -> None:
    """Compare the derivatives that autograd finds with differences, in float64, along a direction, for a few samples.

    A model or loss that cannot be computed in float64 is not compared.

    Args:
        network: in float64.
        mean: of constants in float64.
        batch: a few samples.
        second: whether second derivatives matter.

    Raises:
        UserError: if they are not those of the loss.
    """
    inputs, targets = (network.cast(part) for part in batch)

    def value(parameters: Parameters) -> Tensor:
        return mean.total(network(parameters, inputs), targets)

    refusal = ""
    for attempt, mode in enumerate(ATTEMPTS):
        try:
            with gradients(), mode():
                scales = _scales(network.parameters)
                direction = _products(scales, network.directions(len(ATTEMPTS) + attempt))
                refusal = _difference(value, moved(network, attempt), direction, scales, second=second)
        except UserError:
            return
        if not refusal:
            return
    raise UserError(refusal)


def _difference(
    loss: Callable[[Parameters], Tensor],
    parameters: Parameters,
    direction: Parameters,
    scales: Parameters,
    *,
    second: bool,
) -> str:
    """Say what is wrong with the derivatives of a loss along a direction; None if they agree with differences."""

    def gradient(shift: float) -> tuple[Tensor, Parameters, Parameters]:
        point = tuple((p.detach() + shift * d).requires_grad_() for p, d in zip(parameters, direction, strict=True))
        value = loss(point)
        slopes = grad(value, point, create_graph=shift == 0)
        return value if shift == 0 else value.detach(), point, slopes  # of a detached value the graph is let go

    (below, _, slopes_below), (above, _, slopes_above), (value, point, slopes) = map(gradient, (-STEP, STEP, 0))
    slope, difference = inner(slopes, direction), (above - below) / (2 * STEP)
    if _apart([slope], [difference], value):
        return (
            f"model or loss: its slope is {slope.item():.6g} by autograd, {difference.item():.6g} by differences; "
            "leave out what hides a part of it from autograd: no_grad(), detach(), .data, a straight-through estimator"
        )
    if not second:
        return ""
    curved = hessian_product(value, point)(direction)
    differences = [(a - b) / (2 * STEP) for a, b in zip(slopes_above, slopes_below, strict=True)]
    found, expected, size = (_products(scales, parts) for parts in (curved, differences, slopes))
    if _apart(found, expected, _norm(size)):
        return (
            f"model or loss: a product with its Hessian has norm {float(_norm(found)):.6g} by autograd, "
            f"{float(_norm(expected)):.6g} by differences of gradients; torch has wrong second derivatives of some "
            "operations, such as weight_norm on a CPU: write them with others"
        )
    return ""


def _apart(found: Sequence[Tensor], expected: Sequence[Tensor], value: Tensor) -> bool:
    """Whether derivatives differ from differences of a value by more than a share, and the rounding of the value."""
    error = _norm([a - b for a, b in zip(found, expected, strict=True)])
    noise = NOISE * torch.finfo(torch.float64).eps * value.detach().abs() / STEP
    return bool(error > AGREES * (_norm(found) + _norm(expected)) + noise)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    length: Tensor = torch.stack([tensor.detach().norm() for tensor in tensors]).norm()
    return length


def _products(left: Sequence[Tensor], right: Sequence[Tensor]) -> Parameters:
    return tuple(a * b for a, b in zip(left, right, strict=True))


def _scales(parameters: Parameters) -> Parameters:
    """Root mean squares, or one where all are zero."""
    squares = [p.detach().square().mean().sqrt() for p in parameters]
    return tuple(torch.where(size > 0, size, torch.ones_like(size)) for size in squares)


def moved(network: Network, seed: int) -> Parameters:
    """Parameters a little away, at random."""
    moves = _products(_scales(network.parameters), network.directions(seed))
    return tuple(
        (p.detach() + MOVED * move).requires_grad_() for p, move in zip(network.parameters, moves, strict=True)
    )


class _InDouble(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes in float64 what a model computes in less, such as its norms: rounding would hide small differences."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        args, kwargs = tree_map(_double, (args, kwargs or {}))
        return func(*args, **kwargs)


def _double(argument: object) -> object:
    return torch.float64 if argument in (torch.float32, torch.float16, torch.bfloat16) else argument


ATTEMPTS: Sequence[Callable[[], AbstractContextManager[Any]]] = (nullcontext, nullcontext, _InDouble, _InDouble)
"""One of which must agree: a step may cross a corner, and the last two take a second for what they import."""
