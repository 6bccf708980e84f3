"""Second derivatives of a network's loss as matrices known by their products with vectors."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor
from torch.nn import Module

from flatminima.curvature.network import MeanLoss, Network, Parameters, check_mean, graph_bytes
from flatminima.curvature.samples import Batch, Data, Samples
from flatminima.errors import UserError

Loss = Callable[[Parameters], Tensor]
Product = Callable[[Parameters], Sequence[Tensor]]
Chunk = TypeVar("Chunk")

MEMORY = 1024
PROBE = 16
CHUNK_BYTES = 16 * 2**20
"""Of the graph of one chunk: larger ones are no faster, because their tensors leave the processor's cache."""
WORKING_GRAPHS = 6
"""A chunk's own graph, and up to five more while the product of a convolutional network is computed."""


class Operator(ABC):
    """A real symmetric matrix known by its products.

    Attributes:
        shape: (size, size).
        dtype: in which products are computed; they are returned in the dtype of what they are applied to.
        device: where they are computed.
    """

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns)."""

    def matvec(self, vector: Tensor) -> Tensor:
        """Product with a vector of shape (size,)."""
        return self.matmat(vector.unsqueeze(1)).squeeze(1)

    def scipy(self) -> LinearOperator:
        """The same matrix for scipy.sparse.linalg."""

        def product(array: NDArray[np.floating]) -> NDArray[np.floating]:
            block = torch.as_tensor(array).to(self.device).reshape(self.shape[0], -1)
            result: NDArray[np.floating] = self.matmat(block).cpu().numpy()
            return result.reshape(array.shape)

        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        return LinearOperator(self.shape, matvec=product, rmatvec=product, matmat=product, dtype=dtype)


class Sum(Operator):
    """A weighted sum of operators, such as those of the shards of a data set."""

    def __init__(self, operators: Sequence[Operator], weights: Sequence[float]) -> None:
        """Add operators of one shape; a shard's weight is its share of the samples."""
        self._terms = list(zip(weights, operators, strict=True))
        self.shape, self.dtype, self.device = operators[0].shape, operators[0].dtype, operators[0].device

    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns)."""
        return torch.stack([weight * operator.matmat(block) for weight, operator in self._terms]).sum(0)


class _Mean(Operator):
    """A mean over samples of second derivatives, computed in chunks that fit in memory."""

    def __init__(
        self,
        model: Module,
        loss: MeanLoss,
        data: Data,
        parameters: Sequence[str] | None = None,
        memory: float = MEMORY,
    ) -> None:
        """Set up the operator: reads the data once and measures how much memory a sample takes.

        Args:
            model: any network that treats samples one by one; its present state is copied.
            loss: maps (outputs, targets) of a batch to the mean over its samples, as torch.nn.CrossEntropyLoss() does.
            data: tensors (inputs, targets), or a list or loader of such batches, of any sizes.
            parameters: names of the parameters, or layers, to which the matrix is restricted; by default all that
                require gradients.
            memory: budget in MiB for graphs and for samples that a loader gives.

        Raises:
            UserError: if the curvature is not defined: no parameters, no samples, a loss that is not a finite mean,
                a model that changes between evaluations; or if the memory is not enough for one sample.
        """
        self._arguments = model, loss, parameters, memory
        self._network, self._loss = Network(model, parameters), loss
        self._samples = Samples(data, memory * 2**20 / 2)
        self.dtype, self.device = self._parameters[0].dtype, self._parameters[0].device
        size = sum(parameter.numel() for parameter in self._parameters)
        self.shape = (size, size)
        probe = next(self._samples.chunks(PROBE))
        check_mean(self._network, loss, *probe)
        self._chunk, room = _plan(self._sample_bytes(*probe), self._samples, memory * 2**20)
        self._retained: _Retained[Batch] = _Retained(room)

    @abstractmethod
    def _linearise(self, outputs: Callable[[Parameters], Tensor], loss: Callable[[Tensor], Tensor]) -> Product:
        """The product of some samples' curvature, with a graph that serves many vectors."""

    @property
    def _parameters(self) -> Parameters:
        return self._network.parameters

    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns).

        Raises:
            UserError: if a product is not finite.
        """
        directions = [_unflatten(column.to(self._parameters[0]), self._parameters) for column in block.unbind(1)]
        chunks = self._samples.chunks(self._chunk)
        result = torch.stack([_flatten(p) for p in self._retained.products(self._build, chunks, directions)], 1)
        if not result.isfinite().all():
            raise UserError("model: a product with its curvature is not finite; check the parameters and the data")
        return result.to(block)

    def gradient(self) -> Tensor:
        """Gradient of the loss, shape (size,)."""
        total = torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
        for inputs, targets in self._samples.chunks(self._chunk):
            outputs, loss = self._functions(inputs, targets)
            value = loss(outputs(self._parameters))
            total += _flatten(torch.autograd.grad(value, self._parameters, materialize_grads=True))
        return total

    def thinned(self, stride: int = 10) -> Self:
        """The same operator on every stride-th sample: a cheap approximation to start from."""
        model, loss, parameters, memory = self._arguments
        return type(self)(model, loss, self._samples.thinned(stride), parameters, memory)

    def _functions(
        self, inputs: Tensor, targets: Tensor
    ) -> tuple[Callable[[Parameters], Tensor], Callable[[Tensor], Tensor]]:
        weight = len(inputs) / self._samples.count
        expected = self._network.cast(targets)
        return partial(self._network, inputs=inputs), lambda outputs: weight * self._loss(outputs, expected)

    def _build(self, chunk: Batch) -> Product:
        return self._linearise(*self._functions(*chunk))

    def _sample_bytes(self, inputs: Tensor, targets: Tensor) -> float:
        """Bytes that a second sample adds to the graph of a first."""
        first = inputs[:1].clone(), targets[:1].clone()
        second = torch.cat([first[0]] * 2), torch.cat([first[1]] * 2)
        one, two = (graph_bytes(partial(self._build, batch), self._parameters) for batch in (first, second))
        return two - one


class Hessian(_Mean):
    """The Hessian of a loss that is a mean over samples (Pearlmutter 1994: gradient of the slope of the gradient)."""

    def _linearise(self, outputs: Callable[[Parameters], Tensor], loss: Callable[[Tensor], Tensor]) -> Product:
        return hessian_product(loss(outputs(self._parameters)), self._parameters)


class GaussNewton(_Mean):
    """The generalised Gauss-Newton matrix, mean of J' H J with H the loss's Hessian in the outputs (Schraudolph 2002).

    It is positive semi-definite for convex losses, and the Hessian of networks that fit their targets exactly.
    """

    def _linearise(self, outputs: Callable[[Parameters], Tensor], loss: Callable[[Tensor], Tensor]) -> Product:
        parameters = self._parameters
        values = outputs(parameters)
        cotangent = torch.zeros_like(values, requires_grad=True)
        pullback = _grad((values * cotangent).sum(), parameters, create_graph=True)
        centre = values.detach().requires_grad_()
        curvature = hessian_product(loss(centre), (centre,))

        def product(direction: Parameters) -> Sequence[Tensor]:
            (pushed,) = _grad(_inner(pullback, direction), (cotangent,))
            (curved,) = curvature((pushed,))
            return _grad((values * curved).sum(), parameters)

        return product


class StackedHessian:
    """Hessians of the losses of many replicas, as one operator on (replicas, size).

    Replicas do not interact, so the gradient of the summed losses holds each replica's own gradient. The graph of a
    chunk that is alone is kept between products; of several, each is built anew, in bounded memory.
    """

    def __init__(self, chunks: Sequence[Loss], parameters: Sequence[Tensor]) -> None:
        """Set up the operator.

        Args:
            chunks: functions of the parameters whose values, shape (replicas,), add up to the loss.
            parameters: tensors of shape (replicas, ...).
        """
        self._chunks = chunks
        self._parameters = tuple(p.detach().clone().requires_grad_() for p in parameters)
        self._retained: _Retained[Loss] = _Retained(room=int(len(chunks) == 1))

    @property
    def shape(self) -> tuple[int, int]:
        """(replicas, size)."""
        return len(self._parameters[0]), sum(p[0].numel() for p in self._parameters)

    @property
    def device(self) -> torch.device:
        """That of the parameters."""
        return self._parameters[0].device

    def loss(self) -> Tensor:
        """Losses, shape (replicas,)."""
        with torch.no_grad():
            return torch.stack([chunk(self._parameters) for chunk in self._chunks]).sum(0)

    def gradient(self) -> Tensor:
        """Gradients of the losses, shape (replicas, size)."""
        gradients = [_grad(chunk(self._parameters).sum(), self._parameters) for chunk in self._chunks]
        return torch.stack([_flatten(gradient, 1) for gradient in gradients]).sum(0)

    def matvec(self, vector: Tensor) -> Tensor:
        """Products H v, shape (replicas, size), computed in the parameters' dtype and returned in the vector's."""
        direction = _unflatten(vector.to(self._parameters[0]), self._parameters, 1)
        (product,) = self._retained.products(self._build, self._chunks, [direction])
        return _flatten(product, 1).to(vector)

    def _build(self, chunk: Loss) -> Product:
        return hessian_product(chunk(self._parameters).sum(), self._parameters)


class _Retained(Generic[Chunk]):
    """Products summed over chunks; the graphs of the first chunks are kept, those of the others built each time."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: list[Product] = []

    def products(
        self, build: Callable[[Chunk], Product], chunks: Iterable[Chunk], directions: Sequence[Parameters]
    ) -> list[list[Tensor]]:
        """Products with each direction, summed over the chunks, which must come in the same order every time."""
        totals = [[torch.zeros_like(part) for part in direction] for direction in directions]
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


def hessian_product(loss: Tensor, parameters: Parameters) -> Product:
    """Product with the Hessian of a number, through a graph of its gradient that is built once."""
    gradient = _grad(loss, parameters, create_graph=True)
    if not any(part.requires_grad for part in gradient):
        return lambda direction: [torch.zeros_like(part) for part in direction]
    return lambda direction: _grad(_inner(gradient, direction), parameters)


def _grad(value: Tensor, parameters: Parameters, *, create_graph: bool = False) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, parameters, create_graph=create_graph, retain_graph=True, materialize_grads=True)


def _inner(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()


def _flatten(tensors: Sequence[Tensor], batch: int = 0) -> Tensor:
    """One vector, or one for each entry of the first `batch` dimensions."""
    return torch.cat([tensor.flatten(batch) if batch else tensor.flatten() for tensor in tensors], batch)


def _unflatten(vector: Tensor, like: Sequence[Tensor], batch: int = 0) -> Parameters:
    """The tensors of `_flatten`."""
    sizes = [tensor.shape[batch:].numel() for tensor in like]
    return tuple(part.reshape(t.shape) for part, t in zip(torch.split(vector, sizes, batch), like, strict=True))


def _plan(sample_bytes: float, samples: Samples, memory: float) -> tuple[int, int]:
    """Samples per chunk, and how many chunks' graphs may be kept.

    Raises:
        UserError: if one sample does not fit.
    """
    free = memory - samples.nbytes
    most = int(free / WORKING_GRAPHS / sample_bytes)
    if most < 1:
        needed = (samples.nbytes + WORKING_GRAPHS * sample_bytes) / 2**20
        raise UserError(f"memory: {memory / 2**20:g} MiB is too little; expected at least {math.ceil(needed)} MiB")
    chunk = max(1, min(most, int(CHUNK_BYTES / sample_bytes)))
    room = int(free / (chunk * sample_bytes)) - WORKING_GRAPHS + 1
    return chunk, room if samples.held else 0
