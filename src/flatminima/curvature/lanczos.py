"""Largest eigenvalues of many symmetric operators at once, each with a residual that certifies it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

Product = Callable[[Tensor], Tensor]

ROUNDING = 1e-12


@dataclass(frozen=True)
class Eigenpair:
    """Top eigenpairs of stacked operators.

    Attributes:
        value: Ritz values, shape (replicas,).
        vector: unit vectors, shape (replicas, size).
        residual: ||H v - value v||, shape (replicas,): some eigenvalue lies within this distance of the value.
        products: number of operator products spent.
    """

    value: Tensor
    vector: Tensor
    residual: Tensor
    products: int


def top_eigenpair(
    matvec: Product, start: Tensor, tolerance: float, max_products: int, certify: Product | None = None
) -> Eigenpair:
    """Largest (not largest in magnitude) eigenvalue by Lanczos with full reorthogonalisation.

    All replicas advance together until each residual is at most `tolerance` times its value, or the products are
    spent; either way value and residual are then computed anew by one more product. A replica whose Krylov space is
    invariant to rounding has nothing left to find and keeps its Ritz vector while the others go on.

    Args:
        matvec: maps (replicas, size) to (replicas, size), symmetric in each replica.
        start: start vectors, shape (replicas, size), float64.
        tolerance: relative residual to reach.
        max_products: largest dimension of the Krylov space.
        certify: the operator in higher precision, for that last product; `matvec` where absent.
    """
    basis = [start / start.norm(dim=1, keepdim=True)]
    diagonal: list[Tensor] = []
    off_diagonal: list[Tensor] = []
    ritz = start.new_zeros(len(start), 0)
    exhausted = torch.zeros(len(start), dtype=torch.bool)
    while True:
        image = matvec(basis[-1])
        diagonal.append((image * basis[-1]).sum(1))
        remainder = _orthogonalise(image, basis)
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, off_diagonal))
        ritz = torch.where(exhausted.unsqueeze(1), pad(ritz, (0, 1)), vectors[:, :, -1])
        length = remainder.norm(dim=1)
        scale = values.abs().amax(1)
        exhausted = exhausted | (length <= ROUNDING * scale)
        converged = exhausted | (length * ritz[:, -1].abs() <= tolerance * scale)
        if converged.all() or len(basis) == min(max_products, start.shape[1]):
            break
        off_diagonal.append(length)
        basis.append(remainder / length.clamp_min(torch.finfo(length.dtype).tiny).unsqueeze(1))
    vector = torch.stack(basis, 2).bmm(ritz.unsqueeze(2)).squeeze(2)
    vector = vector / vector.norm(dim=1, keepdim=True)
    image = (certify or matvec)(vector)
    value = (image * vector).sum(1)
    return Eigenpair(value, vector, (image - value.unsqueeze(1) * vector).norm(dim=1), len(basis) + 1)


def _orthogonalise(vector: Tensor, basis: list[Tensor]) -> Tensor:
    """Remove the basis from a vector, twice: once is not enough in floating point."""
    for _ in range(2):
        for direction in basis:
            vector = vector - (vector * direction).sum(1, keepdim=True) * direction
    return vector


def _tridiagonal(diagonal: list[Tensor], off_diagonal: list[Tensor]) -> Tensor:
    matrix = torch.diag_embed(torch.stack(diagonal, 1))
    if off_diagonal:
        side = torch.stack(off_diagonal, 1)
        matrix = matrix + torch.diag_embed(side, 1) + torch.diag_embed(side, -1)
    return matrix
