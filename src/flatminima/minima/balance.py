"""Balance of the layers of a stack: norms of partial products, their band, and the balance defect."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def product_norms(matrices: Sequence[Tensor], root: Tensor, amplitude: Tensor, gain: Tensor) -> Tensor:
    """Spectral norms of the partial products on the data's scale: ||W_k...W_1 C|| / (||C p|| s^{k/m}).

    At a flattest minimum entry k lies in [1, `band_upper`]. For white inputs this is theory.md I5.

    Args:
        matrices: m layers, first to last, W_k of shape (..., d_k, d_{k-1}).
        root: C with C C' = Sx, shape (..., d_0, d_0); the identity for white inputs.
        amplitude: ||C p|| of the path, shape (...).
        gain: end-to-end gain s, shape (...).

    Returns:
        Shape (..., m-1), k = 1..m-1.
    """
    depth = len(matrices)
    norms = []
    product = root
    for k, matrix in enumerate(matrices[:-1], 1):
        product = matrix @ product
        norms.append(spectral_norm(product) / (amplitude * gain ** (k / depth)))
    return torch.stack(norms, -1) if norms else gain.new_empty((*gain.shape, 0))


def band_upper(depth: int, smallest_variance: Tensor, amplitude: Tensor) -> Tensor:
    """Largest `product_norms` of a flattest minimum: sqrt(m - lambda_min(Sx) / ||C p||^2).

    Testing the Hessian at a flattest minimum with M = u z' for unit z gives
    sum_{k=0}^{m-1} s^{-2k/m} ||W_k...W_1 C z||^2 <= m ||C p||^2, whose k = 0 term is at least lambda_min(Sx).
    White inputs give sqrt(m-1), theory.md I5.
    """
    return (depth - smallest_variance / amplitude**2).sqrt()


def balance_defects(weights: Sequence[Tensor]) -> Tensor:
    """Frobenius norms ||W_{k+1}' W_{k+1} - W_k W_k'||, which gradient flow conserves (theory.md I6).

    Args:
        weights: m layers, W_k of shape (..., d_k, d_{k-1}).

    Returns:
        Shape (..., m-1), k = 1..m-1.
    """
    defects = [torch.linalg.matrix_norm(after.mT @ after - before @ before.mT) for before, after in pairwise(weights)]
    return torch.stack(defects, -1) if defects else weights[0].new_empty((*weights[0].shape[:-2], 0))


def spectral_norm(matrix: Tensor) -> Tensor:
    """Largest singular values, shape (...), from the smaller Gram matrix."""
    gram = matrix.mT @ matrix if matrix.shape[-2] >= matrix.shape[-1] else matrix @ matrix.mT
    values: Tensor = torch.linalg.eigvalsh(gram)
    return values[..., -1].clamp_min(0).sqrt()
