"""Derivatives that autograd finds, against differences in float64."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from flatminima.curvature.differentiation import grad, gradients, hessian_product, inner
from flatminima.curvature.mean import Mean
from flatminima.curvature.network import Network, Parameters
from flatminima.curvature.samples import Batch
from flatminima.errors import UserError

MOVED = 1e-2
"""How far parameters are moved, relative to their root mean square, lest they lie where slopes change."""
STEPS = ((1e-8, 1e-4), (1e-8, 1e-4), (1e-3, 1e-2), (1e-3, 1e-2))
"""Of differences in float64, relative to the same, and how well derivatives must agree with them, in one of the tries.

The first are so small that they rarely cross a corner of a rectifier; the last are for networks that compute a part in
single precision, whose rounding hides smaller ones.
"""
NOISE = 1e3
"""Differences are uncertain by so many units in the last place of what they are differences of."""


def refuse_asymmetric(matrix: Tensor, rounding: float) -> None:
    """Refuse a matrix V'H V that is not symmetric, as it is for every symmetric H.

    Args:
        matrix: shape (..., columns, columns).
        rounding: unit in the last place of the products H V.

    Raises:
        UserError: saying what two entries are.
    """
    gap = (matrix - matrix.mT).abs()
    tolerance = max(rounding, torch.finfo(torch.float32).eps) ** 0.5
    if not (gap > tolerance * matrix.abs().amax((-2, -1), keepdim=True)).any():
        return
    worst = gap.flatten().argmax()
    one, two = matrix.flatten()[worst], matrix.mT.flatten()[worst]
    raise UserError(
        f"operator: is not symmetric: u'Hv is {float(one):.6g} and v'Hu {float(two):.6g}; torch has wrong second "
        "derivatives of some operations, such as weight_norm on a CPU: write them with others"
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
        with sdpa_kernel(SDPBackend.MATH):
            return mean.total(network(parameters, inputs), targets)

    refusal = ""
    for attempt, (step, agrees) in enumerate(STEPS):
        try:
            with gradients():
                directions = _random(network.parameters, len(STEPS) + attempt)
                point = moved(network.parameters, attempt)
                refusal = _difference(value, point, directions, step, agrees, second=second)
        except UserError:
            return
        if not refusal:
            return
    raise UserError(refusal)


def _difference(
    loss: Callable[[Parameters], Tensor],
    parameters: Parameters,
    directions: Sequence[Tensor],
    step: float,
    agrees: float,
    *,
    second: bool,
) -> str:
    """What is wrong with the derivatives of a loss; nothing if they agree with differences."""
    scales = _scales(parameters)
    direction = tuple(s * d for s, d in zip(scales, directions, strict=True))

    def gradient(shift: float) -> tuple[Tensor, Parameters, tuple[Tensor, ...]]:
        point = tuple((p.detach() + shift * d).requires_grad_() for p, d in zip(parameters, direction, strict=True))
        value = loss(point)
        return value, point, grad(value, point, create_graph=shift == 0)

    (below, _, slopes_below), (value, point, slopes), (above, _, slopes_above) = map(gradient, (-step, 0, step))
    slope, difference = inner(slopes, direction), (above - below) / (2 * step)
    if _apart([slope], [difference], agrees, float(value.detach().abs()) / step):
        return (
            f"model or loss: its slope is {slope.item():.6g} by autograd, {difference.item():.6g} by differences; "
            "leave out what hides a part of it from autograd: no_grad(), detach(), .data, a straight-through estimator"
        )
    if not second:
        return ""
    curved = hessian_product(value, point)(direction)
    differences = [(a - b) / (2 * step) for a, b in zip(slopes_above, slopes_below, strict=True)]
    found, expected, size = (
        [s * part for s, part in zip(scales, parts, strict=True)] for parts in (curved, differences, slopes)
    )
    if _apart(found, expected, agrees, float(_norm(size)) / step):
        return (
            f"model or loss: a product with its Hessian has norm {float(_norm(found)):.6g} by autograd, "
            f"{float(_norm(expected)):.6g} by differences of gradients; torch has wrong second derivatives of some "
            "operations, such as weight_norm on a CPU: write them with others"
        )
    return ""


def _apart(found: Sequence[Tensor], expected: Sequence[Tensor], agrees: float, magnitude: float) -> bool:
    """Whether derivatives differ from differences by more than a share of both and the rounding of a magnitude."""
    error = _norm([a - b for a, b in zip(found, expected, strict=True)])
    noise = NOISE * torch.finfo(torch.float64).eps * magnitude
    return bool(error > agrees * (_norm(found) + _norm(expected)) + noise)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    length: Tensor = torch.stack([tensor.detach().norm() for tensor in tensors]).norm()
    return length


def _scales(parameters: Parameters) -> list[Tensor]:
    """Root mean squares, or one where all are zero."""
    squares = [p.detach().square().mean().sqrt() for p in parameters]
    return [torch.where(size > 0, size, torch.ones_like(size)) for size in squares]


def _random(parameters: Parameters, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [(2 * torch.rand(p.shape, generator=generator) - 1).to(p) for p in parameters]


def moved(parameters: Parameters, seed: int) -> Parameters:
    """Parameters a little away, at random."""
    moves = zip(parameters, _scales(parameters), _random(parameters, seed), strict=True)
    return tuple((p.detach() + MOVED * scale * random).requires_grad_() for p, scale, random in moves)
