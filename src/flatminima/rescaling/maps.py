"""The positive rescalings of a network that leave its function unchanged (Dinh et al. 2017, theory.md D1)."""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from flatminima.errors import UserError
from flatminima.rescaling.tracing import INPUT, Kind, Trace

ROUNDING = 1e-9
"""Relative error of factors that rounding may make."""
"""Largest difference between log-multipliers that should be equal."""


@dataclass(frozen=True)
class Layer:
    """A linear or convolutional layer, and where it is among the flattened parameters.

    Attributes:
        name: in the module.
        weights: its weights.
        biases: its biases, an empty slice where it has none.
        units: the free scale of each output unit or channel, or `size` of the group where it is one, shape (d_k,).
    """

    name: str
    weights: slice
    biases: slice
    units: Tensor


class Rescaling:
    """The group of positive rescalings of a network's units that leave its function unchanged.

    Unit i gets a scale e^{h_i}: its incoming weights and its bias are multiplied, its outgoing weights divided by it.
    The weight from unit j to unit i becomes e^{h_i - h_j} times itself, a bias e^{h_i} times itself; inputs and outputs
    of the network have scale one. Units whose values are added, those of the stream of residual blocks, share one
    scale. With one scale for all units of a layer, theta_k -> a_k theta_k with a_k = e^{h_k - h_{k-1}}, of product one,
    and b_k -> (prod_{j<=k} a_j) b_k.

    Attributes:
        size: number n of free scales.
        layers: the layers with weights, in the order of the flattened parameters.
        incidence: (source, target), two index tensors of shape (P,): the log-multiplier of a parameter is
            h[target] - h[source], where index n stands for the fixed scale one.
    """

    def __init__(self, model: nn.Module, kind: Kind) -> None:
        """Find the group.

        Args:
            model: Sequential of Linear on inputs of shape (samples, features), Conv2d, ReLU, LeakyReLU, Identity,
                AvgPool2d, MaxPool2d, Flatten, further Sequential, and `Residual` blocks of such.
            kind: `layers` for one scale per layer, `units` for one per unit or channel.

        Raises:
            UserError: if a layer is not positively homogeneous, or parameters are shared or frozen.
        """
        trace = Trace(model, kind)
        trace.join(trace.follow("", model, torch.tensor([INPUT])), torch.tensor([INPUT]))
        scales = trace.scales()
        self.size = int(scales.max())
        source, target = torch.cat(trace.sources), torch.cat(trace.targets)
        self.incidence = scales[source], scales[target]
        self.layers = tuple(
            Layer(name, *trace.entries(name), scales[units])
            for name, units in zip(trace.names, trace.units, strict=True)
        )

    def exponents(self, scales: Tensor) -> Tensor:
        """Log-multipliers of the flattened parameters: theta -> exp(exponents) theta.

        Args:
            scales: logarithms h of the free scales, shape (..., n).

        Returns:
            float64, shape (..., P), in the order of `named_parameters`.
        """
        extended = torch.cat([scales, scales.new_zeros(*scales.shape[:-1], 1)], -1).double()
        source, target = self.incidence
        return extended[..., target] - extended[..., source]

    def pullback(self, values: Tensor) -> Tensor:
        """The transpose of `exponents`: gradients in the log-multipliers become gradients in the log-scales.

        Args:
            values: shape (..., P).

        Returns:
            float64, shape (..., n).
        """
        source, target = self.incidence
        values = values.double()
        total = values.new_zeros(*values.shape[:-1], self.size + 1)
        return total.index_add(-1, target, values).index_add(-1, source, values, alpha=-1)[..., : self.size]

    def apply(self, model: nn.Module, scales: Tensor) -> nn.Module:
        """Rescale a copy of a network of this architecture.

        Args:
            model: the network, left as it is.
            scales: logarithms h of the free scales, shape (n,).

        Raises:
            ValueError: if the network has another number of parameters.
        """
        return multiplied(model, self.exponents(scales).exp())


def multiplied(model: nn.Module, factors: Tensor) -> nn.Module:
    """A copy of a network with each of its parameters multiplied by a factor of its own.

    Args:
        model: the network, left as it is.
        factors: of the flattened parameters, in the order of `named_parameters`, shape (P,).

    Raises:
        ValueError: if the network has another number of parameters.
    """
    copy = deepcopy(model)
    sizes = [parameter.numel() for parameter in copy.parameters()]
    if sum(sizes) != len(factors):
        raise ValueError(f"model has {sum(sizes)} parameters, and there are {len(factors)} factors")
    with torch.no_grad():
        for parameter, factor in zip(copy.parameters(), torch.split(factors, sizes), strict=True):
            parameter.mul_(factor.view_as(parameter))
    return copy


def layer_scales(group: Rescaling, factors: Sequence[float]) -> Tensor:
    """Scales h of theta_k -> a_k theta_k for all layers (theory.md section 2).

    Args:
        group: of either kind.
        factors: a_k > 0, one for each of the K layers; their product is one.

    Returns:
        float64, shape (n,).

    Raises:
        UserError: if the number or the product of the factors is another, or if residual blocks tie the layers so that
            these factors change the function.
    """
    if len(factors) != len(group.layers) or min(factors) <= 0:
        raise UserError(f"factors: {list(factors)}; expected {len(group.layers)} positive ones, one for each layer")
    logs = [math.log(factor) for factor in factors]
    scales = torch.zeros(group.size + 1, dtype=torch.float64)
    for layer, scale in zip(group.layers, accumulate(logs), strict=True):
        scales[layer.units] = scale
    scales = scales[: group.size]
    reached = group.exponents(scales)
    for layer, log in zip(group.layers, logs, strict=True):
        error = float((reached[layer.weights] - log).abs().max())
        if error > ROUNDING * max(1.0, max(map(abs, logs))):
            raise UserError(
                f"factors: {list(factors)} are off by e^{error:g} at layer {layer.name}; expected factors of product "
                "one along every path from input to output, past residual blocks too"
            )
    return scales


def two_layer(group: Rescaling, k: int, l: int, alpha: float) -> Tensor:  # noqa: E741
    """Scales h of T_alpha: layer k is multiplied by alpha and layer l divided by it.

    Args:
        group: of either kind.
        k: a layer, counted from 1.
        l: another layer.
        alpha: positive.

    Returns:
        float64, shape (n,).

    Raises:
        UserError: if there are no two such layers, alpha is not positive, or residual blocks tie the layers.
    """
    depth = len(group.layers)
    if k == l or not (1 <= k <= depth and 1 <= l <= depth):
        raise UserError(f"layers {k} and {l}: expected two different ones from 1 to {depth}")
    if not 0 < alpha < math.inf:
        raise UserError(f"alpha: is {alpha}; expected a positive number")
    factors = [1.0] * depth
    factors[k - 1], factors[l - 1] = alpha, 1 / alpha
    return layer_scales(group, factors)
