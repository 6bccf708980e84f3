"""Inputs and targets that stream in chunks, from memory or again and again from a loader."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from flatminima.curvature.nests import Nest, joined, leaves, mapped, ordinary, shapes, taken
from flatminima.errors import UserError

Batch = tuple[Nest, Nest]
Data = Batch | Iterable[Batch]

SPREAD = 16
"""Largest number of samples drawn from all over the data; at least half of it where there are enough."""
FEW = 4
"""Least number of samples drawn from all over the data."""


class Samples:
    """All samples of a data set, in chunks of any size.

    What fits in memory is read once. A larger loader is read again for every pass, and must give the same samples
    each time, in any order.

    Attributes:
        count: number of samples.
        weight: sum of their weights in the mean over samples.
        spread: a few samples from all over the data, of one shape.
        largest: a sample that takes the most memory.
        held: whether all are in memory.
        nbytes: bytes that they take there because of this object, not for tensors that the caller holds anyway.
    """

    def __init__(self, data: Data, memory: float, weigh: Callable[[Nest], float]) -> None:
        """Read or count the samples.

        Args:
            data: a pair (inputs, targets), or a list or loader of such batches.
            memory: bytes that samples of a loader may take.
            weigh: sum of the weights of samples with these targets.

        Raises:
            UserError: if there are no samples, or the loader cannot be read twice.
        """
        self._source = _as_batches(data)
        self._digest = torch.zeros(3, dtype=torch.float64)
        self.held, self.count, self.nbytes, self.weight = isinstance(self._source, list), 0, 0, 0.0
        spread, most = _Spread(), 0.0
        kept: list[Batch] = []
        for batch in _batches(self._source):
            spread.add(batch)
            count, size = _count(batch), sum(leaf.nbytes for leaf in leaves(batch))
            if size / count > most:
                self.largest, most = taken(batch, slice(1)), size / count
            self.count, self.nbytes, self.weight = self.count + count, self.nbytes + size, self.weight + weigh(batch[1])
            if self.held:
                kept.append(mapped(ordinary, batch))
            else:
                self._digest += _digest(batch)
                kept = [*kept, batch] if self.nbytes <= memory else []
        if not self.count:
            raise UserError("data: no samples; expected at least one batch of (inputs, targets)")
        if not self.weight > 0:
            raise UserError(f"data: the weights of all targets add up to {self.weight:g}; expected some that count")
        self.spread = spread.samples()
        if self.held or not kept:
            self.nbytes = 0
        if kept:
            self._source = kept if self.held or _shapes_differ(kept) else [joined(kept)]
            self.held = True
        self._versions = _versions(self._source) if self.held else []
        self._views: dict[int, list[Batch]] = {}

    def chunks(self, size: int) -> Iterable[Batch]:
        """All samples, `size` at a time, and the rest; a chunk's samples are of one shape.

        Raises:
            UserError: if samples are not those of the first pass.
        """
        if not self.held:
            return _regrouped(self._checked(), size)
        if _versions(self._source) != self._versions:
            raise UserError("data: a tensor was changed in place; make the operator anew, or give it a clone()")
        if len(cast(Sequence[Batch], self._source)) > 1:
            return _regrouped(self._source, size)
        if size not in self._views:
            self._views[size] = list(_regrouped(self._source, size))
        return self._views[size]

    def _checked(self) -> Iterator[Batch]:
        digest = torch.zeros_like(self._digest)
        for batch in _batches(self._source):
            digest += _digest(batch)
            yield batch
        if not torch.allclose(digest, self._digest, rtol=1e-9, equal_nan=True):
            raise UserError(
                f"data: the loader gave {int(digest[0])} samples that are not the {self.count} of its first pass; "
                "leave out random augmentation, random targets and samplers"
            )

    def thinned(self, stride: int) -> list[Batch]:
        """Every stride-th sample, in memory."""
        parts, seen = [], 0
        for batch in self._source if self.held else self._checked():
            parts.append(taken(batch, slice(-seen % stride, None, stride)))
            seen += _count(batch)
        parts = [mapped(Tensor.contiguous, part) for part in parts if _count(part)]
        return parts if _shapes_differ(parts) else [joined(parts)]


class _Spread:
    """Every stride-th sample of a stream of unknown length, with a stride that grows."""

    def __init__(self) -> None:
        self._kept: list[Batch] = []
        self._seen, self._stride = 0, 1

    def add(self, batch: Batch) -> None:
        """Go on by a batch."""
        end = self._seen + _count(batch)
        while (end - 1) // self._stride >= SPREAD:
            self._stride, self._kept = 2 * self._stride, self._kept[::2]
        for index in range(-self._seen % self._stride, _count(batch), self._stride):
            self._kept.append(mapped(Tensor.clone, taken(batch, slice(index, index + 1))))
        self._seen = end

    def samples(self) -> Batch:
        """Join the samples that have the first one's shape, repeated where they are few: models may need a batch."""
        alike = [sample for sample in self._kept if shapes(sample) == shapes(self._kept[0])]
        several: Batch = joined(alike * math.ceil(FEW / len(alike)))
        return several


def _as_batches(data: Data) -> Iterable[Batch]:
    if isinstance(data, Iterator):
        raise UserError("data: a generator gives its batches only once; pass a list of batches or a DataLoader")
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        raise UserError(f"data: a {type(data).__name__} gives single samples; pass DataLoader(dataset, batch_size=100)")
    if isinstance(data, tuple) or (isinstance(data, list) and _are_tensors(data)):
        return [cast(Batch, data)]
    if not isinstance(data, Iterable) or isinstance(data, Tensor | dict | str):
        raise UserError(
            f"data: is a {type(data).__name__}; expected a pair (inputs, targets), or a list or loader of such batches"
        )
    return data


def _are_tensors(parts: Sequence[object]) -> bool:
    return len(parts) == 2 and all(isinstance(part, Tensor) for part in parts)


def _batches(data: Iterable[Batch]) -> Iterator[Batch]:
    for batch in data:
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            what = f"has {len(batch)} parts" if isinstance(batch, tuple | list) else f"is a {type(batch).__name__}"
            raise UserError(f"data: a batch {what}; expected a pair (inputs, targets)")
        counts = [_lengths(part) for part in batch]
        if len({*counts[0], *counts[1]}) > 1:
            inputs, targets = (" and ".join(map(str, dict.fromkeys(lengths))) for lengths in counts)
            raise UserError(f"data: a batch has {inputs} inputs and {targets} targets; expected as many")
        if counts[0][0]:
            yield batch[0], batch[1]


def _lengths(nest: Nest) -> list[int]:
    every = leaves(nest)
    for leaf in every:
        if not isinstance(leaf, Tensor):
            raise UserError(f"data: a batch holds a {type(leaf).__name__}; expected tensors, in tuples, lists or dicts")
        if leaf.dim() == 0:
            raise UserError("data: a batch holds a number; expected tensors whose first axis counts samples")
    if not every:
        raise UserError("data: a batch holds no tensor; expected a pair (inputs, targets)")
    return [len(leaf) for leaf in every]


def _count(batch: Batch) -> int:
    return len(leaves(batch[0])[0])


def _shapes_differ(batches: Sequence[Batch]) -> bool:
    return any(shapes(batch) != shapes(batches[0]) for batch in batches)


def _regrouped(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Regroup samples, `size` at a time; a change of shape begins a new chunk."""
    waiting: list[Batch] = []
    for batch in batches:
        if waiting and _shapes_differ([*waiting, batch]):
            yield from waiting
            waiting = []
        together = joined([*waiting, batch])
        full = _count(together) // size * size
        for start in range(0, full, size):
            yield taken(together, slice(start, start + size))
        waiting = [taken(together, slice(full, None))] if full < _count(together) else []
    yield from waiting


def _versions(batches: Iterable[Batch]) -> list[int]:
    """Counts of in-place changes of each tensor."""
    return [leaf._version for batch in batches for leaf in leaves(batch)]


def _digest(batch: Batch) -> Tensor:
    """Number of samples, and two sums over them that change when one does, but not when they are shuffled."""
    mixed = torch.zeros(_count(batch), dtype=torch.float64)
    for position, leaf in enumerate(leaves(batch)):
        numbers = torch.view_as_real(leaf) if leaf.is_complex() else leaf
        features = numbers.reshape(len(leaf), -1).double()
        weights = torch.arange(1, features.shape[1] + 1, dtype=torch.float64, device=leaf.device)
        mixed += (features @ (weights + position).mul(2**0.5).cos()).cpu()
    return torch.stack([torch.tensor(len(mixed), dtype=torch.float64), mixed.sum(), mixed.square().sum()])
