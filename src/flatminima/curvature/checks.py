"""Checks that a model and its loss have the properties that curvature and its search rest on."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flatminima.curvature.differences import moved
from flatminima.curvature.mean import Mean
from flatminima.curvature.nests import Nest, differentiable_parts, joined, leaves, mapped, shapes, taken
from flatminima.curvature.network import Network, Parameters
from flatminima.curvature.samples import Batch
from flatminima.errors import UserError

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
    for parameters in (network.parameters, moved(network, 0)):
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
        Unit in the last place of the least exact numbers that the model computes with.

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
    if not parts:
        raise UserError(
            f"model: puts out a {type(outputs).__name__} without real numbers that are seen; expected a tensor, or "
            "tuples, lists, dicts or an object with fields that hold some"
        )
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
    """Check that the loss of any samples, together with a few from all over the data, is the mean over both.

    The few let weights that differ between parts of the data, such as those of classes, show in any order of it.

    Attributes:
        mean: the loss.
        model: what the network puts out for inputs.
        inputs: a few samples from all over the data.
        outputs: what the network puts out for them.
        targets: those of their neighbours, or their own.
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
        """Build the check of a network from a few samples from all over the data.

        Their targets are those of their neighbours, if the loss is finite so: a network may fit their own, and then all
        weights give the same loss of zero.
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
        """Check some samples.

        Args:
            inputs: of the samples.
            outputs: what the network puts out for them.
            targets: theirs.

        Raises:
            UserError: if the loss is no mean, is not finite, or if shapes differ so that it cannot be known.
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
