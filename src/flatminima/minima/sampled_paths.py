"""The path of the signal through ReLU networks, which are linear around each input."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from flatminima.curvature.jacobians import SampleJacobians, top_singular_triplets
from flatminima.curvature.losses import graph_bytes
from flatminima.minima.balance import band_upper
from flatminima.minima.coupling import PathStatistics, follow_maps
from flatminima.minima.statistics import Statistic, Statistics, inner
from flatminima.networks.stack import Stack
from flatminima.record import QUANTILES

OfSamples = Callable[[Stack, Tensor], dict[str, Tensor]]


def sampled_paths(stack: Stack, inputs: Tensor, memory: int) -> Statistics:
    """Quantiles over samples of the statistics along the top singular path of each sample's Jacobian.

    A sample whose Jacobian is zero, all units of some layer being off, has no path and is left out.

    Args:
        stack: ReLU networks, fully connected or convolutional; float64.
        inputs: shape (samples, d_x).
        memory: bytes that the graphs of the samples treated together may take.

    Returns:
        path_gain, path_residual, path_cosine, product_norm and end_to_end_gain of `PathStatistics` as medians, and with
        the suffixes of QUANTILES; path_gain_fraction and band_upper to compare them with; and those of `sampled_own`,
        since a ReLU network has no other path than its own.
    """
    result: Statistics = {}
    for name, values in _over_samples(stack, inputs, memory, _whole_path).items():
        if values[0].numel():
            for suffix, quantile in QUANTILES.items():
                result[name + suffix] = Statistic(values.nanquantile(quantile, dim=0))
    norms = result.get("product_norm")
    if norms is not None:
        one = torch.ones_like(norms.value)
        result["band_upper"] = Statistic(band_upper(stack.depth, one, one))
        result["own_cosine"] = result["path_cosine"]
    result["path_gain_fraction"] = Statistic(torch.ones_like(result["end_to_end_gain"].value))
    return result | inner("own_gain", result["path_gain"].value[:, :-1])


def sampled_own(stack: Stack, inputs: Tensor, memory: int) -> Statistics:
    """The medians over samples of path cosine and gain alone, as `sampled_paths` has them, at less cost.

    Returns:
        own_cosine and own_gain at every interface between layers, shape (replicas, m - 1).
    """
    values = _over_samples(stack, inputs, memory, _own_path)
    medians = {name: values[name].nanquantile(0.5, dim=0) for name in values}
    return inner("own_cosine", medians["path_cosine"]) | inner("own_gain", medians["path_gain"][:, :-1])


def _over_samples(stack: Stack, inputs: Tensor, memory: int, of_samples: OfSamples) -> dict[str, Tensor]:
    """Values of all samples, shape (samples, replicas, ...), few of them at a time; NaN for those without a path."""
    together = max(1, memory // (stack.replicas * stack.depth * graph_bytes(stack, 1)))
    groups = [of_samples(stack, x) for x in torch.split(inputs, together)]
    stacked = {name: torch.cat([group[name] for group in groups], 1).transpose(0, 1) for name in groups[0]}
    dead = stacked["end_to_end_gain"] == 0
    for values in stacked.values():
        values[dead] = torch.nan
    return stacked


@dataclass(frozen=True)
class _SamplePaths:
    """Top singular paths of some samples, all dimensions that count replicas and samples being one.

    Around each sample, a network is linear. Its layers there are D_k W_k, and its partial products the Jacobians of
    layer k's output in the input.
    """

    hidden: list[Tensor]
    gain: Tensor
    path: PathStatistics

    @classmethod
    def of(cls, stack: Stack, inputs: Tensor) -> "_SamplePaths":
        start = inputs.repeat(stack.replicas, 1, 1).requires_grad_()
        hidden = [start, *stack.layers(start)]
        layers = [SampleJacobians(before, after, batch=2) for before, after in pairwise(hidden)]
        top = top_singular_triplets(SampleJacobians(start, hidden[-1], batch=2))
        return cls(hidden, top.singular_values, follow_maps(layers, top.right, top.left, top.singular_values))

    def shaped(self, statistics: dict[str, Tensor]) -> dict[str, Tensor]:
        """Reshape statistics to (replicas, samples, ...)."""
        first = self.hidden[0].shape[:2]
        own = {"path_cosine": self.path.cosine, "path_gain": self.path.gain, "end_to_end_gain": self.gain}
        return {name: values.reshape(*first, *values.shape[1:]) for name, values in (own | statistics).items()}


def _own_path(stack: Stack, inputs: Tensor) -> dict[str, Tensor]:
    """Path statistics of some samples that need nothing but the path."""
    return _SamplePaths.of(stack, inputs).shaped({})


def _whole_path(stack: Stack, inputs: Tensor) -> dict[str, Tensor]:
    """All path statistics of some samples."""
    found = _SamplePaths.of(stack, inputs)
    partial = [SampleJacobians(found.hidden[0], output, batch=2) for output in found.hidden[1:-1]]
    norms = [top_singular_triplets(jacobians).singular_values for jacobians in partial]
    powers = torch.arange(1, stack.depth, device=found.gain.device) / stack.depth
    relative = torch.stack(norms, -1) / found.gain.unsqueeze(-1) ** powers if norms else found.path.cosine
    return found.shaped({"path_residual": found.path.residual[:, 1:], "product_norm": relative})
