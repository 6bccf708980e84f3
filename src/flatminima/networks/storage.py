"""Trained networks on disk: one safetensors file holds every replica of a shape, and what each replica is."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from flatminima.data.storage import load_arrays, save_arrays
from flatminima.errors import UserError
from flatminima.networks.fully_convolutional import FullyConvolutionalStack
from flatminima.networks.stack import Stack
from flatminima.record import full_name


@dataclass(frozen=True)
class Networks:
    """A stack and its labels.

    Attributes:
        stack: the replicas.
        replicas: one row per replica: seed, step_size, setting (the configured step size), step, final, diverged,
            gradient_scale, and start_scale where the experiment sets it.
        labels: study, case, control (`""`, or what was done to the trained networks), family, task, initialisation,
            optimiser, depth.
    """

    stack: Stack
    replicas: pd.DataFrame
    labels: dict[str, str | int]

    @property
    def name(self) -> str:
        """Name of the random streams of these networks."""
        return full_name(str(self.labels["case"]), str(self.labels["control"]))

    @property
    def first(self) -> int:
        """Number of the first replica among those of all seeds, of which a file may hold a part."""
        seeds = self.replicas.loc[self.replicas["final"], "seed"]
        per_seed: int = len(seeds) // seeds.nunique()
        return int(seeds.min()) * per_seed


def save(networks: Networks, path: Path) -> None:
    """Write networks to a safetensors file, whole or not at all.

    Raises:
        UserError: if the file cannot be written.
    """
    stack, replicas = networks.stack, networks.replicas
    arrays = {f"weight_{k}": weight.numpy() for k, weight in enumerate(stack.weights, 1)}
    arrays |= {f"bias_{k}": bias.numpy() for k, bias in enumerate(stack.biases, 1)}
    arrays |= {f"replica_{name}": column.to_numpy() for name, column in replicas.items()}
    kind = {"rectified": stack.rectified} | ({"side": stack.side} if isinstance(stack, FullyConvolutionalStack) else {})
    save_arrays(path, arrays, {"labels": json.dumps({**networks.labels, **kind}, sort_keys=True)})


def load(path: Path) -> Networks:
    """Read networks.

    Raises:
        UserError: if the file is missing, truncated or not one of ours.
    """
    arrays, metadata = load_arrays(path)
    try:
        labels = json.loads(metadata["labels"])
        layers = range(1, labels["depth"] + 1)
        weights = tuple(torch.from_numpy(arrays[f"weight_{k}"]) for k in layers)
        biases = tuple(torch.from_numpy(arrays[f"bias_{k}"]) for k in layers if f"bias_{k}" in arrays)
        rectified, side = labels.pop("rectified"), labels.pop("side", None)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: holds no networks ({error} is missing); delete it and run again") from error
    stack = (
        Stack(weights, biases, rectified)
        if side is None
        else FullyConvolutionalStack(weights, biases, rectified, side=side)
    )
    columns = {name.removeprefix("replica_"): a for name, a in arrays.items() if name.startswith("replica_")}
    return Networks(stack, pd.DataFrame(columns), labels)
