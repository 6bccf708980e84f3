"""The path of the signal through a stack: gains along it, and how well neighbouring layers agree on it.

Layers are m stacked linear maps from d_{k-1} to d_k dimensions; the leading dimensions (replicas, or replicas and
samples) are the same for all. For ReLU networks they are the active ones, D_k(x) W_k, of one input x.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class PathStatistics:
    """Statistics of one path.

    Attributes:
        gain: ||W_k...W_1 q|| / s^{k/m}, shape (..., m); all ones at a flattest minimum (theory.md I4).
        cosine: cos(W_k...W_1 q, (W_m...W_{k+1})' u), shape (..., m-1); one at a flattest minimum (I8).
        residual: ||W_k' p_k - s^{1/m} p_{k-1}|| / s^{1/m}, shape (..., m); zero at a flattest minimum (I4) in layers
            2 to m, and in layer 1 if and only if q is a right singular vector of T, as for white inputs.
    """

    gain: Tensor
    cosine: Tensor
    residual: Tensor


class LinearMaps(Protocol):
    """Stacked linear maps known by their products, as `SampleJacobians`."""

    def matvec(self, vector: Tensor) -> Tensor:
        """Products, shape (..., d_{k-1}) to (..., d_k)."""

    def rmatvec(self, vector: Tensor) -> Tensor:
        """Products with the adjoints, shape (..., d_k) to (..., d_{k-1})."""


@dataclass(frozen=True)
class Matrices:
    """Stacked matrices as linear maps, shape (..., d_k, d_{k-1})."""

    matrices: Tensor

    def matvec(self, vector: Tensor) -> Tensor:
        """Products, shape (..., d_{k-1}) to (..., d_k)."""
        image: Tensor = torch.linalg.vecdot(self.matrices, vector.unsqueeze(-2))
        return image

    def rmatvec(self, vector: Tensor) -> Tensor:
        """Products with the transposes, shape (..., d_k) to (..., d_{k-1})."""
        return Matrices(self.matrices.mT).matvec(vector)


def follow(matrices: Sequence[Tensor], direction: Tensor, image: Tensor, gain: Tensor) -> PathStatistics:
    """Follow the input direction forwards through stacked matrices and its image backwards; see `follow_maps`."""
    return follow_maps([Matrices(matrix) for matrix in matrices], direction, image, gain)


def follow_maps(layers: Sequence[LinearMaps], direction: Tensor, image: Tensor, gain: Tensor) -> PathStatistics:
    """Follow the input direction forwards and its image backwards.

    Args:
        layers: the layers, first to last.
        direction: unit vector q, shape (..., d_0).
        image: unit vector u along the end-to-end image of q, shape (..., d_m).
        gain: end-to-end gain s of the path, shape (...).
    """
    depth = len(layers)
    forward = [direction]
    for layer in layers:
        forward.append(layer.matvec(forward[-1]))
    backward = [image]
    for layer in reversed(layers):
        backward.append(layer.rmatvec(backward[-1]))
    backward.reverse()
    units = [_unit(h) for h in forward]
    layer_gain = (gain ** (1 / depth)).unsqueeze(-1)
    gains = torch.stack([h.norm(dim=-1) for h in forward[1:]], -1)
    cosines = [(p * _unit(g)).sum(-1) for p, g in zip(units[1:-1], backward[1:-1], strict=True)]
    residuals = [
        (layer.rmatvec(after) - layer_gain * before).norm(dim=-1)
        for layer, before, after in zip(layers, units[:-1], units[1:], strict=True)
    ]
    return PathStatistics(
        gain=gains / layer_gain ** torch.arange(1, depth + 1, device=gains.device),
        cosine=torch.stack(cosines, -1) if cosines else gains[..., :0],
        residual=torch.stack(residuals, -1) / layer_gain,
    )


def coupling_residuals(matrices: Sequence[Tensor], direction: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals of the signal between two layers as a singular vector of both (claim M3, as its paper states it).

    With p_k the unit vector along W_k...W_1 q and r = s^{2/m}, these are ||W_k W_k' p_k - r p_k|| / r and
    ||W_{k+1}' W_{k+1} p_k - r p_k|| / r. At a flattest minimum all vanish but the first of the left ones, which
    vanishes if and only if q is a right singular vector of T (docs/theory.md I4).

    Args:
        matrices: m layers of shape (..., d_k, d_{k-1}), first to last.
        direction: unit vector q, shape (..., d_0).
        gain: end-to-end gain s of the path, shape (...).

    Returns:
        Left and right residuals, shape (..., m-1) each, one for each interface of two layers; m is at least 2.
    """
    layers, share = [Matrices(matrix) for matrix in matrices], (gain ** (2 / len(matrices))).unsqueeze(-1)
    signal, left, right = direction, [], []
    for before, after in pairwise(layers):
        signal = _unit(before.matvec(signal))
        left.append((before.matvec(before.rmatvec(signal)) - share * signal).norm(dim=-1))
        right.append((after.rmatvec(after.matvec(signal)) - share * signal).norm(dim=-1))
    return torch.stack(left, -1) / share, torch.stack(right, -1) / share


def shared_vector(matrices: Sequence[Tensor], direction: Tensor) -> Tensor:
    """Shares of the signal between two layers that each of their singular vectors has (claim M3).

    With p_k the unit vector along W_k...W_1 q, these are the squares of its components along the left singular vectors
    of W_k and along the right ones of W_{k+1}, from the largest singular value to the smallest. At a flattest minimum
    p_k is a singular vector on both sides, not necessarily the first (docs/theory.md I4): one component is 1 on the
    right, and also on the left, but for k = 1 only if q is a right singular vector of T. They add up to one where
    singular vectors span the space, to less where a layer has fewer of them.

    Args:
        matrices: m layers of shape (networks, d_k, d_{k-1}), first to last.
        direction: unit vector q, shape (networks, d_0).

    Returns:
        Shape (networks, m-1, vectors, 2): by interface and rank, left then right; NaN where a layer has fewer vectors
        than another.
    """
    factors = [torch.linalg.svd(matrix, full_matrices=False) for matrix in matrices]
    vectors = max(values.shape[1] for _, values, _ in factors)
    result = direction.new_full((len(direction), len(matrices) - 1, vectors, 2), torch.nan)
    signal = direction
    for k, (matrix, (before, after)) in enumerate(zip(matrices, pairwise(factors), strict=False)):
        signal = _unit(Matrices(matrix).matvec(signal))
        for side, basis in enumerate((before[0].mT, after[2])):
            result[:, k, : basis.shape[1], side] = Matrices(basis).matvec(signal).square()
    return result


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


def _unit(vector: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    return vector / norm
