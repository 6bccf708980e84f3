"""Quadratic losses of stacked networks, from second moments or from samples."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from flatminima.curvature.network import Parameters
from flatminima.curvature.stacked import Loss
from flatminima.networks.stack import Stack, end_to_end


def moment_loss(stack: Stack, input_moment: Tensor, cross_moment: Tensor, target_energy: Tensor) -> Loss:
    """E||Px - y||^2 = tr(P Sx P') - 2 tr(P Syx') + E||y||^2 of linear networks P = W_m ... W_1 (theory.md 1.1).

    Args:
        stack: linear networks without biases.
        input_moment: Sx, shape (d_x, d_x).
        cross_moment: Syx, shape (d_y, d_x).
        target_energy: E||y||^2, a scalar.
    """

    def loss(parameters: Parameters) -> Tensor:
        product = end_to_end(parameters[: stack.depth])
        return ((product @ input_moment - 2 * cross_moment) * product).sum((1, 2)) + target_energy

    return loss


def sample_losses(stack: Stack, inputs: Tensor, targets: Tensor, scale: float, memory: int) -> list[Loss]:
    """Scale * mean ||f(x) - y||^2 as a sum over chunks of samples.

    Args:
        stack: any networks.
        inputs: shape (samples, d_x).
        targets: shape (samples, d_y).
        scale: 1 for errors summed over outputs, 1/d_y for their mean.
        memory: bytes that the graph of one chunk's gradient may take.
    """
    chunks = math.ceil(stack.replicas * graph_bytes(stack, len(inputs)) / memory)
    return [
        _sample_loss(stack, x, y, scale / len(inputs))
        for x, y in zip(inputs.chunk(chunks), targets.chunk(chunks), strict=True)
    ]


def graph_bytes(stack: Stack, samples: int) -> int:
    """Bytes in the graph of one replica's gradient: about six float64 numbers per unit and sample."""
    return 6 * 8 * samples * stack.units


def _sample_loss(stack: Stack, inputs: Tensor, targets: Tensor, scale: float) -> Callable[[Parameters], Tensor]:
    def loss(parameters: Parameters) -> Tensor:
        x, y = inputs.to(parameters[0]), targets.to(parameters[0])
        return scale * (stack.with_parameters(parameters)(x) - y).square().sum((1, 2))

    return loss


def losses(chunks: list[Loss], stack: Stack) -> Tensor:
    """Loss of every replica, shape (replicas,)."""
    with torch.no_grad():
        return torch.stack([chunk(stack.parameters) for chunk in chunks]).sum(0)
