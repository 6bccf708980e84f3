"""All statistics of trained networks, as rows of the tidy table."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from flatminima.config import Measure
from flatminima.curvature.hessian import Loss, StackedHessian
from flatminima.curvature.lanczos import top_eigenpair
from flatminima.curvature.losses import losses, moment_loss, sample_losses
from flatminima.data.moments import Moments
from flatminima.data.seeding import sequence
from flatminima.data.tasks import Samples
from flatminima.minima.bound import MinimalSharpness, minimal_sharpness
from flatminima.minima.paths import PathStatistics, band_upper, follow, overlaps, product_norms, top_singular_triplet
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks

QUANTILES = {"": 0.5, "_q05": 0.05, "_q25": 0.25, "_q75": 0.75, "_q95": 0.95}
OVERLAP_VECTORS = 12
COLLAPSED = 0.99
MEMORY_MIB = 1024


@dataclass(frozen=True)
class Statistic:
    """Values of one statistic: shape (replicas,) for whole networks or (replicas, layers), and their error bounds."""

    value: Tensor
    error_bound: Tensor | None = None


Statistics = dict[str, Statistic]


def measure(
    networks: Networks, samples: Samples, moments: Moments, settings: Measure
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every replica of a file of networks.

    Replicas that diverged get the statistic `diverged` = 1 and NaN for all others. So do those that ended no better
    than predicting zero: ReLU networks that died at a large step size.

    Args:
        networks: the replicas.
        samples: their task's samples.
        moments: their task's second moments.
        settings: tolerances.

    Returns:
        The tidy measures and the overlaps of singular vectors of consecutive layers.
    """
    replicas = networks.replicas
    diverged = _diverged(networks, samples, moments)
    alive = torch.from_numpy(np.flatnonzero(~diverged))
    statistics: Statistics = {"diverged": Statistic(torch.from_numpy(diverged.astype(float)))}
    pairs = torch.zeros(0)
    if len(alive):
        stack = networks.stack.select(alive).double()
        measured = _statistics(stack, networks, replicas.iloc[alive.numpy()], samples, moments, settings)
        statistics |= {name: _scatter(value, alive, len(replicas)) for name, value in measured.items()}
        final = torch.from_numpy(replicas["final"].to_numpy()[alive.numpy()])
        pairs = overlaps([weight[final] for weight in stack.weights], OVERLAP_VECTORS)
    labels = replicas[["seed", "step_size", "step_fraction", "step", "final"]].assign(**networks.labels)
    rows = pd.concat([_rows(labels, name, value) for name, value in statistics.items()], ignore_index=True)
    survivors = labels[~diverged & labels["final"]]
    return rows, _overlap_rows(survivors, pairs)


def _diverged(networks: Networks, samples: Samples, moments: Moments) -> NDArray[np.bool_]:
    replicas, stack = networks.replicas, networks.stack
    failed = (
        replicas["diverged"].to_numpy()
        | ~torch.stack([p.flatten(1).isfinite().all(1) for p in stack.parameters]).all(0).numpy()
    )
    inputs, targets = torch.from_numpy(samples.inputs), torch.from_numpy(samples.targets)
    single = stack.with_parameters([p.float() for p in stack.parameters])
    loss = losses(_chunks(single, inputs, targets, moments.loss_scale), single).numpy()
    collapsed = ~(loss < COLLAPSED * moments.loss_scale * moments.target_energy)
    result: NDArray[np.bool_] = failed | (collapsed & replicas["final"].to_numpy())
    return result


def _statistics(
    stack: Stack, networks: Networks, replicas: pd.DataFrame, samples: Samples, moments: Moments, settings: Measure
) -> Statistics:
    bound = minimal_sharpness(moments.end_to_end_map(), stack.depth, moments.loss_scale * moments.input_moment)
    on_moments = not stack.rectified and not stack.biases
    inputs, targets = (torch.from_numpy(a).double() for a in (samples.inputs, samples.targets))
    chunks = _moment_chunks(stack, moments) if on_moments else _chunks(stack, inputs, targets, moments.loss_scale)
    test_inputs, test_targets = (torch.from_numpy(a).double() for a in (samples.test_inputs, samples.test_targets))
    whole = _curvature(stack, chunks, networks, settings)
    loss = losses(chunks, stack)
    whole["loss"] = Statistic(loss)
    whole["test_loss"] = Statistic(losses(_chunks(stack, test_inputs, test_targets, moments.loss_scale), stack))
    least, zero = moments.loss_scale * moments.minimal_loss(), moments.loss_scale * moments.target_energy
    whole["excess_loss"] = Statistic(
        (loss - least) / (zero - least) if on_moments else torch.full_like(loss, torch.nan)
    )
    whole["gradient_norm"] = Statistic(
        StackedHessian(chunks, stack.parameters).gradient().norm(dim=1)
        / torch.tensor(replicas["gradient_scale"].to_numpy())
    )
    whole["stability_limit"] = Statistic(2 / torch.tensor(replicas["step_size"].to_numpy()))
    whole["minimal_sharpness"] = Statistic(
        torch.full_like(loss, bound.value), torch.full_like(loss, abs(bound.upper - bound.value))
    )
    sharpness = whole["sharpness"]
    ratio_bound = None if sharpness.error_bound is None else sharpness.error_bound / bound.value
    whole["sharpness_ratio"] = Statistic(sharpness.value / bound.value, ratio_bound)
    if stack.rectified:
        paths = _sampled_paths(stack, inputs[: settings.jacobian_samples.value])
    else:
        paths = _linear_paths(stack, moments, bound)
    pairs = overlaps(stack.weights, OVERLAP_VECTORS)
    return whole | paths | ({"singular_overlap": Statistic(pairs.amax((2, 3)))} if stack.depth > 1 else {})


def _moment_chunks(stack: Stack, moments: Moments) -> list[Loss]:
    scale = moments.loss_scale
    return [
        moment_loss(
            stack,
            torch.from_numpy(scale * moments.input_moment),
            torch.from_numpy(scale * moments.cross_moment),
            torch.tensor(scale * moments.target_energy, dtype=torch.float64),
        )
    ]


def _chunks(stack: Stack, inputs: Tensor, targets: Tensor, scale: float) -> list[Loss]:
    return sample_losses(stack, inputs, targets, scale, MEMORY_MIB)


def _curvature(stack: Stack, chunks: list[Loss], networks: Networks, settings: Measure) -> Statistics:
    hessian = StackedHessian(chunks, stack.parameters)
    words = [str(networks.labels[key]) for key in ("study", "experiment", "depth")]
    seed = int(sequence(*words, "lanczos").generate_state(1, np.uint32)[0])
    start = torch.randn(hessian.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pair = top_eigenpair(hessian.matvec, start.expand(hessian.shape), settings.tolerance.value, settings.products.value)
    return {"sharpness": Statistic(pair.value, pair.residual)}


def _linear_paths(stack: Stack, moments: Moments, bound: MinimalSharpness) -> Statistics:
    """Statistics along the path of theory.md I3's maximiser."""
    covariance = moments.loss_scale * moments.input_moment
    values, vectors = np.linalg.eigh(covariance)
    root = torch.from_numpy(vectors * np.sqrt(np.clip(values, 0, None)))
    end_to_end = torch.from_numpy(moments.end_to_end_map())
    direction = torch.from_numpy(bound.direction)
    image = end_to_end @ direction / bound.gain
    gain = torch.full((stack.replicas,), bound.gain, dtype=torch.float64)
    path = follow(stack.weights, direction.expand(stack.replicas, -1), image.expand(stack.replicas, -1), gain)
    upper = band_upper(stack.depth, max(values[0], 0.0), bound.amplitude)
    norms = product_norms(stack.weights, root, bound.amplitude, gain)
    return {
        "path_gain": Statistic(path.gain),
        "end_to_end_gain": Statistic(gain),
        "path_gain_fraction": Statistic(gain / torch.linalg.matrix_norm(end_to_end, 2)),
        **_inner("path_cosine", path.cosine),
        **_inner("path_residual", path.residual[:, 1:]),
        **_inner("product_norm", norms),
        **_inner("band_upper", torch.full_like(norms, upper)),
    }


def _sampled_paths(stack: Stack, inputs: Tensor) -> Statistics:
    """Quantiles over samples of the statistics along each sample's top singular path of its Jacobian."""
    per_sample = [_sample_paths(stack, x.expand(stack.replicas, 1, -1)) for x in inputs]
    stacked = {name: torch.stack([sample[name] for sample in per_sample]) for name in per_sample[0]}
    result: Statistics = {}
    for name, values in stacked.items():
        if values[0].numel():
            for suffix, quantile in QUANTILES.items():
                result[name + suffix] = Statistic(values.quantile(quantile, dim=0))
    norms = result.get("product_norm")
    if norms is not None:
        result["band_upper"] = Statistic(torch.full_like(norms.value, band_upper(stack.depth, 1.0, 1.0)))
    result["path_gain_fraction"] = Statistic(torch.ones_like(result["end_to_end_gain"].value))
    return result


def _sample_paths(stack: Stack, inputs: Tensor) -> dict[str, Tensor]:
    """Path statistics of one sample per replica; the network is linear around it, with layers D_k W_k."""
    *hidden, _ = stack.layers(inputs)
    masks = [(h[:, 0] > 0).to(h.dtype).unsqueeze(-1) for h in hidden]
    matrices = [mask * weight for mask, weight in zip(masks, stack.weights, strict=False)] + [stack.weights[-1]]
    jacobian = matrices[0]
    for matrix in matrices[1:]:
        jacobian = matrix @ jacobian
    gain, image, direction = top_singular_triplet(jacobian)
    path: PathStatistics = follow(matrices, direction, image, gain)
    identity = torch.eye(inputs.shape[-1], dtype=inputs.dtype)
    return {
        "path_gain": path.gain,
        "path_residual": path.residual[:, 1:],
        "path_cosine": path.cosine,
        "product_norm": product_norms(matrices, identity, 1.0, gain),
        "end_to_end_gain": gain,
    }


def _inner(name: str, values: Tensor) -> Statistics:
    """A statistic of the interfaces between layers; absent for a single layer."""
    return {name: Statistic(values)} if values.numel() else {}


def _scatter(statistic: Statistic, alive: Tensor, replicas: int) -> Statistic:
    def spread(values: Tensor) -> Tensor:
        result = values.new_full((replicas, *values.shape[1:]), torch.nan)
        result[alive] = values
        return result

    return Statistic(spread(statistic.value), None if statistic.error_bound is None else spread(statistic.error_bound))


def _rows(labels: pd.DataFrame, name: str, statistic: Statistic) -> pd.DataFrame:
    values = statistic.value.reshape(len(labels), -1)
    layers = values.shape[1]
    bounds = torch.full_like(values, torch.nan)
    if statistic.error_bound is not None:
        bounds = statistic.error_bound.reshape(len(labels), -1)
    first = 0 if statistic.value.dim() == 1 else 1
    return labels.loc[labels.index.repeat(layers)].assign(
        layer=np.tile(np.arange(first, first + layers), len(labels)),
        statistic=name,
        value=values.flatten().numpy(),
        error_bound=bounds.flatten().numpy(),
    )


def _overlap_rows(labels: pd.DataFrame, pairs: Tensor) -> pd.DataFrame:
    columns: Mapping[str, np.ndarray] = {}
    if pairs.numel():
        replica, layer, left, right = (index.numpy() for index in torch.ones_like(pairs).nonzero(as_tuple=True))
        columns = {"layer": layer + 1, "left": left, "right": right, "overlap": pairs.flatten().numpy()}
        labels = labels.iloc[replica]
    names = ["study", "experiment", "family", "depth", "step_fraction", "seed"]
    return labels[names].reset_index(drop=True).assign(**columns)
