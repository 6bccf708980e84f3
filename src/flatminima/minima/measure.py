"""All statistics of trained networks, as rows of the tidy table."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from flatminima.curvature.certified import MANY
from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.curvature.subspace import BASIS, Eigenpairs
from flatminima.data.moments import Moments
from flatminima.data.tasks import Samples
from flatminima.minima.coupling import overlaps, shared_vector
from flatminima.minima.evaluation import Problem, StackHessian, on_samples
from flatminima.minima.groups import by_groups, certified
from flatminima.minima.hessian import MomentHessian
from flatminima.minima.linear import path_statistics, sharpness_statistics
from flatminima.minima.own_path import own_path
from flatminima.minima.sampled_paths import sampled_paths
from flatminima.minima.statistics import Statistic, Statistics, cpu, inner, join, scatter, tidy
from flatminima.networks.device import CPU
from flatminima.networks.fully_convolutional import FullyConvolutionalStack
from flatminima.networks.losses import COLLAPSED
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.seeding import sequence
from flatminima.settings.training import Measure

SHARED_LABELS = ["study", "case", "family", "setting", "depth", "seed"]
NOTHING_SHARED = torch.zeros(0, 0, 0, 2, dtype=torch.float64)
SHARED = [*SHARED_LABELS, "layer", "rank", "left", "right"]
MEMORY = 2**30
"""Bytes that a group of replicas may take; one alone may need more."""


def measure(
    networks: Networks,
    samples: Samples,
    moments: Moments,
    settings: Measure,
    device: torch.device = CPU,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every replica of a file of networks.

    Replicas that diverged get the statistic `diverged` = 1 and NaN for all others. So do those that ended no better
    than predicting zero, and ReLU networks that died at a large step size: no signal passes through them.

    Args:
        networks: the replicas.
        samples: their task's samples.
        moments: their task's second moments.
        settings: tolerances.
        device: where to compute.

    Returns:
        The tidy measures, and for final linear networks how much of the signal along theory's path each singular vector
        has at every interface: columns SHARED, `layer` the layer k before it, `rank` that of the singular value, the
        largest being 1, `left` and `right` as `shared_vector` has them.
    """
    replicas = networks.replicas
    networks = replace(networks, stack=networks.stack.to(device))
    problem = Problem(_chosen(samples, networks.stack, settings), moments, networks.stack.depth, device)
    diverged = _diverged(networks, problem, settings)
    alive = torch.from_numpy(np.flatnonzero(~diverged))
    statistics: Statistics = {"diverged": Statistic(torch.from_numpy(diverged.astype(float)))}
    shared = NOTHING_SHARED
    if len(alive):
        group_size = max(1, MEMORY // _bytes(networks.stack, len(problem.samples.inputs)))
        groups = [_measure_group(networks, group, problem, settings) for group in torch.split(alive, group_size)]
        shared = torch.cat([own for _, own in groups])
        measured = join([group for group, _ in groups])
        statistics |= {name: scatter(value, alive, len(replicas)) for name, value in measured.items()}
    if "start_scale" in replicas:
        statistics["start_scale"] = Statistic(torch.tensor(replicas["start_scale"].to_numpy()))
    labels = replica_labels(networks)
    final = labels["final"].to_numpy()
    chosen = torch.from_numpy(final[~diverged]) if len(shared) else slice(0)
    return tidy(labels, statistics), _shared_rows(labels[~diverged & final], shared[chosen])


def replica_labels(networks: Networks) -> pd.DataFrame:
    """Labels of every replica in the table of record."""
    return networks.replicas[["setting", "seed", "step_size", "step", "final"]].assign(**networks.labels)


def _bytes(stack: Stack, samples: int) -> int:
    """Bytes of one replica: two float64 numbers per sample and unit, if samples matter, and the eigensolver's space."""
    swept = 16 * stack.units * samples if on_samples(stack) else 0
    return swept + 16 * BASIS * sum(parameter[0].numel() for parameter in stack.parameters)


def _chosen(samples: Samples, stack: Stack, settings: Measure) -> Samples:
    """The training samples that losses and curvature are taken over: the first ones, where the settings say so."""
    count = settings.convolution_samples if isinstance(stack, FullyConvolutionalStack) else settings.samples
    if count is None:
        return samples
    return replace(samples, inputs=samples.inputs[:count], targets=samples.targets[:count])


def _diverged(networks: Networks, problem: Problem, settings: Measure) -> NDArray[np.bool_]:
    replicas, stack = networks.replicas, networks.stack
    finite = torch.stack([p.flatten(1).isfinite().all(1) for p in stack.parameters]).all(0).cpu().numpy()
    loss = problem.training_loss(stack, problem.hessian(stack)).cpu().numpy()
    collapsed = ~(loss < COLLAPSED * problem.zero_loss(stack)) & replicas["final"].to_numpy()
    dead = _dead(stack, problem.jacobian_inputs(settings))
    result: NDArray[np.bool_] = replicas["diverged"].to_numpy() | ~finite | collapsed | dead
    return result


def _dead(stack: Stack, inputs: Tensor) -> NDArray[np.bool_]:
    """Whether for every input all units of some hidden layer are off: the output is constant, whatever its biases."""
    if not stack.rectified or stack.depth == 1:
        return np.zeros(stack.replicas, dtype=bool)
    *hidden, _ = stack.layers(inputs.to(stack.weights[0]).unsqueeze(0))
    off = torch.stack([(h <= 0).all(2) for h in hidden])
    result: NDArray[np.bool_] = off.any(0).all(1).cpu().numpy()
    return result


def _measure_group(networks: Networks, group: Tensor, problem: Problem, settings: Measure) -> tuple[Statistics, Tensor]:
    """Statistics of some replicas, few enough for the graph of their gradients to fit in memory."""
    stack = networks.stack.select(group).double()
    replicas = networks.replicas.iloc[group.numpy()]
    names = [str(networks.labels["study"]), networks.name, str(stack.depth)]
    hessian = problem.hessian(stack)
    statistics = _curvature(stack, problem, settings, names, hessian)
    statistics |= _whole(stack, replicas, problem, hessian) | _gradients(stack, replicas, problem, names, hessian)
    inputs = problem.jacobian_inputs(settings).double()
    if not isinstance(stack, FullyConvolutionalStack):  # filters are not the layers' matrices
        statistics |= inner("singular_overlap", overlaps(stack.weights).amax((2, 3)))
    if stack.rectified:
        return cpu(statistics | sampled_paths(stack, inputs, MEMORY)), NOTHING_SHARED
    linear = problem.linear.expand(stack.replicas)
    statistics |= path_statistics(stack.weights, linear) | own_path(stack, inputs, MEMORY)
    return cpu(statistics), shared_vector(stack.weights, linear.direction).cpu()


def _whole(stack: Stack, replicas: pd.DataFrame, problem: Problem, hessian: StackHessian) -> Statistics:
    loss = problem.training_loss(stack, hessian)
    least = problem.scale * problem.moments.minimal_loss()
    zero = problem.scale * problem.moments.target_energy
    excess = torch.full_like(loss, torch.nan) if stack.rectified else (loss - least) / (zero - least)
    return {
        "loss": Statistic(loss),
        "test_loss": Statistic(problem.test_loss(stack)),
        "excess_loss": Statistic(excess),
        "stability_limit": Statistic(2 / torch.tensor(replicas["step_size"].to_numpy())),
    }


def _gradients(
    stack: Stack, replicas: pd.DataFrame, problem: Problem, names: Sequence[str], hessian: StackHessian
) -> Statistics:
    """Gradient norms relative to the start's: of the loss that is measured, and of its mean over the noise.

    Where noise is fresh at every step, training seeks a minimum of the mean loss, and the gradient over one draw does
    not vanish there. That of the mean has the product of the gradients over two draws as an estimate of its square.
    """
    gradient = hessian.gradient()
    scale = torch.tensor(replicas["gradient_scale"].to_numpy()).to(gradient)
    expected = gradient.norm(dim=1)
    if problem.samples.noise_draw == "fresh" and on_samples(stack):
        again = problem.redrawn(*names).hessian(stack).gradient()
        expected = (gradient * again).sum(1).clamp_min(0).sqrt()
    return {
        "gradient_norm": Statistic(gradient.norm(dim=1) / scale),
        "expected_gradient_norm": Statistic(expected / scale),
    }


def _curvature(
    stack: Stack, problem: Problem, settings: Measure, names: Sequence[str], hessian: StackHessian
) -> Statistics:
    seed = int(sequence(*names, "eigenpairs").generate_state(1, np.uint32)[0])
    if isinstance(hessian, MomentHessian):
        top = hessian.top_eigenpair(settings.tolerance, settings.products, seed)
    else:
        top = by_groups(stack.replicas, lambda group: _searched(stack, group, problem, settings, seed))
        top = certified(hessian, top, top.eigenvectors[:, 0])
    return sharpness_statistics(top.eigenvalues[:, 0], top.residuals[:, 0], problem.linear.expand(stack.replicas))


def _searched(stack: Stack, group: slice, problem: Problem, settings: Measure, seed: int) -> Eigenpairs:
    """Top eigenpairs of a group of replicas in float32, from a tenth of the samples where there are many."""
    single = stack.with_parameters([p[group].float() for p in stack.parameters])
    thinned = len(problem.samples.inputs) >= MANY
    return stacked_eigenpairs(
        problem.hessian(single, memory=MEMORY),
        tolerance=settings.tolerance,
        max_products=settings.products,
        rough=problem.hessian(single, every=10, memory=MEMORY) if thinned else None,
        seed=seed,
    )


def _shared_rows(labels: pd.DataFrame, shared: Tensor) -> pd.DataFrame:
    """One row per network, interface and rank at which some side has a singular vector."""
    replica, layer, rank = (~shared.isnan().all(3)).nonzero(as_tuple=True)
    left, right = shared[replica, layer, rank].T.numpy()
    rows = labels[SHARED_LABELS].iloc[replica.numpy()].reset_index(drop=True)
    return rows.assign(layer=layer.numpy() + 1, rank=rank.numpy() + 1, left=left, right=right)
