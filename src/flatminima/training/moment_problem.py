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
    partial = [weights[0]]
    for weight in weights[1:]:
        partial.append(torch.bmm(weight, partial[-1]))
    product = partial.pop()
    residual = problem.times_input_moment(product) - problem.cross_moment
    loss = ((residual - problem.cross_moment) * product).sum((1, 2)) + problem.target_energy
    back = 2 * residual
    gradients = []
    for weight, before in zip(reversed(weights[1:]), reversed(partial), strict=True):
        gradients.append(torch.bmm(back, before.mT))
        back = torch.bmm(weight.mT, back)
    return loss, [back, *reversed(gradients)]


def gradient_norm(gradient: Sequence[Tensor]) -> Tensor:
    """Norm over all layers, shape (replicas,)."""
    return torch.stack([g.square().sum((1, 2)) for g in gradient]).sum(0).sqrt()
