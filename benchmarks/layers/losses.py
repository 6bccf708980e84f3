"""Losses at the end of a perceptron."""

import torch
from torch import Tensor, nn
from torch.nn import Module, functional

from benchmarks.layers.cases import SAMPLES, Case, comparing, ending, named, quietly, ready, real, whole
from benchmarks.layers.reference import Nest

CLASSES = 3
LABELS = whole(CLASSES)
SIGNS = (2 * whole(2) - 1).double()
WEIGHTS = torch.tensor([0.5, 1, 2], dtype=torch.float64)
SHARES = torch.softmax(real(CLASSES, seed=4), 1)
ONE, MANY = whole(2, 2).double(), whole(2, CLASSES).double()
SEVERAL = torch.tensor([[0, -1, -1], [2, 1, -1], [1, 0, -1], [2, -1, -1]]).repeat(SAMPLES // 4, 1)


def _ignoring() -> Tensor:
    """Labels of which two, both in the first half, do not count."""
    return torch.cat([torch.full((2,), -100), LABELS[2:]])


def _divergence() -> Module:
    return nn.KLDivLoss(reduction="batchmean", log_target=True)


REGRESSION: list[Case] = [
    ending(nn.L1Loss(), real(2, seed=1), 2),
    ending(nn.MSELoss(), real(2, seed=1), 2),
    ending(nn.MSELoss(reduction="sum"), real(2, seed=1), 2, special="sum"),
    ending(nn.HuberLoss(delta=0.7), real(2, seed=1), 2),
    ending(nn.SmoothL1Loss(beta=0.7), real(2, seed=1), 2),
    ending(nn.PoissonNLLLoss(), whole(5, 2).double(), 2),
    ending(nn.PoissonNLLLoss(log_input=False, full=True), whole(5, 2).double(), 2, nn.Softplus(), special="full"),
]

CLASSIFICATION: list[Case] = [
    ending(nn.CrossEntropyLoss(), LABELS, CLASSES),
    ending(nn.CrossEntropyLoss(WEIGHTS), LABELS, CLASSES, special="weights of classes"),
    ending(nn.CrossEntropyLoss(), _ignoring(), CLASSES, special="ignored samples"),
    ending(nn.CrossEntropyLoss(label_smoothing=0.2), LABELS, CLASSES, special="label_smoothing"),
    ending(nn.CrossEntropyLoss(), SHARES, CLASSES, special="probabilities"),
    ending(nn.CrossEntropyLoss(reduction="sum"), LABELS, CLASSES, special="sum"),
    ending(nn.CrossEntropyLoss(), whole(CLASSES, 2), 2 * CLASSES, nn.Unflatten(1, (CLASSES, 2)), special="sequences"),
    ending(nn.NLLLoss(), LABELS, CLASSES, nn.LogSoftmax(1)),
    ending(nn.NLLLoss(WEIGHTS), LABELS, CLASSES, nn.LogSoftmax(1), special="weights of classes"),
    ending(quietly(nn.NLLLoss2d), whole(2, 1, 2), 4, nn.Unflatten(1, (2, 1, 2)), nn.LogSoftmax(1)),
    ending(nn.KLDivLoss(), SHARES, CLASSES, nn.LogSoftmax(1)),
    ending(
        nn.KLDivLoss(reduction="batchmean", log_target=True),
        SHARES.log(),
        CLASSES,
        nn.LogSoftmax(1),
        special="log_target",
    ),
    ending(nn.BCELoss(), ONE, 2, nn.Sigmoid()),
    ending(nn.BCEWithLogitsLoss(), ONE, 2),
    ending(nn.BCEWithLogitsLoss(pos_weight=WEIGHTS), MANY, CLASSES, special="pos_weight"),
    ending(nn.MultiMarginLoss(), LABELS, CLASSES),
    ending(nn.MultiMarginLoss(p=2, weight=WEIGHTS), LABELS, CLASSES, special="p=2 and weights of classes"),
    ending(nn.MultiLabelMarginLoss(), SEVERAL, CLASSES),
    ending(nn.MultiLabelSoftMarginLoss(), MANY, CLASSES),
    ending(nn.MultiLabelSoftMarginLoss(WEIGHTS), MANY, CLASSES, special="weights of classes"),
    ending(nn.SoftMarginLoss(), SIGNS.unsqueeze(1), 1),
    ending(nn.HingeEmbeddingLoss(), SIGNS.unsqueeze(1), 1, nn.Softplus()),
]


def _with_variances(criterion: Module, outputs: Nest, targets: Nest) -> Tensor:
    return criterion(outputs[0], targets, functional.softplus(outputs[1]))


def _pair(criterion: Module, outputs: Nest, targets: Nest) -> Tensor:
    return criterion(*outputs, targets)


def _numbers(criterion: Module, outputs: Nest, targets: Nest) -> Tensor:
    return criterion(outputs[0].squeeze(1), outputs[1].squeeze(1), targets)


def _triplet(criterion: Module, outputs: Nest, targets: Nest) -> Tensor:
    return criterion(outputs[0], outputs[1], targets)


def _far(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().pow(3).sum(1)


SEVERAL_OUTPUTS: list[Case] = [
    comparing(nn.GaussianNLLLoss(), real(2, seed=1), 2, 2, apply=_with_variances),
    comparing(nn.GaussianNLLLoss(full=True), real(2, seed=1), 2, 2, special="full", apply=_with_variances),
    comparing(nn.MarginRankingLoss(0.5), SIGNS, 1, 2, apply=_numbers),
    comparing(nn.CosineEmbeddingLoss(-0.5), SIGNS, 3, 2, apply=_pair),
    comparing(nn.TripletMarginLoss(2), real(3, seed=1), 3, 2, apply=_triplet),
    comparing(nn.TripletMarginLoss(2, p=3, swap=True), real(3, seed=1), 3, 2, special="p=3 and swap", apply=_triplet),
    comparing(
        nn.TripletMarginWithDistanceLoss(distance_function=_far, margin=2), real(3, seed=1), 3, 2, apply=_triplet
    ),
]


class Likelihood(Module):
    """A loss with parameters of its own as the last layer: it takes the labels with the inputs."""

    def __init__(self, criterion: Module) -> None:
        """A hidden layer and the loss."""
        super().__init__()
        self.enter, self.criterion = nn.Linear(3, 4), criterion

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Losses of all samples."""
        result = self.criterion(torch.tanh(self.enter(inputs)), labels)
        return result if isinstance(result, Tensor) else -result.output


def _own(criterion: Module, special: str = "") -> Case:
    model, labels = ready(Likelihood(criterion)), whole(4)
    return Case(named(criterion, special), model, lambda outputs, _: outputs.mean(), (real(3), labels), labels)


class Frames(Module):
    """Logarithms of probabilities of three symbols in five frames, as CTC takes them but with the samples first."""

    def __init__(self) -> None:
        """A perceptron of all frames."""
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 15), nn.Unflatten(1, (5, 3)), nn.LogSoftmax(2)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape (samples, frames, symbols)."""
        return self.net(inputs)


def _ctc() -> Case:
    criterion = nn.CTCLoss()

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        count = len(outputs)
        return criterion(outputs.transpose(0, 1), targets, torch.full((count,), 5), torch.full((count,), 2))

    return Case("CTCLoss", ready(Frames()), loss, real(3), whole(3, 2, least=1))


OWN_PARAMETERS: list[Case] = [
    _own(nn.AdaptiveLogSoftmaxWithLoss(4, 4, [2], div_value=2)),
    _own(nn.LinearCrossEntropyLoss(4, 4, reduction="none")),
    _own(nn.LinearCrossEntropyLoss(4, 4, bias=True, reduction="none"), "bias"),
    _ctc(),
]
