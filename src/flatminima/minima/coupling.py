"""The path of the signal through a stack: gains along it, and how well neighbouring layers agree on it.

All functions take m stacked matrices W_k of shape (..., d_k, d_{k-1}); the leading dimensions (replicas, or replicas
and samples) are the same for all. For ReLU networks the matrices are the active ones, D_k(x) W_k, of one input x.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class PathStatistics:
    """Statistics of one path.

    Attributes:
        gain: ||W_k...W_1 q|| / s^{k/m}, shape (..., m); all ones at a flattest minimum (theory.md I4).
        cosine: cos(W_k...W_1 q, (W_m...W_{k+1})' u), shape (..., m-1); one at a flattest minimum (I8).
        residual: ||W_k' p_k - s^{1/m} p_{k-1}|| / s^{1/m}, shape (..., m); zero at a flattest minimum (I4), except
            in layer 1 where T and Sx do not commute.
    """

    gain: Tensor
    cosine: Tensor
    residual: Tensor


def follow(matrices: Sequence[Tensor], direction: Tensor, image: Tensor, gain: Tensor) -> PathStatistics:
    """Follow the input direction forwards and its image backwards.

    Args:
        matrices: the layers, first to last.
        direction: unit vector q, shape (..., d_0).
        image: unit vector u along the end-to-end image of q, shape (..., d_m).
        gain: end-to-end gain s of the path, shape (...).
    """
    depth = len(matrices)
    forward = [direction]
    for matrix in matrices:
        forward.append(_apply(matrix, forward[-1]))
    backward = [image]
    for matrix in reversed(matrices):
        backward.append(_apply(matrix.mT, backward[-1]))
    backward.reverse()
    units = [_unit(h) for h in forward]
    layer_gain = (gain ** (1 / depth)).unsqueeze(-1)
    gains = torch.stack([h.norm(dim=-1) for h in forward[1:]], -1)
    cosines = [(p * _unit(g)).sum(-1) for p, g in zip(units[1:-1], backward[1:-1], strict=True)]
    residuals = [
        (_apply(matrix.mT, after) - layer_gain * before).norm(dim=-1)
        for matrix, before, after in zip(matrices, units[:-1], units[1:], strict=True)
    ]
    return PathStatistics(
        gain=gains / layer_gain ** torch.arange(1, depth + 1, device=gains.device),
        cosine=torch.stack(cosines, -1) if cosines else gains[..., :0],
        residual=torch.stack(residuals, -1) / layer_gain,
    )


def overlaps(weights: Sequence[Tensor]) -> Tensor:
    """|<left singular vector i of W_k, right singular vector j of W_{k+1}>|, ordered by singular value.

    Args:
        weights: m layers of shape (replicas, d_k, d_{k-1}).

    Returns:
        Shape (replicas, m-1, vectors, vectors), zero where a layer has fewer vectors than another.
    """
    factors = [torch.linalg.svd(weight, full_matrices=False) for weight in weights]
    vectors = max(values.shape[1] for _, values, _ in factors)
    result = weights[0].new_zeros(len(weights[0]), len(weights) - 1, vectors, vectors)
    for k, ((left, _, _), (_, _, right)) in enumerate(pairwise(factors)):
        overlap = (left.mT @ right.mT).abs()
        result[:, k, : overlap.shape[1], : overlap.shape[2]] = overlap
    return result


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    image: Tensor = torch.linalg.vecdot(matrix, vector.unsqueeze(-2))
    return image


def _unit(vector: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    return vector / norm
