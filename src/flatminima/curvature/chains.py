"""Curvature of plain sequences of layers, from stored activations (Pearlmutter 1994).

A product with the Hessian is the change of the gradient along a vector. Forward through the layers goes the change of
the activations, backward that of the cotangents (gradients in activations). For a layer y = W x that is
y' = W x' + W' x, c_x' = W^T c_y' + W'^T c_y and c_W' = c_y' x^T + c_y x'^T, and of a product with the Gauss-Newton
matrix the terms without c_y. Autograd computes the same sums, but by derivatives of derivatives that take more passes
over the activations, and slower kernels for convolutions.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import Module
from torch.nn.modules import module as torch_modules

from flatminima.curvature.affine import Affine, Convolution, Dense
from flatminima.curvature.differentiation import curvature_of, grad
from flatminima.curvature.links import Fixed, Kinked, Link, Maximum, Pointwise
from flatminima.curvature.network import Network, Parameters

LINKS: Mapping[type[Module], type[Link]] = {
    nn.Linear: Dense,
    **dict.fromkeys([nn.Conv1d, nn.Conv2d, nn.Conv3d], Convolution),
    **dict.fromkeys([nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardtanh], Kinked),
    **dict.fromkeys([nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus], Pointwise),
    **dict.fromkeys([nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softsign, nn.Tanhshrink], Pointwise),
    **dict.fromkeys([nn.Identity, nn.Flatten, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d], Fixed),
    **dict.fromkeys([nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d], Fixed),
    **dict.fromkeys([nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d], Maximum),
}
"""Layers whose derivatives are written out."""

HOOKS = ("forward", "forward_pre", "backward", "backward_pre")


class Chain:
    """A network that is an nn.Sequential of layers whose derivatives are written out."""

    def __init__(self, layers: Sequence[Module], parameters: Parameters) -> None:
        """Take the layers, and the values of all their parameters in order; layers before the first are only called."""
        self._parameters = tuple(parameter.detach() for parameter in parameters)
        first = next(index for index, layer in enumerate(layers) if issubclass(LINKS[type(layer)], Affine))
        self._before, self._layers = layers[:first], layers[first:]

    @classmethod
    def of(cls, network: Network) -> Self | None:
        """Read the chain of a network.

        Returns:
            None where autograd has to do: other layers or subclasses of these, hooks, shared or restricted parameters.
        """
        layers = list(_layers(network.module))
        tensors = [tensor for layer in layers if layer is not None for tensor in layer.parameters()]
        if None in layers or _hooked(torch_modules, "_global") or len(tensors) != len(network.parameters):
            return None
        if len({id(tensor) for tensor in tensors}) < len(tensors) or any(type(t) is not nn.Parameter for t in tensors):
            return None
        return cls([_standing_alone(layer) for layer in layers if layer is not None], network.parameters)

    def linearise(self, inputs: Tensor, loss: Callable[[Tensor], Tensor], *, second: bool) -> "Linearised":
        """Store what products with the curvature need of some samples.

        Args:
            inputs: shape (samples, ...).
            loss: maps the outputs to a number.
            second: whether for the Hessian, else for the Gauss-Newton matrix.
        """
        parameters = iter(self._parameters)
        links: list[Link] = []
        values = inputs
        with torch.no_grad():
            for layer in self._before:
                values = layer(values)
            for layer in self._layers:
                links.append(LINKS[type(layer)](layer, values, [next(parameters) for _ in layer.parameters()]))
                values = links[-1].release()
        return Linearised(links, values.contiguous(), loss, second=second)


class Linearised:
    """Product with the curvature of some samples.

    Attributes:
        tensors: those that are kept between products.
    """

    def __init__(
        self, links: Sequence[Link], outputs: Tensor, loss: Callable[[Tensor], Tensor], *, second: bool
    ) -> None:
        """Differentiate the loss twice in the outputs, and for the Hessian once in what lies before them."""
        self._links = links
        centre = (outputs.detach().requires_grad_(),)
        gradient = grad(loss(centre[0]), centre, create_graph=True)
        self._curvature = curvature_of(gradient, centre)
        self._hold(gradient[0].detach() if second else None)

    @property
    def tensors(self) -> list[Tensor]:
        """Tensors that are kept between products."""
        return [value for link in self._links for value in vars(link).values() if isinstance(value, Tensor)]

    def __call__(self, direction: Parameters) -> list[Tensor]:
        """Product with a vector, in the form of the parameters."""
        with torch.no_grad():
            rest = iter(direction)
            directions = [[next(rest) for _ in range(link.count)] for link in self._links]
            changes: list[Tensor | None] = [None]
            for link, part in zip(self._links, directions, strict=True):
                changes.append(link.push(changes[-1], part))
        (change,) = self._curvature((cast(Tensor, changes.pop()),))
        products: list[Tensor] = []
        with torch.no_grad():
            for link, part in zip(reversed(self._links), reversed(directions), strict=True):
                before = changes.pop()
                products[:0] = link.gradients(change, before)
                if before is not None:
                    change = link.pull(change, before, part)
        return products

    @torch.no_grad()
    def _hold(self, cotangent: Tensor | None) -> None:
        """Keep the gradients in the activations, or none."""
        for link in reversed(self._links):
            link.hold(cotangent)
            if cotangent is not None and link is not self._links[0]:
                cotangent = link.back(cotangent)


def _layers(module: Module) -> Iterator[Module | None]:
    """Layers in order; None for one that is not known."""
    if "forward" in vars(module) or _hooked(module):
        yield None
    elif type(module) is nn.Sequential:
        for inner in module:
            yield from _layers(inner)
    else:
        yield module if type(module) in LINKS and LINKS[type(module)].knows(module) else None


def _hooked(owner: object, prefix: str = "") -> bool:
    """Whether there are hooks of a module, or of all modules."""
    return any(getattr(owner, f"{prefix}_{kind}_hooks") for kind in HOOKS)


def _standing_alone(layer: Module) -> Any:
    """A layer with the settings of now that does not work in place."""
    twin: Any = copy.copy(layer)
    if getattr(twin, "inplace", False):
        twin.inplace = False
    return twin
