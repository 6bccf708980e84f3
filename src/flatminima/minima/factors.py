"""Factors of the gradients of deep linear networks, all with d_y rows, and their derivatives along directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

POWER_STEPS = 12


@dataclass(frozen=True)
class Factors:
    """The gradient of E||W_m...W_1 x - y||^2 in W_k is B_k' G_k, with the chains B_{k-1} = B_k W_k, G_{k+1} = G_k W_k'.

    They start from B_m = I and G_1 = 2 (P Sx - Syx), P = W_m...W_1. No product of two hidden layers is ever formed:
    where d_y is small, a chain costs no more than passing over the weights.

    Attributes:
        weights: m layers, W_k of shape (replicas, d_k, d_{k-1}).
        moment: Sx, shape (d_x, d_x) or (replicas, d_x, d_x).
        after: B_1, ..., B_{m-1}, shapes (replicas, d_y, d_k).
        slopes: G_1, ..., G_m, shapes (replicas, d_y, d_{k-1}).
        signal: P Sx, shape (replicas, d_y, d_x).
    """

    weights: tuple[Tensor, ...]
    moment: Tensor
    after: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...]
    signal: Tensor

    @classmethod
    def at(cls, weights: Sequence[Tensor], input_moment: Tensor, cross_moment: Tensor) -> "Factors":
        """Compute the factors of networks.

        Args:
            weights: m layers, W_k of shape (replicas, d_k, d_{k-1}).
            input_moment: Sx, shape (d_x, d_x) or (replicas, d_x, d_x).
            cross_moment: Syx, shape (d_y, d_x) or (replicas, d_y, d_x).
        """
        products = [weights[-1]]
        for weight in reversed(weights[:-1]):
            products.insert(0, products[0] @ weight)
        signal = products.pop(0) @ input_moment
        slopes = _carried(2 * (signal - cross_moment), weights)
        return cls(tuple(weights), input_moment, tuple(products), tuple(slopes), signal)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(d_k, d_{k-1}) of every layer."""
        return [(weight.shape[1], weight.shape[2]) for weight in self.weights]

    def select(self, replicas: slice) -> "Factors":
        """Those of some replicas."""
        moment = self.moment if self.moment.dim() == 2 else self.moment[replicas]
        return self._map(lambda tensor: tensor[replicas], moment)

    def float(self) -> "Factors":
        """Those in float32."""
        return self._map(Tensor.float, self.moment.float())

    def _map(self, change: Callable[[Tensor], Tensor], moment: Tensor) -> "Factors":
        weights, after, slopes = (tuple(map(change, part)) for part in (self.weights, self.after, self.slopes))
        return Factors(weights, moment, after, slopes, change(self.signal))

    def changes(self, images: Sequence[Tensor], turned: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Derivatives dB_1, ..., dB_{m-1} and dG_1, ..., dG_m along directions V_k of the layers.

        Args:
            images: B_1 V_1, ..., B_{m-1} V_{m-1}, V_m.
            turned: G_1 V_1', ..., G_{m-1} V_{m-1}'.
        """
        outer = [images[-1]]
        for weight, image in zip(reversed(self.weights[:-1]), reversed(images[:-1]), strict=True):
            outer.insert(0, torch.baddbmm(image, outer[0], weight))
        inner = [2 * outer.pop(0) @ self.moment]
        for weight, turn in zip(self.weights[:-1], turned, strict=True):
            inner.append(torch.baddbmm(turn, inner[-1], weight.mT))
        return outer, inner

    def pulled(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """B_k' N_k for rows N_k of every layer, shape (replicas, d_y, d_{k-1})."""
        return [*(b.mT @ row for b, row in zip(self.after, rows, strict=False)), rows[-1]]

    def leading_map(self) -> list[Tensor]:
        """N, N A_2', ..., N A_m' for the map N whose pullbacks B_k' N A_k' are roughly the leading direction.

        That is the top eigenvector of the Gauss-Newton part 2 J'J of the Hessian. It is found by power iteration on
        N <- sum_k B_k B_k' N A_k' A_k Sx, A_k = W_{k-1}...W_1, from the network's own map (theory.md I1).
        """
        grams = [b @ b.mT for b in self.after]
        parts = _carried(self.signal, self.weights)
        for _ in range(POWER_STEPS):
            total = parts[-1]
            for gram, weight, part in zip(reversed(grams), reversed(self.weights[:-1]), parts[-2::-1], strict=True):
                total = torch.baddbmm(gram @ part, total, weight)
            signal = total @ self.moment
            parts = _carried(signal / torch.linalg.matrix_norm(signal, keepdim=True), self.weights)
        return parts


def _carried(rows: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """N, N A_2', ..., N A_m' for rows N."""
    parts = [rows]
    for weight in weights[:-1]:
        parts.append(parts[-1] @ weight.mT)
    return parts


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Matrices of each replica in one row, shape (replicas, size)."""
    return torch.cat([tensor.flatten(1) for tensor in tensors], 1)


def unflatten(vector: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Matrices of these shapes from rows of shape (replicas, size)."""
    parts = torch.split(vector, [rows * columns for rows, columns in shapes], 1)
    return [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
