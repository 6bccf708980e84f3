"""Small convolutional networks as PyTorch modules, and several of one shape on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from flatminima.data.storage import load_arrays, save_arrays
from flatminima.errors import UserError


@dataclass(frozen=True)
class Shape:
    """A convolutional network of square grey images.

    Attributes:
        side: pixels along an edge.
        channels: of each layer of filters.
        outputs: of the linear layer at the end.
    """

    side: int
    channels: tuple[int, ...]
    outputs: int

    def images(self, rows: Tensor) -> Tensor:
        """Images from rows of pixels: (samples, side^2) to (samples, 1, side, side)."""
        return rows.reshape(-1, 1, self.side, self.side)

    def network(self) -> nn.Sequential:
        """A network with PyTorch's default start: 3x3 filters at every second pixel and a rectifier, for each layer."""
        network = nn.Sequential()
        for before, after in pairwise((1, *self.channels)):
            network.extend([nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()])
        side = self.side >> len(self.channels)
        return network.extend([nn.Flatten(), nn.Linear(self.channels[-1] * side**2, self.outputs)])


def save(networks: Sequence[nn.Module], shape: Shape, labels: dict[str, str | float], path: Path) -> None:
    """Write networks of one shape to a safetensors file.

    Raises:
        UserError: if the file cannot be written.
    """
    states = [network.state_dict() for network in networks]
    arrays = {name: torch.stack([state[name] for state in states]).numpy() for name in states[0]}
    described = {"side": shape.side, "channels": shape.channels, "outputs": shape.outputs}
    save_arrays(path, arrays, {"shape": json.dumps(described), "labels": json.dumps(labels, sort_keys=True)})


def load(path: Path) -> tuple[list[nn.Sequential], Shape, dict[str, str | float]]:
    """Read networks.

    Raises:
        UserError: if the file is missing, damaged or not one of ours.
    """
    arrays, metadata = load_arrays(path)
    try:
        described = json.loads(metadata["shape"])
        shape = Shape(described["side"], tuple(described["channels"]), described["outputs"])
        networks = []
        for replica in range(len(next(iter(arrays.values())))):
            network = shape.network()
            network.load_state_dict({name: torch.from_numpy(array[replica]) for name, array in arrays.items()})
            networks.append(network)
        return networks, shape, json.loads(metadata["labels"])
    except (KeyError, StopIteration, RuntimeError, TypeError, ValueError) as error:
        found = " ".join(str(error).split())
        raise UserError(f"{path}: holds no convolutional networks ({found}); delete it and run again") from error
