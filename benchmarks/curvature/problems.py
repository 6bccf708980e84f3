"""Networks that all methods are compared on, trained briefly on enlarged copies of scikit-learn's digits."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD

CLASSES = 10


@dataclass(frozen=True)
class Problem:
    """A trained network, its loss and its samples."""

    name: str
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    inputs: Tensor
    targets: Tensor

    def batches(self, size: int) -> list[tuple[Tensor, Tensor]]:
        """All samples in batches, for those who want a loader."""
        return list(zip(self.inputs.split(size), self.targets.split(size), strict=True))


def linear(samples: int = 10_000) -> Problem:
    """784-256-256-10 without biases, mean squared error to one-hot targets."""
    torch.manual_seed(0)
    inputs, labels = _digits(samples, 28)
    model = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in [(784, 256), (256, 256), (256, CLASSES)]))
    targets = functional.one_hot(labels, CLASSES).float()
    return _trained("linear 784-256-256-10", model, nn.MSELoss(), inputs.flatten(1), targets, rate=0.1)


def relu(samples: int = 10_000) -> Problem:
    """784-512-512-10 with biases, mean squared error to one-hot targets: its two largest eigenvalues are 2 % apart."""
    torch.manual_seed(0)
    inputs, labels = _digits(samples, 28)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, CLASSES))
    targets = functional.one_hot(labels, CLASSES).float()
    return _trained("ReLU 784-512-512-10", model, nn.MSELoss(), inputs.flatten(1), targets, rate=0.3, steps=250)


def convolutional(samples: int) -> Problem:
    """Three convolutions and a linear layer for 32x32 colour images, cross-entropy."""
    torch.manual_seed(0)
    inputs, labels = _digits(samples, 32)
    channels = [(3, 16), (16, 32), (32, 64)]
    blocks = [(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for a, b in channels]
    model = nn.Sequential(*(layer for block in blocks for layer in block), nn.Flatten(), nn.Linear(1024, CLASSES))
    images = inputs.unsqueeze(1) * torch.tensor([1.0, 0.8, 0.6]).view(3, 1, 1)
    return _trained("convolutional 32x32x3", model, nn.CrossEntropyLoss(), images, labels, rate=0.05, steps=50)


class Transformer(nn.Module):
    """A layer of attention over pixels, each a token, and a linear layer on the mean over them."""

    def __init__(self, tokens: int, features: int = 16, heads: int = 1) -> None:
        """Draw the parameters."""
        super().__init__()
        self.place = nn.Parameter(0.1 * torch.randn(tokens, features))
        self.embed = nn.Linear(1, features)
        self.layer = nn.TransformerEncoderLayer(features, heads, 4 * features, dropout=0.0, batch_first=True)
        self.read = nn.Linear(features, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of the classes, shape (samples, classes), for shape (samples, tokens)."""
        encoded: Tensor = self.layer(self.embed(pixels.unsqueeze(2)) + self.place)
        scores: Tensor = self.read(encoded.mean(1))
        return scores


def attention(samples: int) -> Problem:
    """A transformer's layer of one head on 32x32 grey images as sequences of 1,024 tokens, cross-entropy."""
    torch.manual_seed(0)
    inputs, labels = _digits(samples, 32)
    model = Transformer(inputs[0].numel())
    pixels, loss = inputs.flatten(1), nn.CrossEntropyLoss()
    return _trained("attention, 1,024 tokens", model, loss, pixels, labels, rate=0.05, steps=20, batch=4)


def _digits(samples: int, side: int) -> tuple[Tensor, Tensor]:
    """Digits drawn with replacement, enlarged, with noise: inputs (samples, side, side) and labels."""
    digits = load_digits()
    chosen = torch.randint(len(digits.data), (samples,))
    images = torch.from_numpy(digits.images).float()[chosen].unsqueeze(1) / 16
    enlarged = functional.interpolate(images, (side, side), mode="bilinear").squeeze(1)
    return enlarged + 0.2 * torch.randn_like(enlarged), torch.from_numpy(digits.target)[chosen]


def _trained(
    name: str,
    model: nn.Module,
    loss: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    rate: float,
    steps: int = 300,
    batch: int = 128,
) -> Problem:
    optimiser = SGD(model.parameters(), lr=rate, momentum=0.9)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (batch,))
        optimiser.zero_grad()
        loss(model(inputs[chosen]), targets[chosen]).backward()
        optimiser.step()
    return Problem(name, model.eval(), loss, inputs, targets)
