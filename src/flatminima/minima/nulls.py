"""Networks without the coupling of a trained one, all else as equal as can be: what coupling is compared with.

Each null is a control of the trained networks' case with one network for each trained one, of its seed and step size;
`<null>_again` is a second draw: networks without coupling, to be compared with the null as if they were trained. Draws
are seeded by the names of the study, the case and the null, and by the network's number.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from flatminima.data.tasks import Samples
from flatminima.generators import generators
from flatminima.minima.measure import MEMORY, replica_labels
from flatminima.minima.own_path import own_path
from flatminima.minima.statistics import Statistic, cpu, scatter, tidy
from flatminima.networks.device import CPU
from flatminima.networks.fully_convolutional import FullyConvolutionalStack
from flatminima.networks.initialisations import initialise, initialise_filters, orthonormal
from flatminima.networks.stack import Stack
from flatminima.networks.storage import Networks
from flatminima.record import full_name
from flatminima.settings.training import Measure

Null = Callable[[Networks, Sequence[int], str], Stack]
DRAWS = ("", "_again")


def measure_nulls(
    networks: Networks, measures: pd.DataFrame, samples: Samples, settings: Measure, device: torch.device = CPU
) -> pd.DataFrame:
    """Coupling of the nulls of all final networks.

    Args:
        networks: the trained ones.
        measures: their own table, which says which of them diverged.
        samples: their task's samples.
        settings: how many Jacobians are taken.
        device: where to compute.

    Returns:
        Rows of the tidy table with the statistics of `own_path`, and `diverged` as for the trained network: NaN where
        it did. No rows for residual networks, whose layers are near the identity, and for single layers, which have no
        interface.
    """
    final = networks.replicas["final"].to_numpy()
    if networks.labels["family"] == "residual_linear" or networks.stack.depth == 1:
        return measures.iloc[:0]
    failed = measures.loc[measures["final"] & (measures["statistic"] == "diverged"), "value"].to_numpy() == 1
    sound = np.flatnonzero(~failed)
    if not len(sound):
        return measures.iloc[:0]
    chosen = np.flatnonzero(final)[sound]
    trained = Networks(networks.stack.select(torch.from_numpy(chosen)), networks.replicas.iloc[chosen], networks.labels)
    numbers = [networks.first + int(place) for place in sound]
    inputs = torch.from_numpy(samples.inputs[: settings.jacobian_samples]).double().to(device)
    tables = []
    for draw, (name, null) in product(DRAWS, NULLS.items()):
        stack = null(trained, numbers, draw).double().to(device)
        labels = replica_labels(networks)[final].assign(control=f"{name}{draw}")
        found = cpu(own_path(stack, inputs, MEMORY))
        statistics = {key: scatter(value, torch.from_numpy(sound), len(labels)) for key, value in found.items()}
        tables.append(tidy(labels, {"diverged": Statistic(torch.from_numpy(failed.astype(float))), **statistics}))
    return pd.concat(tables, ignore_index=True)


def spectra(networks: Networks, numbers: Sequence[int], draw: str = "") -> Stack:
    """Keep every layer's singular values, and draw its singular vectors uniformly.

    A filter's are those of its matrix of shape (channels after, channels before * 9).
    """
    return _redrawn(networks, numbers, f"spectra{draw}", 0, _turned)


def permuted(networks: Networks, numbers: Sequence[int], draw: str = "") -> Stack:
    """Every layer but the first takes the units, or channels, of the layer before in a random order.

    All layers keep their singular values and vectors; which vectors meet at an interface is left to chance.
    """
    return _redrawn(networks, numbers, f"permuted{draw}", 1, _shuffled)


def untrained(networks: Networks, _: Sequence[int], draw: str = "") -> Stack:
    """The start of every network, drawn again from its seed, in the precision in which it was trained.

    The second draw is another start of the same kind for every seed.
    """
    stack, labels, replicas = networks.stack, networks.labels, networks.replicas
    seeds, places = np.unique(replicas["seed"], return_inverse=True)
    name = full_name(str(labels["case"]), f"untrained{draw}" if draw else "")
    streams = generators(str(labels["study"]), name, stack.depth, seeds.tolist(), "weights")
    widths = [weight.shape[2] for weight in stack.weights[:1]] + [weight.shape[1] for weight in stack.weights]
    scale = float(replicas["start_scale"].iloc[0]) if "start_scale" in replicas else 1.0
    bias = bool(stack.biases)
    if isinstance(stack, FullyConvolutionalStack):
        start: Stack = initialise_filters(widths, stack.side, streams, bias=bias, scale=scale)
    else:
        kind = str(labels["initialisation"])
        start = initialise(kind, widths, streams, rectified=stack.rectified, bias=bias, scale=scale)
    of_each = start.select(torch.from_numpy(places))
    return of_each.with_parameters([p.to(stack.weights[0].dtype) for p in of_each.parameters])


NULLS: dict[str, Null] = {"spectra": spectra, "permuted": permuted, "untrained": untrained}


def _redrawn(
    networks: Networks, numbers: Sequence[int], null: str, first: int, change: Callable[[Tensor, Generator], Tensor]
) -> Stack:
    """The networks with all layers from the first one changed at random, float64; every network has its own stream."""
    stack = networks.stack.double()
    name = full_name(str(networks.labels["case"]), null)
    streams = generators(str(networks.labels["study"]), name, stack.depth, numbers, "weights")
    weights = list(stack.weights)
    for k in range(first, stack.depth):
        weights[k] = torch.stack([change(weight, g) for weight, g in zip(stack.weights[k], streams, strict=True)])
    return stack.with_parameters([*weights, *stack.biases])


def _turned(weight: Tensor, generator: Generator) -> Tensor:
    matrix = weight.flatten(1)
    values = torch.linalg.svdvals(matrix)
    left, right = (orthonormal(size, len(values), generator) for size in matrix.shape)
    drawn: Tensor = left * values @ right.mT
    return drawn.reshape(weight.shape)


def _shuffled(weight: Tensor, generator: Generator) -> Tensor:
    return weight[:, torch.randperm(weight.shape[1], generator=generator)]
