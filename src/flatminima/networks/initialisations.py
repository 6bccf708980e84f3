"""Initial weights by their names in the field."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Generator, Tensor
from torch.nn import init

from flatminima.networks.fully_convolutional import FILTER, FullyConvolutionalStack
from flatminima.networks.stack import Stack
from flatminima.networks.symmetries import rescale_layers

UNBALANCED_LOG_SCALE = 0.5

FILLS: dict[str, Callable[..., Tensor]] = {
    "pytorch": partial(init.kaiming_uniform_, a=math.sqrt(5)),
    "kaiming_uniform": partial(init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(init.kaiming_normal_, nonlinearity="relu"),
    "xavier_uniform": init.xavier_uniform_,
    "xavier_normal": init.xavier_normal_,
}


def initialise(
    name: str,
    widths: Sequence[int],
    generators: Sequence[Generator],
    *,
    rectified: bool = False,
    bias: bool = False,
    scale: float = 1.0,
) -> Stack:
    """Draw one network per generator.

    `pytorch` is torch.nn.Linear's default, biases included; `identity` is W_k = I, a residual network with zero
    residuals; `balanced` factorises a Xavier-normal map into W_{k+1}' W_{k+1} = W_k W_k'; `unbalanced` rescales the
    layers of such a network at random without changing its function. Biases start at zero, but for `pytorch`.

    Args:
        name: an `Initialisation` of the configuration.
        widths: d_0, ..., d_m.
        generators: one per replica.
        rectified: whether the networks are ReLU networks.
        bias: whether the layers have biases.
        scale: factor of all weights; biases are left as they are.

    Raises:
        ValueError: if `identity` is asked for layers that are not square.
    """
    networks = [_draw(name, widths, generator) for generator in generators]
    weights = tuple(torch.stack(layer) for layer in zip(*networks, strict=True))
    biases = _biases(name, weights, generators) if bias else ()
    stack = Stack(tuple(scale * weight for weight in weights), biases, rectified)
    return rescale_layers(stack, UNBALANCED_LOG_SCALE, generators) if name == "unbalanced" else stack


def initialise_filters(
    channels: Sequence[int], side: int, generators: Sequence[Generator], *, bias: bool = False, scale: float = 1.0
) -> FullyConvolutionalStack:
    """Draw one fully convolutional ReLU network per generator, from torch.nn.Conv2d's default.

    Args:
        channels: c_0, ..., c_m.
        side: pixels along an edge of the images.
        generators: one per replica.
        bias: whether the layers have biases.
        scale: factor of all weights; biases are left as they are.
    """
    shapes = [(after, before, FILTER, FILTER) for before, after in pairwise(channels)]
    networks = [_fill("pytorch", shapes, generator) for generator in generators]
    weights = tuple(torch.stack(layer) for layer in zip(*networks, strict=True))
    biases = _biases("pytorch", weights, generators) if bias else ()
    scaled = tuple(scale * weight for weight in weights)
    return FullyConvolutionalStack(scaled, biases, rectified=True, side=side)


def _draw(name: str, widths: Sequence[int], generator: Generator) -> list[Tensor]:
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    if name == "identity":
        if len(set(widths)) > 1:
            raise ValueError(f"zero-initialised residual layers are square; the widths are {list(widths)}")
        return [torch.eye(rows, dtype=torch.float64) for rows, _ in shapes]
    if name in ("balanced", "unbalanced"):
        return _balanced(widths, generator)
    return _fill(name, shapes, generator)


def _fill(name: str, shapes: Sequence[tuple[int, ...]], generator: Generator) -> list[Tensor]:
    return [FILLS[name](torch.empty(shape, dtype=torch.float64), generator=generator) for shape in shapes]


def _balanced(widths: Sequence[int], generator: Generator) -> list[Tensor]:
    depth = len(widths) - 1
    target = init.xavier_normal_(torch.empty(widths[-1], widths[0], dtype=torch.float64), generator=generator)
    left, values, right = torch.linalg.svd(target, full_matrices=False)
    rank = min(widths)
    bases = [right[:rank].T, *(orthonormal(d, rank, generator) for d in widths[1:-1]), left[:, :rank]]
    gains = values[:rank] ** (1 / depth)
    return [bases[k + 1] * gains @ bases[k].T for k in range(depth)]


def orthonormal(rows: int, columns: int, generator: Generator) -> Tensor:
    """Columns that are orthonormal and drawn uniformly, float64; rows, where there are fewer rows than columns."""
    return init.orthogonal_(torch.empty(rows, columns, dtype=torch.float64), generator=generator)


def _biases(name: str, weights: Sequence[Tensor], generators: Sequence[Generator]) -> tuple[Tensor, ...]:
    biases = [torch.zeros(weight.shape[:2], dtype=torch.float64) for weight in weights]
    if name == "pytorch":
        for layer, weight in zip(biases, weights, strict=True):
            largest = 1 / math.sqrt(weight[0, 0].numel())
            for bias, generator in zip(layer, generators, strict=True):
                bias.uniform_(-largest, largest, generator=generator)
    return tuple(biases)
