"""Products with curvature matrices as lists of tensors, summed over chunks of samples in bounded memory."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from flatminima.curvature.differentiation import Product
from flatminima.curvature.network import Parameters
from flatminima.curvature.samples import Samples
from flatminima.errors import UserError

Chunk = TypeVar("Chunk")

LEAST = 2
"""Least number of samples in a graph."""
CHUNK_BYTES = 16 * 2**20
"""Bytes of the graph of one chunk: larger ones are no faster, because their tensors leave the processor's cache."""
WORKING_GRAPHS = 6
"""A chunk's own graph, and up to five more while the product of a convolutional network is computed."""


class Retained(Generic[Chunk]):
    """Products summed over chunks; the graphs of the first chunks are kept, those of the others built each time."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: list[Product] = []

    def products(
        self, build: Callable[[Chunk], Product], chunks: Iterable[Chunk], directions: Sequence[Parameters]
    ) -> list[list[Tensor]]:
        """Products with each direction, summed over the chunks, which must always come in one order."""
        totals = [
            [torch.zeros_like(part, dtype=torch.promote_types(part.dtype, torch.float32)) for part in direction]
            for direction in directions
        ]
        for index, chunk in enumerate(chunks):
            product = self._kept[index] if index < len(self._kept) else self._keep(index, build(chunk))
            for total, direction in zip(totals, directions, strict=True):
                for part, term in zip(total, product(direction), strict=True):
                    part += term
        return totals

    def _keep(self, index: int, product: Product) -> Product:
        if index < self._room:
            self._kept.append(product)
        return product


def flatten(tensors: Sequence[Tensor], batch: int = 0) -> Tensor:
    """One vector, or one for each entry of the first `batch` dimensions."""
    return torch.cat([tensor.flatten(batch) if batch else tensor.flatten() for tensor in tensors], batch)


def unflatten(vector: Tensor, like: Sequence[Tensor], batch: int = 0) -> Parameters:
    """The tensors of `flatten`."""
    sizes = [tensor.shape[batch:].numel() for tensor in like]
    return tuple(part.reshape(t.shape) for part, t in zip(torch.split(vector, sizes, batch), like, strict=True))


def plan(sample_bytes: float, samples: Samples, memory: float) -> tuple[int, int]:
    """Samples per chunk, and how many chunks' graphs may be kept.

    Raises:
        UserError: if two samples do not fit.
    """
    free = memory - samples.nbytes
    most = int(free / WORKING_GRAPHS / sample_bytes)
    if most < LEAST:
        needed = (samples.nbytes + WORKING_GRAPHS * LEAST * sample_bytes) / 2**20
        raise UserError(
            f"memory: {memory / 2**20:g} MiB is too little; expected at least {math.ceil(needed)} MiB: one sample's "
            f"graph takes {sample_bytes / 2**20:.2g} MiB"
        )
    chunk = max(LEAST, min(most, int(CHUNK_BYTES / sample_bytes)))
    room = int(free / (chunk * sample_bytes)) - WORKING_GRAPHS + 1
    return chunk, room if samples.held else 0
