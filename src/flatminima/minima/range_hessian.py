"""The Hessian of a deep linear network with few outputs on a small space that contains its range."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flatminima.minima.factors import Factors, flatten, unflatten


@dataclass(frozen=True)
class _Layer:
    """Coordinates of the directions of a layer in which B_k = L Q and G_k = M P, with orthonormal rows in Q and P.

    They are X = Q V and Y = P V' (I - Q'Q), of shapes (replicas, d_y, d_{k-1}) and (replicas, d_y, d_k), for
    V = Q' X + (I - Q'Q) Y' P. Of a Y that is not of this kind the part along Q is left out.
    """

    lower: Tensor
    rows: Tensor
    slope_lower: Tensor
    columns: Tensor

    @classmethod
    def of(cls, after: Tensor, slope: Tensor) -> "_Layer":
        (rows, lower), (columns, slope_lower) = (torch.linalg.qr(factor.mT) for factor in (after, slope))
        return cls(lower.mT, rows.mT, slope_lower.mT, columns.mT)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Those of X and Y."""
        return [(self.rows.shape[1], self.columns.shape[2]), (self.columns.shape[1], self.rows.shape[2])]

    def images(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """B_k V and G_k V'."""
        return self.lower @ x, self.slope_lower @ (self.columns @ x.mT @ self.rows + self._outside(y))

    def product(self, change: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates of dB_k' G_k + B_k' dG_k."""
        moved = self.slope_lower.mT @ change
        x = torch.baddbmm(self.lower.mT @ slope, self.rows @ moved.mT, self.columns)
        return x, self._outside(moved)

    def pulled(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates of B_k' N for rows N."""
        return self.lower.mT @ slope, slope.new_zeros(len(slope), *self.shapes[1])

    def direction(self, x: Tensor, y: Tensor) -> Tensor:
        """V, shape (replicas, d_k, d_{k-1})."""
        return torch.baddbmm(self.rows.mT @ x, self._outside(y).mT, self.columns)

    def _outside(self, y: Tensor) -> Tensor:
        return y - y @ self.rows.mT @ self.rows


def range_size(factors: Factors) -> int:
    """Number of coordinates of `RangeHessian`."""
    outputs, (*hidden, (rows, columns)) = factors.signal.shape[1], factors.shapes
    return rows * columns + sum(min(outputs, a) * b + min(outputs, b) * a for a, b in hidden)


class RangeHessian:
    """The Hessian of E||W_m...W_1 x - y||^2, m > 1, on its range: all its eigenvalues, but for zeros.

    A product is dB_k' G_k + B_k' dG_k in W_k (see `Factors`): its rows are spanned by those of B_k where its columns
    are not spanned by those of G_k, d_y of each. Directions of this kind contain the range, hence all eigenvectors but
    those of zero. They have about 2 d_y sum_k d_k coordinates, and their lengths are the coordinates' lengths. The last
    layer has d_y rows and is its own coordinates.
    """

    def __init__(self, factors: Factors) -> None:
        """Set up the operator; products are computed in the dtype of the factors."""
        self._factors = factors
        self._layers = [_Layer.of(b, g) for b, g in zip(factors.after, factors.slopes[:-1], strict=True)]
        last = factors.weights[-1]
        self._shapes = [shape for layer in self._layers for shape in layer.shapes] + [(last.shape[1], last.shape[2])]

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, coordinates)."""
        return len(self._factors.signal), sum(a * b for a, b in self._shapes)

    @property
    def device(self) -> torch.device:
        """That of the weights."""
        return self._factors.signal.device

    def matvec(self, vector: Tensor) -> Tensor:
        """Products, shape (replicas, coordinates), in the vector's dtype."""
        pairs, last = self._parts(vector)
        moved = [layer.images(*pair) for layer, pair in zip(self._layers, pairs, strict=True)]
        images, turned = zip(*moved, strict=True)
        outer, (*inner, end) = self._factors.changes([*images, last], turned)
        products = [layer.product(b, g) for layer, b, g in zip(self._layers, outer, inner, strict=True)]
        return self._joined(products, end).to(vector)

    def leading_direction(self) -> Tensor:
        """The top eigenvector of the Gauss-Newton part, roughly, shape (replicas, coordinates)."""
        *parts, last = self._factors.leading_map()
        return self._joined([layer.pulled(part) for layer, part in zip(self._layers, parts, strict=True)], last)

    def directions(self, vector: Tensor) -> Tensor:
        """Directions of the weights at coordinates, shape (replicas, size), in the vector's dtype."""
        pairs, last = self._parts(vector)
        layers = [layer.direction(*pair) for layer, pair in zip(self._layers, pairs, strict=True)]
        return flatten([*layers, last]).to(vector)

    def _parts(self, vector: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """X and Y of every layer but the last, and the last one's direction."""
        *parts, last = unflatten(vector.to(self._factors.signal), self._shapes)
        return list(zip(parts[::2], parts[1::2], strict=True)), last

    @staticmethod
    def _joined(pairs: list[tuple[Tensor, Tensor]], last: Tensor) -> Tensor:
        return flatten([*(part for pair in pairs for part in pair), last])
