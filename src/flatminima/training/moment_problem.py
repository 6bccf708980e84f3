"""The training loss of linear networks as a function of second moments, and its gradient.

The loss E||Px - y||^2 depends on the data only through Sx, Syx and E||y||^2 (theory.md I1), so a step costs a few
small matrix products, whatever the number of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


class _Problem:
    """One problem for all replicas, or one for each, where E||y||^2 has a dimension of replicas."""

    target_energy: Tensor

    def select(self, index: Tensor) -> Self:
        """Problems of some replicas; this one where all replicas share it."""
        if self.target_energy.dim() == 0:
            return self
        return type(self)(*(value[index] for value in vars(self).values()))


@dataclass(frozen=True)
class MomentProblem(_Problem):
    """Second moments, float64: Sx (d_x, d_x), Syx (d_y, d_x), E||y||^2 (); or stacked, one problem for each replica."""

    input_moment: Tensor
    cross_moment: Tensor
    target_energy: Tensor

    def times_input_moment(self, product: Tensor) -> Tensor:
        """P Sx of maps P, shape (replicas, d_y, d_x)."""
        return product @ self.input_moment


@dataclass(frozen=True)
class DiagonalProblem(_Problem):
    """A problem in coordinates of the inputs in which Sx is diagonal.

    Gradient descent and flow are the same in all orthonormal coordinates; in these a step takes fewer products.

    Attributes:
        basis: eigenvectors Q of Sx as columns, shape (..., d_x, d_x).
        spectrum: its eigenvalues, shape (..., 1, d_x).
        cross_moment: Syx Q, shape (..., d_y, d_x).
        target_energy: E||y||^2, shape (...).
    """

    basis: Tensor
    spectrum: Tensor
    cross_moment: Tensor
    target_energy: Tensor

    @classmethod
    def of(cls, problem: MomentProblem) -> "DiagonalProblem":
        """Transform a problem to these coordinates."""
        spectrum, basis = torch.linalg.eigh(problem.input_moment)
        return cls(basis, spectrum.unsqueeze(-2), problem.cross_moment @ basis, problem.target_energy)

    def times_input_moment(self, product: Tensor) -> Tensor:
        """P Sx of maps P, shape (replicas, d_y, d_x)."""
        return product * self.spectrum

    def rotated(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Weights that take inputs in these coordinates."""
        return [weights[0] @ self.basis, *(weight.clone() for weight in weights[1:])]

    def restored(self, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Weights that take inputs as they were."""
        return (weights[0] @ self.basis.mT, *(weight.clone() for weight in weights[1:]))


@dataclass(frozen=True)
class Sweep:
    """Products of layers and slopes that a step computes on its way through networks and back.

    Attributes:
        loss: shape (replicas,).
        before: m - 1 products A_k = W_k...W_1, shape (replicas, d_k, d_0).
        slopes: m matrices E_k = 2 (W_m...W_{k+1})' (P Sx - Syx), shape (replicas, d_k, d_0).
    """

    loss: Tensor
    before: list[Tensor]
    slopes: list[Tensor]

    @classmethod
    def through(cls, weights: Sequence[Tensor], problem: MomentProblem | DiagonalProblem) -> Self:
        """Go through networks.

        Args:
            weights: m tensors, W_k of shape (replicas, d_k, d_{k-1}).
            problem: the moments, in the coordinates of the weights.
        """
        partial = [weights[0]]
        for weight in weights[1:]:
            partial.append(torch.bmm(weight, partial[-1]))
        product = partial.pop()
        residual = problem.times_input_moment(product) - problem.cross_moment
        loss = ((residual - problem.cross_moment) * product).sum((1, 2)) + problem.target_energy
        slopes = [2 * residual]
        for weight in reversed(weights[1:]):
            slopes.append(torch.bmm(weight.mT, slopes[-1]))
        return cls(loss, partial, slopes[::-1])

    def select(self, index: Tensor) -> Self:
        """Sweeps of some networks."""
        before, slopes = ([tensor[index] for tensor in tensors] for tensors in (self.before, self.slopes))
        return type(self)(self.loss[index], before, slopes)

    def gradient(self) -> list[Tensor]:
        """Slopes E_k A_{k-1}' of the loss in the weights, in their shapes."""
        first, *others = self.slopes
        return [first, *(torch.bmm(e, a.mT) for e, a in zip(others, self.before, strict=True))]


def loss_and_gradient(
    weights: Sequence[Tensor], problem: MomentProblem | DiagonalProblem
) -> tuple[Tensor, list[Tensor]]:
    """Loss and its gradient 2 (W_m...W_{k+1})' (P Sx - Syx) (W_{k-1}...W_1)'.

    Args:
        weights: m tensors, W_k of shape (replicas, d_k, d_{k-1}).
        problem: the moments, in the coordinates of the weights.

    Returns:
        Losses, shape (replicas,), and m gradients of the weights' shapes.
    """
    sweep = Sweep.through(weights, problem)
    return sweep.loss, sweep.gradient()


def gradient_norm(gradient: Sequence[Tensor]) -> Tensor:
    """Norm over all layers, shape (replicas,)."""
    return torch.stack([g.square().sum((1, 2)) for g in gradient]).sum(0).sqrt()
