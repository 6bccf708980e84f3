"""Small networks, each around one layer or before one loss."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Module

from benchmarks.layers.reference import STEP, Nest

SAMPLES = 8
SPREAD = 0.7
"""Standard deviation of all parameters: wide enough that activations reach all of their pieces."""


@dataclass(frozen=True)
class Case:
    """A network with its samples.

    Attributes:
        name: class of the layer or loss, and in brackets what is special.
        model: in float64 and evaluation mode.
        loss: maps (outputs, targets) to a number.
        inputs: a tensor; a tuple of positional arguments; or a dict of keyword arguments.
        targets: what the loss takes.
        truth: the same network written out, where differences of the model itself are not what is wanted.
        parameters: names of those that are differentiated, or of their layers; all where absent.
        step: of differences; shorter where kinks are many and near.
    """

    name: str
    model: Module
    loss: Callable[[Nest, Nest], Tensor]
    inputs: Nest
    targets: Nest
    truth: Module | None = None
    parameters: Sequence[str] | None = None
    step: float = STEP


def real(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers for all samples."""
    return torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(below: int, *shape: int, seed: int = 1, least: int = 0) -> Tensor:
    """Whole numbers for all samples, such as classes."""
    return torch.randint(least, below, (SAMPLES, *shape), generator=torch.Generator().manual_seed(seed))


def ready(model: Module) -> Module:
    """In float64 and evaluation mode, with normal parameters, and statistics as after training."""
    generator = torch.Generator().manual_seed(2)
    model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(SPREAD * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=torch.float64))
    return model


def named(layer: Module, special: str) -> str:
    """Name of a case."""
    return f"{type(layer).__name__} ({special})" if special else type(layer).__name__


def quietly(build: Callable[..., Module], *arguments: Any, **options: Any) -> Module:
    """A layer or loss without the warnings that it comes with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(*arguments, **options)


def _plain(layer: Module, hidden: Tensor) -> Nest:
    return layer(hidden)


class Between(Module):
    """A layer after a linear one along the last axis, and before a linear one of everything."""

    def __init__(self, layer: Module, shape: tuple[int, ...], apply: Callable[[Module, Tensor], Nest]) -> None:
        """Find out the size of the layer's outputs."""
        super().__init__()
        self.enter, self.layer, self.apply_layer = nn.Linear(shape[-1], shape[-1]), layer, apply
        self.leave = nn.Linear(self.hidden(torch.zeros(SAMPLES, *shape)).shape[1], 2)

    def hidden(self, inputs: Tensor) -> Tensor:
        """The layer's (first) outputs, one row for each sample."""
        result = self.apply_layer(self.layer, self.enter(inputs))
        return (result[0] if isinstance(result, tuple) else result).flatten(1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Two numbers for each sample."""
        return self.leave(self.hidden(inputs))


def between(
    layer: Module, *shape: int, special: str = "", name: str = "", apply: Callable[[Module, Tensor], Nest] = _plain
) -> Case:
    """A layer amid linear ones.

    Args:
        layer: the layer.
        shape: of one sample for it.
        special: what is special about it.
        name: where it is not that of the layer.
        apply: how the layer takes the hidden tensor; by default as its only argument.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ready(Between(layer, shape, apply))
    return Case(name or named(layer, special), model, nn.MSELoss(), real(*shape), real(2, seed=1))


class Heads(Module):
    """A hidden layer, and as many linear heads as the loss has inputs."""

    def __init__(self, outputs: int, heads: int) -> None:
        """Some outputs for each head."""
        super().__init__()
        self.enter = nn.Linear(3, 4)
        self.heads = nn.ModuleList(nn.Linear(4, outputs) for _ in range(heads))

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """One tensor for each head."""
        hidden = torch.tanh(self.enter(inputs))
        return tuple(head(hidden) for head in self.heads)


def ending(criterion: Module, targets: Tensor, outputs: int, *then: Module, special: str = "") -> Case:
    """A loss of (outputs, targets) at the end of a perceptron.

    Args:
        criterion: the loss.
        targets: its targets.
        outputs: of the perceptron's last linear layer.
        then: layers after it, such as a softmax.
        special: what is special about the loss.
    """
    model = ready(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs), *then))
    return Case(named(criterion, special), model, criterion, real(3), targets)


def comparing(
    criterion: Module,
    targets: Nest,
    outputs: int,
    heads: int,
    *,
    special: str = "",
    apply: Callable[[Module, Nest, Nest], Tensor],
) -> Case:
    """A loss of several outputs."""
    model = ready(Heads(outputs, heads))
    return Case(named(criterion, special), model, lambda o, t: apply(criterion, o, t), real(3), targets)
