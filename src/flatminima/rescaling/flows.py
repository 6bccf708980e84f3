"""The graph of log-scales, whose edges are exponents, and what flows on it say of sums of exponentials."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

Array = NDArray[np.float64]

RIDGE, TINY = 1e-12, 1e-300
CORRECTIONS = 10
CONSERVED = 1e-12
"""Imbalance at a node, relative to the whole flow, that is left to rounding."""


@dataclass(frozen=True)
class Edges:
    """Edges of the graph of log-scales: the exponent of term q is the difference of two nodes.

    Attributes:
        source: shape (terms,); a term's exponent is h[target] - h[source], with h = 0 at the fixed node n.
        target: see source.
        size: number n of free nodes.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    size: int

    @cached_property
    def incidence(self) -> csr_array:
        """E, shape (terms, n)."""
        terms = np.arange(len(self.source))
        both = csr_array(
            (np.repeat([1.0, -1.0], len(terms)), (np.tile(terms, 2), np.concatenate([self.target, self.source]))),
            shape=(len(terms), self.size + 1),
        )
        return both[:, : self.size]

    @cached_property
    def slopes(self) -> csr_array:
        """Derivatives in (h, t) of the logarithms of the terms exp(-2 (E h)_q - t), shape (n + 1, terms)."""
        return csr_array(vstack([-2 * self.incidence.T, -np.ones((1, len(self.source)))]))

    def laplacian(self, weights: Array) -> Array:
        """E' diag(weights) E, the weighted Laplacian of the graph without its fixed node, shape (n, n)."""
        nodes = self.size + 1
        flows = (
            np.bincount(self.source * nodes + self.target, weights, nodes**2).astype(np.float64).reshape(nodes, nodes)
        )
        np.fill_diagonal(flows, 0)
        laplacian: Array = np.diag(flows.sum(0) + flows.sum(1)) - flows - flows.T
        return laplacian[: self.size, : self.size]


def flow_bound(masses: Array, flow: Array, edges: Edges) -> float:
    """A lower bound of sum_q c_q exp(-2 (E h)_q) over all h, by weighted arithmetic and geometric means.

    For a flow f >= 0 with sum f = 1 that is conserved at every node, E' f = 0, the sum is at least
    prod_q (c_q / f_q)^f_q whatever h; at the minimum f_q proportional to the terms attains it.

    Args:
        masses: c_q >= 0, shape (terms,).
        flow: nearly conserved; it is corrected to conserve.
        edges: the exponents.

    Returns:
        The bound, 0 if the flow cannot be corrected.
    """
    for _ in range(CORRECTIONS):
        laplacian = edges.laplacian(flow)
        laplacian[np.diag_indices_from(laplacian)] += RIDGE * laplacian.diagonal() + TINY
        flow = flow * (1 - edges.incidence @ np.linalg.solve(laplacian, edges.incidence.T @ flow))
        flow = flow.clip(min=0)
        if np.abs(edges.incidence.T @ flow).max(initial=0) < CONSERVED * flow.sum():
            break
    else:
        return 0.0
    flow = flow / flow.sum()
    used = flow > 0
    return float(np.exp(flow[used] @ np.log(masses[used] / flow[used])))
