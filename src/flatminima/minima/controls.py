"""Controls of what is claimed of minima: networks of the trained functions whose layers are not balanced."""

from dataclasses import replace

import torch

from flatminima.generators import generators
from flatminima.networks.storage import Networks
from flatminima.networks.symmetries import rescale_layers


def unbalanced(networks: Networks, log_scale: float) -> Networks:
    """The control `unbalanced`: the final networks' functions, with their layers rescaled at random."""
    final = networks.replicas["final"].to_numpy()
    stack = networks.stack.select(torch.tensor(final)).double()
    control = replace(networks, labels=networks.labels | {"control": "unbalanced"})
    numbers = range(networks.first, networks.first + stack.replicas)
    streams = generators(str(control.labels["study"]), control.name, stack.depth, numbers, "scales")
    replicas = networks.replicas[final].reset_index(drop=True)
    return replace(control, stack=rescale_layers(stack, log_scale, streams), replicas=replicas)
