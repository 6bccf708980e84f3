"""Networks with several inputs or outputs, losses with several targets."""

import torch
from torch import Tensor, nn
from torch.nn import Module, functional

from benchmarks.layers.cases import Case, ready, real, whole
from benchmarks.layers.reference import Nest

LABELS = whole(3)


class Scaled(Module):
    """A perceptron of numbers and of tokens, whose weights come with the inputs."""

    def __init__(self) -> None:
        """Two ways in, two heads."""
        super().__init__()
        self.enter, self.tokens = nn.Linear(3, 4), nn.Embedding(5, 4)
        self.classes, self.numbers = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, inputs: Tensor, tokens: Tensor, scale: Tensor | None = None) -> dict[str, Tensor]:
        """Two heads by name."""
        hidden = torch.tanh(self.enter(inputs) + self.tokens(tokens))
        hidden = hidden if scale is None else scale.unsqueeze(1) * hidden
        return {"classes": self.classes(hidden), "numbers": self.numbers(hidden)}


def _classes(outputs: Nest, targets: Nest) -> Tensor:
    return functional.cross_entropy(outputs["classes"], targets)


def _both(outputs: Nest, targets: Nest) -> Tensor:
    distance = functional.mse_loss(outputs["numbers"], targets["numbers"])
    return functional.cross_entropy(outputs["classes"], targets["classes"]) + distance


def _pair(outputs: Nest, targets: Nest) -> Tensor:
    labels, (numbers, weights) = targets
    distances = (outputs["numbers"] - numbers).square().sum(1)
    return functional.cross_entropy(outputs["classes"], labels) + (weights * distances).mean()


INPUTS, TOKENS, NUMBERS = real(3), whole(5), real(2, seed=1)
NAMED = {"inputs": INPUTS, "tokens": TOKENS, "scale": real(seed=3).abs()}
NETWORK = ready(Scaled())
SCALAR = ready(nn.Sequential(nn.Unflatten(0, (-1, 1)), nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0)))
IDS = ready(nn.Sequential(nn.Embedding(5, 3), nn.Tanh(), nn.Linear(3, 3)))

NESTS: list[Case] = [
    Case("inputs in a tuple", NETWORK, _classes, (INPUTS, TOKENS), LABELS),
    Case("inputs in a list", NETWORK, _classes, [INPUTS, TOKENS], LABELS),
    Case("inputs in a dict", NETWORK, _classes, NAMED, LABELS),
    Case("targets in a dict", NETWORK, _both, NAMED, {"classes": LABELS, "numbers": NUMBERS}),
    Case("targets in nested tuples", NETWORK, _pair, (INPUTS, TOKENS), (LABELS, (NUMBERS, real(seed=5).abs()))),
    Case("inputs of one axis", IDS, nn.CrossEntropyLoss(), TOKENS, LABELS),
    Case("inputs and targets of one axis", SCALAR, nn.MSELoss(), real(), real(seed=1)),
]
