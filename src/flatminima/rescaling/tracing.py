"""The scales of a network's units, followed through its layers."""

from itertools import accumulate
from typing import Literal

import pandas as pd
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from flatminima.errors import UserError
from flatminima.networks.modules import Residual

Kind = Literal["layers", "units"]
Layout = Literal["vector", "image", "pixels"]

HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.Identity, nn.AvgPool2d, nn.MaxPool2d)
NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
INPUT = 0
"""The scale of the network's inputs, which is one."""


class Trace:
    """Scales of units, followed through a network; those that must be equal are joined in the end.

    Scales have numbers, of which `INPUT` is that of the inputs; unlike `scales()`, they are not joined yet.

    Attributes:
        names: of the layers with weights, in order.
        units: the scales of each layer's outputs, shapes (d_k,).
        sources: the scale that divides each weight or bias, for weights and then biases of each layer.
        targets: the scale that multiplies it.
    """

    def __init__(self, model: nn.Module, kind: Kind) -> None:
        _check_parameters(model)
        self._kind, self._count = kind, INPUT + 1
        self._layout: Layout = "vector"
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._slices = _slices(model)
        self.names: list[str] = []
        self.units: list[Tensor] = []
        self.sources: list[Tensor] = []
        self.targets: list[Tensor] = []

    def entries(self, name: str) -> tuple[slice, slice]:
        """Weights and biases of a layer among the flattened parameters."""
        weights = self._slices[_child(name, "weight")]
        return weights, self._slices.get(_child(name, "bias"), slice(weights.stop, weights.stop))

    def follow(self, name: str, module: nn.Module, units: Tensor) -> Tensor:
        """Scales of a module's outputs, from those of its inputs: one per channel, or one for all of them."""
        if type(module) in HOMOGENEOUS:
            return units
        if type(module) is nn.Sequential:
            for child, layer in module.named_children():
                units = self.follow(_child(name, child), layer, units)
            return units
        if type(module) is Residual:
            return self.join(units, self.follow(_child(name, "body"), module.body, units))
        if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
            self._layout = "vector" if self._layout == "vector" else "pixels"
            return units
        if type(module) is nn.Linear:
            if self._layout == "image":
                raise UserError(f"model: Linear {name} reads images; put nn.Flatten() before it")
            return self._weighted(name, module, units, "vector")
        if type(module) is nn.Conv2d:
            return self._weighted(name, module, units, "image")
        raise _refusal(name, module)

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Join units that must have equal scales, because their values are added or compared."""
        count = max(len(first), len(second))
        first, second = (units.repeat_interleave(count // len(units)) for units in (first, second))
        self._joined.append((first, second))
        return second

    def scales(self) -> Tensor:
        """The free scale of every unit; the last index stands for units of scale one."""
        rows, columns = (torch.cat(side).numpy() for side in zip(*self._joined, strict=True))
        graph = coo_array(([True] * len(rows), (rows, columns)), shape=(self._count, self._count))
        classes = pd.factorize(connected_components(graph, directed=False)[1])[0]
        return torch.from_numpy((classes - 1) % (classes.max() + 1))

    def _weighted(self, name: str, layer: nn.Linear | nn.Conv2d, units: Tensor, layout: Layout) -> Tensor:
        """New scales for the outputs of a layer; its inputs may be the pixels of channels, flattened."""
        outputs, groups = layer.weight.shape[0], getattr(layer, "groups", 1)
        count = layer.weight.shape[1] * groups
        if count % len(units) or (self._layout != "pixels" and len(units) not in (1, count)):
            raise UserError(
                f"model: layer {name} takes {count} inputs; expected the {len(units)} outputs of the one before"
            )
        self._layout = layout
        inputs = units.repeat_interleave(count // len(units))
        fresh = self._fresh(outputs)
        kernel = layer.weight[0, 0].numel()
        source = inputs.view(groups, -1).repeat_interleave(outputs // groups, 0)
        self.sources.append(source.flatten().repeat_interleave(kernel))
        self.targets.append(fresh.repeat_interleave(layer.weight[0].numel()))
        if layer.bias is not None:
            self.sources.append(torch.full((outputs,), INPUT))
            self.targets.append(fresh)
        self.names.append(name)
        self.units.append(fresh)
        return fresh

    def _fresh(self, outputs: int) -> Tensor:
        count = outputs if self._kind == "units" else 1
        self._count += count
        return torch.arange(self._count - count, self._count).expand(outputs)


def _child(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child


def _slices(model: nn.Module) -> dict[str, slice]:
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return {name: slice(stop - sizes[name], stop) for name, stop in zip(sizes, accumulate(sizes.values()), strict=True)}


def _check_parameters(model: nn.Module) -> None:
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            raise UserError(f"model: {name} is {first[id(parameter)]} again; expected layers that share no parameters")
        if not parameter.requires_grad:
            raise UserError(f"model: {name} is frozen; call model.requires_grad_() first")
        first[id(parameter)] = name
    if not first:
        raise UserError("model: has no parameters; expected layers with weights")


def _refusal(name: str, layer: nn.Module) -> UserError:
    reason = "is not known to be positively homogeneous, s(c x) = c s(x) for all c > 0"
    if isinstance(layer, NORMALISATIONS):
        reason = "is not positively homogeneous: it takes the scale out of its inputs"
    if isinstance(layer, nn.Flatten):
        reason = "mixes samples or keeps axes apart; expected nn.Flatten()"
    known = ", ".join(sorted(kind.__name__ for kind in (*HOMOGENEOUS, nn.Flatten, nn.Linear, nn.Conv2d, Residual)))
    return UserError(f"model: {type(layer).__name__} {name} {reason}; layers that can be rescaled: {known}")
