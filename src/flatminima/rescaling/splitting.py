"""Networks of equal function that no rescaling leads to: units written as two, and layers mixed."""

from copy import deepcopy
from itertools import pairwise

import torch
from torch import Generator, nn

from flatminima.errors import UserError

MIXED = 0.5
"""Size of the random matrix whose exponential mixes a layer."""


def split_unit(model: nn.Module, shares: tuple[float, float]) -> nn.Module:
    """Write a unit of the first hidden layer as two, without changing the function: the layer gets one wider.

    It is the unit, or channel, of largest outgoing weights. Both copies have its incoming weights and its bias, and its
    outgoing weights times their shares.

    Args:
        model: Sequential of Linear layers, or Conv2d layers whose channels are not grouped, with elementwise
            activations, pooling and nn.Flatten in between.
        shares: two numbers whose sum is one, such as (2, -1) or (1/2, 1/2).

    Raises:
        UserError: if there is no hidden layer or there are blocks, or the shares do not add up to one.
    """
    if sum(shares) != 1:
        raise UserError(f"shares: {shares} add up to {sum(shares):g}; expected 1")
    split = deepcopy(model)
    first, second = _weighted(split)[:2]
    outgoing = second.weight.detach()
    by_unit = outgoing.reshape(len(outgoing), len(first.weight), -1)
    unit = int(by_unit.square().sum((0, 2)).argmax())
    copied = by_unit[:, unit : unit + 1]
    doubled = torch.cat([by_unit, shares[1] * copied], 1)
    doubled[:, unit] *= shares[0]
    for name, parameter in first.named_parameters():
        setattr(first, name, nn.Parameter(torch.cat([parameter.detach(), parameter.detach()[unit : unit + 1]])))
    columns = len(doubled[0]) * outgoing.shape[1] // by_unit.shape[1]
    second.weight = nn.Parameter(doubled.reshape(len(outgoing), columns, *outgoing.shape[2:]))
    return split


def mixed_layers(model: nn.Module, generator: Generator) -> nn.Module:
    """Mix every hidden layer of a linear network, h -> exp(A) h, without changing the function.

    A is a random matrix of spectral norm about MIXED, which is not diagonal: no rescaling undoes it.

    Args:
        model: Sequential of Linear layers without biases, and nothing in between.
        generator: of the matrices.
    """
    mixed = deepcopy(model)
    for before, after in pairwise(_weighted(mixed)):
        width = len(before.weight)
        matrix = torch.randn(width, width, generator=generator, dtype=before.weight.dtype)
        matrix *= MIXED / torch.linalg.matrix_norm(matrix, 2)
        with torch.no_grad():
            before.weight.copy_(torch.linalg.matrix_exp(matrix) @ before.weight)
            after.weight.copy_(after.weight @ torch.linalg.matrix_exp(-matrix))
    return mixed


def _weighted(model: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The layers with weights of a network without blocks.

    Raises:
        UserError: if it has blocks, or fewer than two such layers.
    """
    if not isinstance(model, nn.Sequential) or any(list(layer.children()) for layer in model):
        raise UserError(f"model: is {type(model).__name__} or has blocks; expected Sequential of single layers")
    layers = [layer for layer in model if isinstance(layer, nn.Linear | nn.Conv2d)]
    if len(layers) < 2:
        raise UserError(f"model: has {len(layers)} layers with weights; expected two or more, with units in between")
    return layers
