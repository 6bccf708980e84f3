"""Coupling along a network's own path: that of the direction which its own end-to-end map amplifies most.

Any network has one, be it at a minimum or not, trained or not: so that trained networks can be compared with others.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from flatminima.minima.coupling import follow
from flatminima.minima.sampled_paths import sampled_own
from flatminima.minima.statistics import Statistics, inner
from flatminima.networks.stack import Stack


def own_path(stack: Stack, inputs: Tensor, memory: int) -> Statistics:
    """Path cosine and relative gain along the top singular pair of the end-to-end map, at every interface.

    A linear network's map is the product of its layers; a ReLU network has a Jacobian at each input, and the medians
    over inputs are taken. Both statistics are 1 at a flattest minimum for white inputs (theory.md I4).

    Args:
        stack: the networks, float64.
        inputs: where Jacobians are taken, shape (samples, d_x).
        memory: bytes that their graphs may take.

    Returns:
        own_cosine and own_gain, shape (replicas, m - 1) for the outputs of layers 1 to m - 1; none for a single layer.
    """
    if stack.depth == 1:
        return {}
    if stack.rectified:
        return sampled_own(stack, inputs, memory)
    path = follow(stack.weights, *top_singular_pair(stack.weights))
    return inner("own_cosine", path.cosine) | inner("own_gain", path.gain[:, :-1])


def top_singular_pair(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Right and left singular vectors of the largest singular value of W_m...W_1, and the value.

    With W_m = Q R and W_1 = (P S)', only the core R W_{m-1}...W_2 S' is decomposed, as small as the hidden layers.

    Args:
        weights: at least two layers, W_k of shape (replicas, d_k, d_{k-1}).

    Returns:
        Shapes (replicas, d_0), (replicas, d_m) and (replicas,).
    """
    (output, last), (entry, first) = torch.linalg.qr(weights[-1]), torch.linalg.qr(weights[0].mT)
    core = last @ reduce(lambda product, weight: weight @ product, weights[1:-1], first.mT)
    left, values, right = torch.linalg.svd(core, full_matrices=False)
    return (entry @ right[:, 0].unsqueeze(-1)).squeeze(-1), (output @ left[:, :, :1]).squeeze(-1), values[:, 0]
