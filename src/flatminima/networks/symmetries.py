"""Changes of the weights that leave a network's function unchanged."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from flatminima.networks.stack import Stack


def rescale_layers(stack: Stack, log_scale: float, generators: Sequence[Generator]) -> Stack:
    """Unbalance the layers at random: W_k -> G_k W_k G_{k-1}^{-1}, b_k -> G_k b_k, G_0 = G_m = I.

    For a linear network G_k = Q diag(exp(log_scale z)) Q' with Q a random rotation and z standard normal; for a
    ReLU network Q = I, the positive unit-wise rescaling under which its function stays the same (Dinh et al. 2017,
    theory.md D1); of a convolutional network, a channel is scaled as a unit is.

    Args:
        stack: the networks; their function is kept to rounding.
        log_scale: standard deviation of the logarithm of the scales.
        generators: one per replica.
    """
    weights = [weight.clone() for weight in stack.weights]
    biases = [bias.clone() for bias in stack.biases]
    for replica, generator in enumerate(generators):
        for k in range(stack.depth - 1):
            scale, inverse = _scaling(len(weights[k][replica]), log_scale, generator, rotate=not stack.rectified)
            weights[k][replica] = torch.einsum("ij,j...->i...", scale.to(weights[k]), weights[k][replica])
            after = weights[k + 1][replica]
            weights[k + 1][replica] = torch.einsum("ij...,jk->ik...", after, inverse.to(after))
            if biases:
                biases[k][replica] = scale.to(biases[k]) @ biases[k][replica]
    return stack.with_parameters([*weights, *biases])


def _scaling(size: int, log_scale: float, generator: Generator, *, rotate: bool) -> tuple[Tensor, Tensor]:
    gains = torch.exp(log_scale * torch.randn(size, generator=generator, dtype=torch.float64))
    if not rotate:
        return torch.diag(gains), torch.diag(1 / gains)
    square = torch.randn(size, size, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(square).Q
    return rotation * gains @ rotation.mT, rotation / gains @ rotation.mT
