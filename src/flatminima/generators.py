"""Random streams of torch that depend on names alone, whatever else runs."""

from collections.abc import Iterable

import numpy as np
from torch import Generator

from flatminima.seeding import sequence


def generators(study: str, experiment: str, depth: int, replicas: Iterable[int], purpose: str) -> list[Generator]:
    """Random streams of replicas, each fixed by the names and the replica's number."""
    return [named_generator(study, experiment, depth, replica, purpose) for replica in replicas]


def named_generator(*names: str | int) -> Generator:
    """Random stream fixed by names, which `flatminima.seeding.sequence` turns into a seed."""
    return Generator().manual_seed(int(sequence(*names).generate_state(1, np.uint64)[0] >> np.uint64(1)))
