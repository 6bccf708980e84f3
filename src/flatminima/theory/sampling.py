"""Global minima of deep linear networks at will."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from flatminima.minima.hessian import MinimumHessian
from flatminima.minima.linear import LinearProblems

BISECTIONS = 52


def flattest(problems: LinearProblems, rank: int) -> list[Tensor]:
    """Minima that attain the bound of theory.md I3, for any T and Sx, with hidden layers as wide as T's rank.

    With T = U Sigma V' and rho the gain of the bound's path, W_1 = rho^{1/m - 1} U' T, W_2, ..., W_{m-1} =
    rho^{1/m} I and W_m = rho^{1/m} U: the first layer does the work, the others amplify. The Hessian's operator (I1)
    then is, for each left singular vector, t^{m-1} A + (m-1) B / t at t = rho^{2/m}, the matrix whose top eigenvalue
    certifies the bound. So the bound is tight without condition (docs/theory.md I3).

    Args:
        problems: the problems.
        rank: rank of their maps T.
    """
    left = torch.linalg.svd(problems.end_to_end, full_matrices=False).U[..., :rank]
    factor = (problems.gain ** (1 / problems.depth)).view(-1, 1, 1)
    if problems.depth == 1:
        return [problems.end_to_end]
    middle = factor * torch.eye(rank, dtype=left.dtype)
    first = left.mT @ problems.end_to_end * factor ** (1 - problems.depth)
    return [first, *[middle] * (problems.depth - 2), factor * left]


def balanced(problems: LinearProblems, rank: int) -> list[Tensor]:
    """Minima with W_{k+1}' W_{k+1} = W_k W_k': equal shares of every singular value, hidden layers as wide as T's rank.

    They are flattest for white inputs, and where one direction is best in both roles of theory.md I3.

    Args:
        problems: the problems.
        rank: rank of their maps T.
    """
    left, values, right = torch.linalg.svd(problems.end_to_end, full_matrices=False)
    share = values[..., :rank] ** (1 / problems.depth)
    if problems.depth == 1:
        return [problems.end_to_end]
    first, last = share.unsqueeze(-1) * right[..., :rank, :], left[..., :rank] * share.unsqueeze(-2)
    return [first, *[torch.diag_embed(share)] * (problems.depth - 2), last]


@dataclass(frozen=True)
class Chart:
    """Coordinates on the global minima of stacked problems: every point is a minimum with product T.

    W_k = G_k (W_k^0 + X_k) G_{k-1}^{-1} with G_k = exp(Z_k), Z_k symmetric, around minima W^0 whose hidden layers are
    as wide as T's rank. Wider layers get further units, half of them excited but never read by a later layer, half of
    them read but never excited (Kalman's decomposition); X_k holds whatever weights of theirs leave the product alone.
    Rotations of hidden layers change no statistic and are left out. Where the width is the rank, every minimum is a
    point of the chart up to such rotations, and the top eigenvalue has no local minima but the flattest: each term of
    I1 is geodesically convex in the positive matrices G_k' G_k. For wider layers neither is shown.

    Attributes:
        base: W_k^0 padded with zeros, shapes (replicas, d_k, d_{k-1}).
        masks: where X_k may be nonzero, shapes (d_k, d_{k-1}).
    """

    base: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]

    @classmethod
    def around(cls, minima: Sequence[Tensor], width: int) -> "Chart":
        """The chart around minima of rank-wide hidden layers, for hidden layers of another width.

        Raises:
            ValueError: if the width is below the rank.
        """
        rank = minima[0].shape[1] if len(minima) > 1 else width
        if width < rank:
            raise ValueError(f"hidden width {width} is below the rank {rank} of the map: no such minimum exists")
        unread = rank + (width - rank + 1) // 2
        sizes = [minima[0].shape[2], *[width] * (len(minima) - 1), minima[-1].shape[1]]
        base, masks = [], []
        for k, (weight, (columns, rows)) in enumerate(zip(minima, pairwise(sizes), strict=True)):
            padded = weight.new_zeros(len(weight), rows, columns)
            padded[:, : weight.shape[1], : weight.shape[2]] = weight
            base.append(padded)
            masks.append(_mask(rows, columns, rank, unread, first=k == 0, last=k == len(minima) - 1))
        return cls(tuple(base), tuple(masks))

    @property
    def size(self) -> int:
        """Number of coordinates of one minimum."""
        hidden = self.base[0].shape[1]
        return (len(self.base) - 1) * hidden**2 + sum(int(mask.sum()) for mask in self.masks)

    def select(self, index: Tensor) -> "Chart":
        """The charts of some replicas."""
        return Chart(tuple(weight[index] for weight in self.base), self.masks)

    def weights(self, coordinates: Tensor) -> list[Tensor]:
        """The minima at coordinates of shape (replicas, size)."""
        depth, hidden = len(self.base), self.base[0].shape[1]
        square, free = torch.tensor_split(coordinates, [(depth - 1) * hidden**2], 1)
        exponent = square.reshape(len(square), depth - 1, hidden, hidden)
        exponent = (exponent + exponent.mT) / 2
        gauge = torch.linalg.matrix_exp(exponent)
        inverse = torch.linalg.inv(gauge)
        parts = torch.split(free, [int(mask.sum()) for mask in self.masks], 1)
        result = []
        for k, (weight, mask, part) in enumerate(zip(self.base, self.masks, parts, strict=True)):
            moved = weight
            if part.shape[1]:
                moved = moved + weight.new_zeros(weight.shape).masked_scatter(mask.expand_as(weight), part)
            moved = gauge[:, k] @ moved if k < depth - 1 else moved
            result.append(moved @ inverse[:, k - 1] if k else moved)
        return result

    def draw(self, scale: float, generator: Generator) -> Tensor:
        """Normal coordinates of a standard deviation."""
        shape = len(self.base[0]), self.size
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def _mask(rows: int, columns: int, rank: int, unread: int, *, first: bool, last: bool) -> Tensor:
    """Mask of the free weights of a padded layer: units below `rank` carry the signal, up to `unread` are not read.

    Unread units take input from all; units past `unread`, which nothing excites, feed all.
    """
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    if not last:
        mask[rank:unread] = True
    if not first:
        mask[:, unread:] = True
    return mask


def sharpness(weights: Sequence[Tensor], problems: LinearProblems) -> Tensor:
    """Largest Hessian eigenvalues at global minima of small networks, through I1's dense operator."""
    return MinimumHessian.at(weights, problems.root).spectrum()[:, -1]


def of_ratio(chart: Chart, problems: LinearProblems, rays: Tensor, ratios: Tensor) -> list[Tensor]:
    """Minima of prescribed sharpness relative to the least, on rays of the chart.

    Args:
        chart: around flattest minima.
        problems: their problems.
        rays: directions in the chart, shape (replicas, size).
        ratios: wanted sharpness / minimal sharpness, at least 1, shape (replicas,).

    Raises:
        ValueError: if a ray does not get sharp enough before its weights leave float64's range of exact products.
    """
    low, high = torch.zeros_like(ratios), torch.full_like(ratios, 1e-3)
    while (short := _ratio(chart, problems, rays, high) < ratios).any():
        high = torch.where(short, 2 * high, high)
        if high.max() > 1e3:
            raise ValueError("a ray of minima stays flat: its direction changes no weight that matters")
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = _ratio(chart, problems, rays, middle) < ratios
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return chart.weights(rays * low.unsqueeze(1))


def _ratio(chart: Chart, problems: LinearProblems, rays: Tensor, lengths: Tensor) -> Tensor:
    return sharpness(chart.weights(rays * lengths.unsqueeze(1)), problems) / problems.least
