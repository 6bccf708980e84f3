"""Dense Hessians and Gauss-Newton matrices in float64, from differences of first derivatives alone.

No second derivative of PyTorch's is used, so that one which is symmetric and wrong is found as well. The first
derivatives are held against differences of the loss.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module
from torch.utils._pytree import tree_flatten, tree_unflatten

Nest = Any
"""A tensor, or tuples, lists or dicts of them."""
Function = Callable[[Tensor], Tensor]

STEP = 1e-5
"""Of central differences: their truncation, of the order of STEP squared, and rounding, of 1e-16 / STEP, are below
1e-9."""
SMALL = 1e-3
"""What second derivatives of these networks, of the order of one, are never as small as if they matter."""


class Flat:
    """A network's outputs and loss as functions of one vector: its parameters.

    Attributes:
        point: their values.
        first: how many of them belong to the first one.
        step: of central differences.
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[[Nest, Nest], Tensor],
        inputs: Nest,
        targets: Nest,
        names: Sequence[str] | None = None,
        step: float = STEP,
    ) -> None:
        """Take the samples all at once.

        Args:
            model: in float64.
            loss: maps (outputs, targets) to a number.
            inputs: a tensor; a tuple or list of positional arguments; or a dict of keyword arguments.
            targets: whatever the loss takes.
            names: parameters, or layers that stand for all of theirs; all where absent.
            step: of central differences.
        """
        self._model, self._loss, self._targets = model, loss, targets
        self._args, self._kwargs = _arguments(inputs)
        self._all = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self._chosen = [name for name in self._all if names is None or _among(name, names)]
        self.point = torch.cat([self._all[name].flatten() for name in self._chosen])
        self.first = self._all[self._chosen[0]].numel()
        self.step = step

    def nest(self, flat: Tensor) -> Nest:
        """The network's outputs as they are."""
        parts = flat.split([self._all[name].numel() for name in self._chosen])
        own = {name: part.reshape(self._all[name].shape) for name, part in zip(self._chosen, parts, strict=True)}
        return functional_call(self._model, self._all | own, self._args, self._kwargs)

    def outputs(self, flat: Tensor) -> Tensor:
        """All numbers of the outputs in one vector."""
        return torch.cat([leaf.flatten() for leaf in tree_flatten(self.nest(flat))[0]])

    def value(self, flat: Tensor) -> Tensor:
        """The loss."""
        return self._loss(self.nest(flat), self._targets)

    def loss_of_outputs(self, outputs: Tensor) -> Tensor:
        """The loss as a function of the outputs in one vector."""
        leaves, structure = tree_flatten(self.nest(self.point))
        parts = outputs.split([leaf.numel() for leaf in leaves])
        own = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        return self._loss(tree_unflatten(own, structure), self._targets)


def gradient_error(flat: Flat) -> float:
    """How far PyTorch's gradient is from differences of the loss, as `difference`."""
    with torch.no_grad():
        slopes = _differences(flat.value, flat.point, flat.step)
    return difference(_gradient(flat.value)(flat.point), slopes)


def hessian(flat: Flat) -> Tensor:
    """Matrix of second derivatives of the loss."""
    return _differences(_gradient(flat.value), flat.point, flat.step)


def gauss_newton(flat: Flat) -> Tensor:
    """J' H J: J the derivatives of the outputs, H the second derivatives of the loss in the outputs."""
    with torch.no_grad():
        jacobian = _differences(flat.outputs, flat.point, flat.step)
        centre = flat.outputs(flat.point)
    return jacobian @ _differences(_gradient(flat.loss_of_outputs), centre, flat.step) @ jacobian.mT


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference between entries, relative to the largest entry (or to SMALL, where all are nearly zero)."""
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=SMALL))


def _arguments(inputs: Nest) -> tuple[tuple[Nest, ...], dict[str, Nest]]:
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs), {}) if isinstance(inputs, tuple | list) else ((inputs,), {})


def _among(name: str, layers: Sequence[str]) -> bool:
    return f"{name}.".startswith(tuple(f"{layer}." for layer in layers))


def _gradient(function: Function) -> Function:
    def gradient(point: Tensor) -> Tensor:
        leaf = point.detach().requires_grad_()
        (slope,) = torch.autograd.grad(function(leaf), leaf, materialize_grads=True)
        return slope

    return gradient


def _differences(function: Function, point: Tensor, step: float) -> Tensor:
    """Derivatives in each direction, shape (len(point), ...)."""
    ways = step * torch.eye(len(point), dtype=point.dtype)
    return torch.stack([(function(point + way) - function(point - way)) / (2 * step) for way in ways])
