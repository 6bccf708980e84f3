"""Eigenpairs of stacked operators, searched for a few replicas at a time: each waits only for those of its group."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from flatminima.curvature.eigensolvers import Stacked
from flatminima.curvature.subspace import Eigenpairs

GROUP = 4
"""Replicas that are searched together, until the last of them converges."""


def by_groups(replicas: int, search: Callable[[slice], Eigenpairs]) -> Eigenpairs:
    """Pairs of all replicas, from searches for groups of them; `products` is the most that any replica took."""
    found = [search(slice(first, first + GROUP)) for first in range(0, replicas, GROUP)]
    tensors = {name: [vars(pairs)[name] for pairs in found] for name in vars(found[0]) if name != "products"}
    joined = {name: torch.cat(parts) for name, parts in tensors.items()}
    return Eigenpairs(**joined, products=max(pairs.products for pairs in found))


def certified(operator: Stacked, pairs: Eigenpairs, vectors: Tensor) -> Eigenpairs:
    """Values and residuals of vectors, by one more product in higher precision or in the whole space.

    Args:
        operator: by which they are computed.
        pairs: as they were found, one for each replica.
        vectors: theirs, in the operator's space, of any length, shape (replicas, size).
    """
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    images = operator.matvec(vectors)
    values = (images * vectors).sum(1, keepdim=True)
    residuals = torch.linalg.vector_norm(images - values * vectors, dim=1, keepdim=True)
    found = {"eigenvalues": values, "eigenvectors": vectors.unsqueeze(1), "residuals": residuals, "errors": residuals}
    return replace(pairs, **found)
