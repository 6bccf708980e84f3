"""Inputs and targets that stream in chunks, from memory or again and again from a loader."""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from flatminima.errors import UserError

Batch = tuple[Tensor, Tensor]
Data = Batch | Iterable[Batch]


class Samples:
    """All samples of a data set, in chunks of any size.

    What fits in memory is read once. A larger loader is read again for every pass, and must give the same samples
    each time, in any order.

    Attributes:
        count: number of samples.
        held: whether they are in memory.
        nbytes: bytes that they take there because of this object, not for tensors that the caller holds anyway.
    """

    def __init__(self, data: Data, memory: float) -> None:
        """Read or count the samples.

        Args:
            data: tensors (inputs, targets), or a list or loader of such batches.
            memory: bytes that samples of a loader may take.

        Raises:
            UserError: if there are no samples, or the loader cannot be read twice.
        """
        batches = _as_batches(data)
        if isinstance(batches, Iterator):
            raise UserError("data: a generator gives its batches only once; pass a list of batches or a DataLoader")
        self._source = batches
        self._digest = torch.zeros(2, dtype=torch.float64)
        self.held, self.count, self.nbytes = isinstance(batches, list), 0, 0
        kept: list[Batch] = []
        for inputs, targets in _batches(batches):
            self.count += len(inputs)
            self.nbytes += inputs.nbytes + targets.nbytes
            if not self.held:
                self._digest += _digest(inputs)
                kept = [*kept, (inputs, targets)] if self.nbytes <= memory else []
        if not self.count:
            raise UserError("data: no samples; expected at least one batch of (inputs, targets)")
        if kept:
            self._source, self.held = [_joined(kept)], True
        else:
            self.nbytes = 0

    def chunks(self, size: int) -> Iterator[Batch]:
        """All samples, `size` at a time, and the rest.

        Raises:
            UserError: if a loader's samples are not those of its first pass.
        """
        if self.held:
            return _regrouped(self._source, size)
        return _regrouped(self._checked(), size)

    def _checked(self) -> Iterator[Batch]:
        digest = torch.zeros_like(self._digest)
        for batch in _batches(self._source):
            digest += _digest(batch[0])
            yield batch
        if not torch.allclose(digest, self._digest, rtol=1e-7):
            raise UserError(
                f"data: the loader gave {int(digest[0])} samples that are not the {self.count} of its first pass; "
                "leave out random augmentation and samplers"
            )

    def thinned(self, stride: int) -> Batch:
        """Every stride-th sample, in memory."""
        return _joined([(inputs[:1], targets[:1]) for inputs, targets in self.chunks(stride)])


def _as_batches(data: Data) -> Iterable[Batch]:
    if isinstance(data, tuple | list) and len(data) == 2:
        inputs, targets = data
        if isinstance(inputs, Tensor) and isinstance(targets, Tensor):
            return [(inputs, targets)]
    return cast(Iterable[Batch], data)


def _batches(data: Iterable[Batch]) -> Iterator[Batch]:
    for batch in data:
        if not (isinstance(batch, tuple | list) and [isinstance(part, Tensor) for part in batch] == [True, True]):
            raise UserError(f"data: a batch is a {type(batch).__name__}; expected a pair of tensors (inputs, targets)")
        inputs, targets = batch
        if len(inputs) != len(targets):
            raise UserError(f"data: a batch has {len(inputs)} inputs and {len(targets)} targets; expected as many")
        if len(inputs):
            yield inputs, targets


def _regrouped(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """The same samples, `size` at a time."""
    waiting: list[Batch] = []
    for batch in batches:
        inputs, targets = _joined([*waiting, batch])
        full = len(inputs) // size * size
        if full:
            yield from zip(torch.split(inputs[:full], size), torch.split(targets[:full], size), strict=True)
        waiting = [(inputs[full:], targets[full:])] if full < len(inputs) else []
    yield from waiting


def _joined(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return torch.cat([inputs for inputs, _ in batches]), torch.cat([targets for _, targets in batches])


def _digest(inputs: Tensor) -> Tensor:
    """Number of samples, and a sum that changes when samples are cropped or mirrored but not when they are shuffled."""
    features = inputs.flatten(1).abs().double()
    weights = torch.linspace(1, 2, features.shape[1], dtype=torch.float64, device=inputs.device)
    return torch.tensor([len(inputs), float((features @ weights).sum())], dtype=torch.float64)
