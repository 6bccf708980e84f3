"""Second derivatives of a network's loss as matrices known by their products with vectors."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse.linalg import LinearOperator
from torch import Tensor
from torch.nn import Module

from flatminima.curvature.arguments import Names, Positive, checked
from flatminima.curvature.chains import Chain
from flatminima.curvature.checks import MeanCheck, check_mean
from flatminima.curvature.differences import check_derivatives, refuse_asymmetric
from flatminima.curvature.differentiation import Product, gauss_newton_product, grad, gradients, hessian_product
from flatminima.curvature.mean import MeanLoss, mean_of
from flatminima.curvature.nests import Nest, joined, leaves, mapped, ordinary
from flatminima.curvature.network import Network, Parameters, graph_bytes
from flatminima.curvature.products import Retained, flatten, plan, unflatten
from flatminima.curvature.samples import FEW, Batch, Samples
from flatminima.errors import UserError

MEMORY = 1024


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

    @property
    def rounding(self) -> float:
        """Unit in the last place of the numbers that products are computed with."""
        return torch.finfo(self.dtype).eps

    @abstractmethod
    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns)."""

    def matvec(self, vector: Tensor) -> Tensor:
        """Product with a vector of shape (size,)."""
        return self.matmat(vector.unsqueeze(1)).squeeze(1)

    def scipy(self) -> LinearOperator:
        """Wrap the matrix for scipy.sparse.linalg."""

        def product(array: NDArray[np.floating]) -> NDArray[np.floating]:
            block = torch.as_tensor(array).to(self.device).reshape(self.shape[0], -1)
            result: NDArray[np.floating] = self.matmat(block).cpu().numpy()
            return result.reshape(array.shape)

        dtype = torch.empty(0, dtype=torch.promote_types(self.dtype, torch.float32)).numpy().dtype
        return LinearOperator(self.shape, matvec=product, rmatvec=product, matmat=product, dtype=dtype)


class Sum(Operator):
    """A weighted sum of operators, such as those of the shards of a data set."""

    @checked
    def __init__(self, operators: Annotated[Sequence[Operator], Field(min_length=1)], weights: Sequence[float]) -> None:
        """Add operators of one shape; a shard's weight is its share of the samples.

        Raises:
            UserError: if shapes differ, or there are not as many weights as operators.
        """
        if len(weights) != len(operators):
            raise UserError(f"weights: are {len(weights)} for {len(operators)} operators; expected as many")
        if len({operator.shape for operator in operators}) > 1:
            shapes = ", ".join(str(operator.shape) for operator in operators)
            raise UserError(f"operators: have shapes {shapes}; expected one shape")
        self._terms = list(zip(weights, operators, strict=True))
        self.shape, self.dtype, self.device = operators[0].shape, operators[0].dtype, operators[0].device

    @property
    def rounding(self) -> float:
        """Unit in the last place of the numbers of the least exact term."""
        return max(operator.rounding for _, operator in self._terms)

    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns)."""
        return torch.stack([weight * operator.matmat(block) for weight, operator in self._terms]).sum(0)


class _Mean(Operator):
    """A mean over samples of second derivatives, computed in chunks that fit in memory."""

    second: ClassVar[bool]
    """Whether second derivatives of the model matter."""

    @checked
    def __init__(
        self,
        model: Module,
        loss: MeanLoss,
        data: Any,
        parameters: Names | None = None,
        memory: Positive = MEMORY,
    ) -> None:
        """Set up the operator: reads the data once, and looks at a few samples from all over them.

        Args:
            model: any network that treats samples one by one; its present state is copied.
            loss: maps (outputs, targets) of a batch to the mean over its samples, as torch.nn.MSELoss() does; of
                torch.nn.CrossEntropyLoss and NLLLoss, with all they can be given, to the mean over targets that count.
            data: a pair (inputs, targets), or a list or loader of such batches, of any sizes. Inputs are a tensor, a
                tuple or list of positional arguments, or a dict of keyword arguments of the model; samples lie along
                the first axis of every tensor.
            parameters: names of the parameters, or layers, to which the matrix is restricted; by default all. Those
                that do not require gradients never count.
            memory: budget in MiB for graphs and for samples that a loader gives.

        Raises:
            UserError: if the curvature is not defined: no parameters, no samples, a loss that is not a finite mean,
                a model that changes between evaluations; if autograd does not find it; or if the memory is not enough.
        """
        self._memory = memory * 2**20
        with gradients():
            self._network = Network(model, parameters)
            self._chain = Chain.of(self._network)
            self._mean = mean_of(loss, self._parameters[0])
            self.dtype, self.device = self._parameters[0].dtype, self._parameters[0].device
            size = sum(parameter.numel() for parameter in self._parameters)
            self.shape = (size, size)
            samples = Samples(data, self._memory / 2, self._mean.weight)
            check_mean(self._network, self._mean, samples.spread)
            self._check_chunk = MeanCheck.of(self._network, self._mean, samples.spread)
            self._take(samples)
            known = self._check_chunk.inputs, self._check_chunk.targets
            few = mapped(lambda tensor: tensor[: min(FEW, self._chunk)], known)
            refuse_asymmetric(self._projected(few), self.rounding)
            twin = self._network.double()
            check_derivatives(twin, mean_of(loss, twin.parameters[0]), few, second=self.second)

    @property
    def rounding(self) -> float:
        """Unit in the last place of parameters or outputs, whichever are less exact."""
        return self._check_chunk.rounding

    def _linearise(self, inputs: Nest, loss: Callable[[Nest], Tensor]) -> Product:
        """The product of some samples' curvature, with what serves many vectors."""
        if self._chain is not None and isinstance(inputs, Tensor):
            return self._chain.linearise(inputs, loss, second=self.second)
        return self._by_autograd(self._network(self._parameters, inputs), loss)

    @abstractmethod
    def _by_autograd(self, outputs: Nest, loss: Callable[[Nest], Tensor]) -> Product:
        """The product by derivatives of a graph."""

    @property
    def _parameters(self) -> Parameters:
        return self._network.parameters

    def matmat(self, block: Tensor) -> Tensor:
        """Products with the columns of a matrix of shape (size, columns).

        Raises:
            UserError: if the matrix has another shape, or a product is not finite.
        """
        if block.dim() != 2 or len(block) != self.shape[0]:
            raise UserError(f"block: has shape {tuple(block.shape)}; expected ({self.shape[0]}, columns)")
        with gradients():
            columns = ordinary(block).to(self._parameters[0]).unbind(1)
            directions = [unflatten(column, self._parameters) for column in columns]
            chunks = self._samples.chunks(self._chunk)
            products = self._retained.products(self._build, chunks, directions)
        result = torch.stack([flatten(product) for product in products], 1)
        if not result.isfinite().all():
            raise UserError("model: a product with its curvature is not finite; check the parameters and the data")
        return result.to(block)

    def gradient(self) -> Tensor:
        """Gradient of the loss, shape (size,)."""
        with gradients():
            total = torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
            for chunk in self._samples.chunks(self._chunk):
                inputs, loss = self._prepared(chunk, check=self._unchecked > 0)
                total += flatten(grad(loss(self._network(self._parameters, inputs)), self._parameters))
        return total

    def thinned(self, stride: int = 10) -> Self:
        """Take every stride-th sample: the operator of these is a cheap approximation to start from.

        Raises:
            UserError: if the stride is not positive.
        """
        if stride < 1:
            raise UserError(f"stride: is {stride}; expected 1 or more")
        twin = copy.copy(self)
        with gradients():
            twin._take(Samples(self._samples.thinned(stride), 0, self._mean.weight))
        return twin

    def _take(self, samples: Samples) -> None:
        """Be the operator of other samples."""
        self._samples, self._unchecked = samples, samples.count
        self._chunk, room = plan(self._sample_bytes(), samples, self._memory)
        self._retained: Retained[Batch] = Retained(room)

    def _prepared(self, batch: Batch, *, check: bool = False) -> tuple[Nest, Callable[[Nest], Tensor]]:
        """Inputs of a batch, and its share of the loss as a function of the outputs.

        A single sample is taken twice, since many a model fails on a batch of one, such as by squeeze().
        """
        count = len(leaves(batch[1])[0])
        share = 1 / self._samples.weight / (2 if count == 1 else 1)
        inputs, targets = (joined([part, part]) if count == 1 else part for part in batch)
        expected = self._network.cast(targets)

        def loss(values: Nest) -> Tensor:
            if check:
                self._unchecked -= count
                self._check_chunk(inputs, values, expected)
            return share * self._mean.total(values, expected)

        return self._network.cast(inputs), loss

    def _build(self, batch: Batch) -> Product:
        return self._linearise(*self._prepared(batch, check=self._unchecked > 0))

    def _projected(self, batch: Batch) -> Tensor:
        """V' H V for two random vectors and the curvature H of a few samples."""
        product, vectors = self._linearise(*self._prepared(batch)), _probes(self.shape[0], self._parameters[0])
        images = [flatten(product(unflatten(vector, self._parameters))) for vector in vectors]
        return torch.stack(images) @ vectors.mT

    def _sample_bytes(self) -> float:
        """Bytes that one more sample adds to a graph."""
        few, more = (mapped(lambda tensor, n=n: torch.cat([tensor[:1]] * n), self._samples.largest) for n in (2, 3))

        def graph(batch: Batch) -> float:
            return graph_bytes(lambda: self._linearise(*self._prepared(batch)), self._parameters)

        return max(graph(more) - graph(few), 1)


class Hessian(_Mean):
    """The Hessian of a loss that is a mean over samples (Pearlmutter 1994: gradient of the slope of the gradient)."""

    second = True

    def _by_autograd(self, outputs: Nest, loss: Callable[[Nest], Tensor]) -> Product:
        return hessian_product(loss(outputs), self._parameters)


class GaussNewton(_Mean):
    """The generalised Gauss-Newton matrix, mean of J' H J with H the loss's Hessian in the outputs (Schraudolph 2002).

    It is positive semi-definite for convex losses, and the Hessian of networks that fit their targets exactly.
    """

    second = False

    def _by_autograd(self, outputs: Nest, loss: Callable[[Nest], Tensor]) -> Product:
        return gauss_newton_product(outputs, loss, self._parameters)


def _probes(size: int, like: Tensor) -> Tensor:
    """Two random vectors, shape (2, size)."""
    return (2 * torch.rand(2, size, generator=torch.Generator().manual_seed(0)) - 1).to(like)
