"""What must be true of a model and its loss for curvature to be defined and found: looked at, not assumed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from flatminima.curvature.differentiation import grad, gradients, hessian_product, inner
from flatminima.curvature.mean import Mean
from flatminima.curvature.nests import Nest, differentiable_parts, joined, leaves, mapped, shapes, taken
from flatminima.curvature.network import Network, Parameters
from flatminima.curvature.samples import Batch
from flatminima.errors import UserError

MOVED = 1e-2
"""How far parameters are moved, relative to their root mean square, lest they lie where slopes change."""
STEP = 1e-8
"""Of differences in float64, relative to the same: so small that it rarely crosses a corner of a rectifier."""
AGREES = 1e-4
NOISE = 1e3
"""Differences are uncertain by so many units in the last place of what they are differences of."""
ATTEMPTS = 3
MEAN = (
    "expected a mean over samples: reduction='mean', weights of classes only in torch.nn.CrossEntropyLoss or NLLLoss, "
    "and samples that do not affect each other"
)


def check_mean(network: Network, mean: Mean, batch: Batch) -> None:
    """Refuse losses that are not deterministic, finite means over samples, by a few samples from all over the data.

    They are looked at where the parameters are, and a little away, where a loss of zero is not zero.

    Raises:
        UserError: saying what was found instead, and the cure.
    """
    inputs, targets = batch[0], network.cast(batch[1])
    tolerance = _check_reach(network, mean, inputs, targets) ** 0.5
    for parameters in (network.parameters, _moved(network.parameters, 0)):
        whole, again, halves = _losses(network, mean, parameters, inputs, targets)
        if not math.isfinite(whole):
            if parameters is network.parameters:
                raise UserError(f"loss: is {whole}; expected a finite number: check the parameters and the data")
        elif abs(whole - again) > tolerance * abs(whole):
            raise UserError(f"model: its loss is {whole:g}, then {again:g}; expected no randomness: call model.eval()")
        elif abs(whole - halves) > tolerance * max(abs(whole), abs(halves)):
            count = len(leaves(targets)[0])
            raise UserError(f"loss: {whole:g} for {count} samples, but {halves:g} as the mean of their halves; {MEAN}")


def _losses(
    network: Network, mean: Mean, parameters: Parameters, inputs: Nest, targets: Nest
) -> tuple[float, float, float]:
    """The loss, the loss again, and the mean of the losses of two halves."""
    half = len(leaves(targets)[0]) // 2
    weight = mean.weight(targets) or 1

    def of(part: slice) -> float:
        with torch.no_grad():
            return float(mean.total(network(parameters, taken(inputs, part)), taken(targets, part))) / weight

    return of(slice(None)), of(slice(None)), of(slice(half)) + of(slice(half, None))


def _check_reach(network: Network, mean: Mean, inputs: Nest, targets: Nest) -> float:
    """Refuse losses that depend on parameters in other ways than by outputs, which a snapshot would leave out.

    Returns:
        As `_precision`.

    Raises:
        UserError: if one does, or depends on none, or the model changes its parameters.
    """
    versions = [parameter._version for parameter in network.parameters]
    outputs = network(network.parameters, inputs)
    if versions != [parameter._version for parameter in network.parameters]:
        raise UserError(
            "model: changes its parameters when it is called, such as by an Embedding's max_norm; leave it out"
        )
    parts, put = differentiable_parts(outputs)
    detached = mean.total(put([part.detach() for part in parts]), targets)
    if detached.requires_grad:
        raise UserError(
            "loss: depends on parameters beside the outputs, such as by a penalty or a call of the model; let the "
            "model return the penalty with its outputs, and the loss add it"
        )
    if not mean.total(outputs, targets).requires_grad:
        raise UserError(
            "loss: autograd finds none of the parameters in it; leave out detach(), item(), argmax and no_grad(), and "
            "pass parameters that the model uses"
        )
    return _precision(network, outputs)


def _precision(network: Network, outputs: Nest) -> float:
    """Unit in the last place of the least exact numbers that a model computes with, as far as can be seen."""
    numbers = [*network.parameters, *differentiable_parts(outputs)[0]]
    return max(torch.finfo(tensor.dtype).eps for tensor in numbers)


@dataclass(frozen=True)
class MeanCheck:
    """Whether a loss of any samples together with others, from all over the data, is their mean.

    The others let weights that differ between parts of the data, such as those of classes, show in any order of it.

    Attributes:
        mean: the loss.
        model: outputs of inputs.
        inputs: of the others; and so outputs and targets.
        outputs: see there.
        targets: see there.
        rounding: unit in the last place of the least exact numbers that the model computes with.
    """

    mean: Mean
    model: Callable[[Nest], Nest]
    inputs: Nest
    outputs: Nest
    targets: Nest
    rounding: float

    @classmethod
    def of(cls, network: Network, mean: Mean, batch: Batch) -> "MeanCheck":
        """The check of a network, with a few samples from all over the data.

        They are given the targets of their neighbours if a loss can be had so: it differs from that of samples which
        the network fits.
        """

        def model(inputs: Nest) -> Nest:
            with torch.no_grad():
                return network(network.parameters, inputs)

        inputs, targets = batch[0], network.cast(batch[1])
        outputs = model(inputs)
        rolled = mapped(lambda tensor: tensor.roll(1, 0), targets)
        with torch.no_grad():
            known = math.isfinite(mean.total(outputs, rolled))
        return cls(mean, model, inputs, outputs, rolled if known else targets, _precision(network, outputs))

    def __call__(self, inputs: Nest, outputs: Nest, targets: Nest) -> None:
        """Compare.

        Raises:
            UserError: if it is not, or if it cannot be known.
        """
        if self.mean.known:
            return
        if [shapes(inputs), shapes(targets)] != [shapes(self.inputs), shapes(self.targets)]:
            raise UserError(
                "data: samples differ in shape, and what is their mean is known of torch.nn.CrossEntropyLoss and "
                "NLLLoss alone; use one of these, or pad all to one shape"
            )
        count, others = len(leaves(targets)[0]), len(leaves(self.targets)[0])
        index = torch.arange(count) % others
        parts, put = differentiable_parts(outputs)
        with torch.no_grad():
            here = put([part.detach() for part in parts])
            there = [taken(nest, index) for nest in (self.inputs, self.targets)]
            if all(isinstance(leaf, Tensor) and leaf.shape[:1] == (count,) for leaf in leaves(here)):
                elsewhere = taken(self.outputs, index)
                both = joined([here, elsewhere])
            else:
                elsewhere, both = self.model(there[0]), self.model(joined([inputs, there[0]]))
            values = [self.mean.total(here, targets), self.mean.total(elsewhere, there[1])]
            whole, summed = float(self.mean.total(both, joined([targets, there[1]]))), float(sum(values))
        if not math.isfinite(float(values[0])):
            raise UserError(f"loss: is {float(values[0]) / count} for some samples; check the parameters and the data")
        if abs(whole - summed) > self.rounding**0.5 * max(abs(whole), *(abs(float(value)) for value in values)):
            raise UserError(
                f"loss: {whole / (2 * count):g} for {2 * count} samples, but {summed / (2 * count):g} as the mean of "
                f"their halves; {MEAN}"
            )


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
    for attempt in range(ATTEMPTS):
        try:
            with gradients():
                refusal = _difference(value, _moved(network.parameters, attempt), attempt, second=second)
        except UserError:
            return
        if not refusal:
            return
    raise UserError(refusal)


def _difference(loss: Callable[[Parameters], Tensor], parameters: Parameters, seed: int, *, second: bool) -> str:
    """What is wrong with the derivatives of a loss; nothing if they agree with differences."""
    scales = _scales(parameters)
    direction = tuple(s * r for s, r in zip(scales, _random(parameters, seed + ATTEMPTS), strict=True))

    def gradient(step: float) -> tuple[Tensor, Parameters, tuple[Tensor, ...]]:
        point = tuple((p.detach() + step * d).requires_grad_() for p, d in zip(parameters, direction, strict=True))
        value = loss(point)
        return value, point, grad(value, point, create_graph=step == 0)

    (below, _, slopes_below), (value, point, slopes), (above, _, slopes_above) = map(gradient, (-STEP, 0, STEP))
    slope, difference = inner(slopes, direction), (above - below) / (2 * STEP)
    if _apart([slope], [difference], float(value.detach().abs())):
        return (
            f"model or loss: its slope is {slope.item():.6g} by autograd, {difference.item():.6g} by differences; "
            "leave out what hides a part of it from autograd: no_grad(), detach(), .data, a straight-through estimator"
        )
    if not second:
        return ""
    curved = hessian_product(value, point)(direction)
    differences = [(a - b) / (2 * STEP) for a, b in zip(slopes_above, slopes_below, strict=True)]
    found, expected, size = (
        [s * part for s, part in zip(scales, parts, strict=True)] for parts in (curved, differences, slopes)
    )
    if _apart(found, expected, float(_norm(size))):
        return (
            f"model or loss: a product with its Hessian has norm {float(_norm(found)):.6g} by autograd, "
            f"{float(_norm(expected)):.6g} by differences of gradients; torch has wrong second derivatives of some "
            "operations, such as weight_norm on a CPU: write them with others"
        )
    return ""


def _apart(found: Sequence[Tensor], expected: Sequence[Tensor], magnitude: float) -> bool:
    """Whether derivatives differ from differences of something of a magnitude by more than these are uncertain."""
    error = _norm([a - b for a, b in zip(found, expected, strict=True)])
    noise = NOISE * torch.finfo(torch.float64).eps * magnitude / STEP
    return bool(error > AGREES * (_norm(found) + _norm(expected)) + noise)


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


def _moved(parameters: Parameters, seed: int) -> Parameters:
    moves = zip(parameters, _scales(parameters), _random(parameters, seed), strict=True)
    return tuple((p.detach() + MOVED * scale * random).requires_grad_() for p, scale, random in moves)
