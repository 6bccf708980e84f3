"""Deep linear networks against the flattest minimum of their problem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flatminima.minima.balance import balance_defects, band_upper, product_norms
from flatminima.minima.bound import minimal_sharpness
from flatminima.minima.coupling import coupling_residuals, follow
from flatminima.minima.statistics import Statistic, Statistics, inner

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearProblems:
    """Linear problems of one shape and depth, and what is known of their flattest minima; float64.

    Attributes:
        depth: number of layers m.
        end_to_end: T, shape (problems, d_y, d_x).
        input_moment: Sx, shape (problems, d_x, d_x).
        root: C with C C' = Sx, shape (problems, d_x, d_x).
        smallest_variance: smallest eigenvalue of Sx, shape (problems,).
        least: minimal sharpness (theory.md I3), shape (problems,).
        gap: how much more it could be at most, shape (problems,).
        maximiser: the unit vector p of I3, shape (problems, d_x).
        direction: C p / ||C p||, the start of the path, shape (problems, d_x).
        gain: ||T direction||, shape (problems,).
        amplitude: ||C p||, shape (problems,).
        largest_gain: largest singular value of T, shape (problems,).
    """

    depth: int
    end_to_end: Tensor
    input_moment: Tensor
    root: Tensor
    smallest_variance: Tensor
    least: Tensor
    gap: Tensor
    maximiser: Tensor
    direction: Tensor
    gain: Tensor
    amplitude: Tensor
    largest_gain: Tensor

    @classmethod
    def of(cls, end_to_end: Array, input_moment: Array, depth: int) -> "LinearProblems":
        """Problems from their maps T, shape (problems, d_y, d_x), and input moments Sx, shape (problems, d_x, d_x)."""
        bounds = [minimal_sharpness(t, depth, s) for t, s in zip(end_to_end, input_moment, strict=True)]
        values, vectors = np.linalg.eigh(input_moment)
        values = np.clip(values, 0.0, None)
        root = (vectors * np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1)

        def stack(name: str) -> Tensor:
            return torch.from_numpy(np.array([getattr(bound, name) for bound in bounds]))

        return cls(
            depth=depth,
            end_to_end=torch.from_numpy(end_to_end),
            input_moment=torch.from_numpy(input_moment),
            root=torch.from_numpy(root),
            smallest_variance=torch.from_numpy(values[:, 0].copy()),
            least=stack("value"),
            gap=(stack("upper") - stack("value")).abs(),
            maximiser=stack("maximiser"),
            direction=stack("direction"),
            gain=stack("gain"),
            amplitude=stack("amplitude"),
            largest_gain=torch.from_numpy(np.linalg.norm(end_to_end, 2, axis=(1, 2))),
        )

    def to(self, device: torch.device) -> "LinearProblems":
        """Copy of the problems on a device."""
        return self._map(lambda value: value.to(device))

    def select(self, index: Tensor) -> "LinearProblems":
        """The problems of an index, in its order and as often as they stand in it."""
        return self._map(lambda value: value[index])

    def expand(self, count: int) -> "LinearProblems":
        """One problem for `count` networks, without a copy."""
        return self._map(lambda value: value.expand(count, *value.shape[1:]))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "LinearProblems":
        tensors = {name: change(value) for name, value in vars(self).items() if name != "depth"}
        return LinearProblems(self.depth, **tensors)

    @property
    def image(self) -> Tensor:
        """Unit vectors along T direction, shape (problems, d_y)."""
        images: Tensor = torch.linalg.vecdot(self.end_to_end, self.direction.unsqueeze(-2))
        return images / self.gain.unsqueeze(-1)


def sharpness_statistics(value: Tensor, residual: Tensor, problems: LinearProblems) -> Statistics:
    """Sharpness beside the least of its problem; value and residual of shape (problems,)."""
    return {
        "sharpness": Statistic(value, residual),
        "minimal_sharpness": Statistic(problems.least, problems.gap),
        "sharpness_ratio": Statistic(value / problems.least, residual / problems.least),
    }


def path_statistics(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    """Balance and coupling along the path of theory.md I3's maximiser.

    Args:
        weights: m layers, W_k of shape (problems, d_k, d_{k-1}).
        problems: one problem for each network.
    """
    path = follow(weights, problems.direction, problems.image, problems.gain)
    norms = product_norms(weights, problems.root, problems.amplitude, problems.gain)
    upper = band_upper(problems.depth, problems.smallest_variance, problems.amplitude)
    return {
        "path_gain": Statistic(path.gain),
        "end_to_end_gain": Statistic(problems.gain),
        "path_gain_fraction": Statistic(problems.gain / problems.largest_gain),
        **inner("path_cosine", path.cosine),
        **inner("path_residual", path.residual[:, 1:]),
        **_coupling(weights, problems),
        **inner("product_norm", norms),
        **inner("band_upper", upper.unsqueeze(-1).expand_as(norms)),
        **inner("balance_defect", balance_defects(weights)),
    }


def _coupling(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    if len(weights) < 2:
        return {}
    left, right = coupling_residuals(weights, problems.direction, problems.gain)
    return {"left_residual": Statistic(left), "right_residual": Statistic(right)}
