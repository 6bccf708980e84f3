"""The path of the signal through ReLU networks, which are linear around each input."""

from itertools import pairwise

import torch
from torch import Tensor

from flatminima.curvature.jacobians import SampleJacobians, top_singular_triplets
from flatminima.curvature.losses import graph_bytes
from flatminima.minima.balance import band_upper
from flatminima.minima.coupling import PathStatistics, follow_maps
from flatminima.minima.tidy import QUANTILES, Statistic, Statistics
from flatminima.networks.stack import Stack


def sampled_paths(stack: Stack, inputs: Tensor, memory: int) -> Statistics:
    """Quantiles over samples of the statistics along the top singular path of each sample's Jacobian.

    A sample whose Jacobian is zero, all units of some layer being off, has no path and is left out.

    Args:
        stack: ReLU networks, fully connected or convolutional; float64.
        inputs: shape (samples, d_x).
        memory: bytes that the graphs of the samples treated together may take.

    Returns:
        path_gain, path_residual, path_cosine, product_norm and end_to_end_gain of `PathStatistics` as medians, and with
        the suffixes of QUANTILES; path_gain_fraction and band_upper to compare them with.
    """
    together = max(1, memory // (stack.replicas * stack.depth * graph_bytes(stack, 1)))
    groups = [_sample_paths(stack, x) for x in torch.split(inputs, together)]
    stacked = {name: torch.cat([group[name] for group in groups], 1).transpose(0, 1) for name in groups[0]}
    dead = stacked["end_to_end_gain"] == 0
    result: Statistics = {}
    for name, values in stacked.items():
        if values[0].numel():
            values[dead] = torch.nan
            for suffix, quantile in QUANTILES.items():
                result[name + suffix] = Statistic(values.nanquantile(quantile, dim=0))
    norms = result.get("product_norm")
    if norms is not None:
        one = torch.ones_like(norms.value)
        result["band_upper"] = Statistic(band_upper(stack.depth, one, one))
    result["path_gain_fraction"] = Statistic(torch.ones_like(result["end_to_end_gain"].value))
    return result


def _sample_paths(stack: Stack, inputs: Tensor) -> dict[str, Tensor]:
    """Path statistics of some samples, shape (replicas, samples, ...); around each, a network is linear.

    Its layers there are D_k W_k, and its partial products the Jacobians of layer k's output in the input.
    """
    start = inputs.repeat(stack.replicas, 1, 1).requires_grad_()
    hidden = [start, *stack.layers(start)]
    layers = [SampleJacobians(before, after, batch=2) for before, after in pairwise(hidden)]
    *partial, whole = [SampleJacobians(start, output, batch=2) for output in hidden[1:]]
    top = top_singular_triplets(whole)
    gain = top.singular_values
    path: PathStatistics = follow_maps(layers, top.right, top.left, gain)
    norms = [top_singular_triplets(jacobians).singular_values for jacobians in partial]
    powers = torch.arange(1, stack.depth, device=gain.device) / stack.depth
    statistics = {
        "path_gain": path.gain,
        "path_residual": path.residual[:, 1:],
        "path_cosine": path.cosine,
        "product_norm": torch.stack(norms, -1) / gain.unsqueeze(-1) ** powers if norms else path.cosine,
        "end_to_end_gain": gain,
    }
    return {name: values.reshape(*start.shape[:2], *values.shape[1:]) for name, values in statistics.items()}
