"""Losses that are means over samples, taken apart into sums over chunks of samples."""

import copy
from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from flatminima.curvature.nests import Nest, leaves
from flatminima.errors import UserError

MeanLoss = Callable[[Nest, Nest], Tensor]

KNOWN = (nn.CrossEntropyLoss, nn.NLLLoss)


class Mean(Protocol):
    """A loss of all samples: the sum of what chunks of them add, over the sum of their weights."""

    known: bool
    """Whether that it is such a mean is known, and need not be looked at."""

    def weight(self, targets: Nest) -> float:
        """Sum of the weights of samples."""

    def total(self, outputs: Nest, targets: Nest) -> Tensor:
        """Sum of the losses of samples, a number."""


class OfSamples:
    """A loss that is the mean over samples of equal weight, or should be."""

    known = False

    def __init__(self, loss: MeanLoss) -> None:
        """Take a loss of a batch."""
        self._loss = loss

    def weight(self, targets: Nest) -> float:
        """Number of samples."""
        return len(leaves(targets)[0])

    def total(self, outputs: Nest, targets: Nest) -> Tensor:
        """The loss times the number of samples.

        Raises:
            UserError: if the loss is no number.
        """
        value = self._loss(outputs, targets)
        if not isinstance(value, Tensor):
            raise UserError(f"loss: gives a {type(value).__name__}; expected a tensor of one number")
        if value.numel() != 1:
            raise UserError(f"loss: has shape {tuple(value.shape)}; expected one number, the mean over samples")
        return self.weight(targets) * value.squeeze()


class OfTargets:
    """torch's mean over targets that count, such as tokens: each has its class's weight, and some may be ignored.

    It is computed in float64: in less, a network that fits its labels has nothing left of p (1 - p).
    """

    known = True

    def __init__(self, loss: nn.CrossEntropyLoss | nn.NLLLoss) -> None:
        """Take a loss with reduction='mean'."""
        self._summed = copy.copy(loss).double()
        self._summed.reduction = "sum"

    def weight(self, targets: Tensor) -> float:
        """Sum of the weights of the targets; one each where they are probabilities of all classes."""
        if targets.is_floating_point():
            return targets.numel() / targets.shape[1]
        counted = targets[targets != self._summed.ignore_index]
        return len(counted) if self._summed.weight is None else float(self._summed.weight[counted].sum())

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Weighted sum of the losses of the targets."""
        value: Tensor = self._summed(outputs.double(), targets.double() if targets.is_floating_point() else targets)
        return value


def mean_of(loss: MeanLoss, like: Tensor) -> Mean:
    """Choose the class of a loss; constants inside torch's own losses follow the device and dtype of a parameter.

    Raises:
        UserError: if the loss is a class.
    """
    if isinstance(loss, type):
        raise UserError(f"loss: is the class {loss.__name__}; expected a loss, {loss.__name__}()")
    if isinstance(loss, nn.Module) and type(loss).__module__ == nn.modules.loss.__name__:
        loss = copy.deepcopy(loss).to(like.device, like.dtype)
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) and type(loss) in KNOWN and loss.reduction == "mean":
        return OfTargets(loss)
    return OfSamples(loss)
