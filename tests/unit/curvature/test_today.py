"""Small networks of today's kinds: both matrices against dense ones from differences of first derivatives."""

from copy import deepcopy
from functools import cache

import pytest
import torch
from benchmarks.layers.cases import Case, ready, real, whole
from benchmarks.layers.outcomes import Outcome, outcomes
from benchmarks.layers.reference import Flat, difference, hessian
from modules import columns, flat_loss
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.autograd.functional import hvp, jvp, vjp
from torch.nn import functional
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vision_transformer import VisionTransformer

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import GaussNewton, Hessian

TOKENS, LENGTH, WIDTH = 5, 4, 4
CLASSES = 3
LABELS = whole(CLASSES)
RIGHT = {"Hessian": Outcome("right"), "Gauss-Newton": Outcome("right")}


class Attention(nn.Module):
    """A residual block of causal attention in two heads, written with scaled_dot_product_attention."""

    def __init__(self):
        super().__init__()
        self.norm, self.mixed, self.leave = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden, padding=None):
        heads = self.mixed(self.norm(hidden)).unflatten(2, (3, 2, WIDTH // 2)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*heads, is_causal=True)
        return hidden + self.leave(attended.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """torch's own layer with a causal mask, and another for padding."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 4, activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, hidden, padding=None):
        mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
        return self.layers(hidden, mask=mask, src_key_padding_mask=padding, is_causal=True)


class LanguageModel(nn.Module):
    """Next tokens: embedding and positions, a causal block, and the embedding again as the head."""

    def __init__(self, block):
        super().__init__()
        self.embedding, self.block = nn.Embedding(TOKENS, WIDTH), block
        self.positions = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TOKENS, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens, padding=None):
        hidden = self.block(self.embedding(tokens) + self.positions, padding)
        return self.head(self.norm(hidden)).mT


SEQUENCES = whole(TOKENS, LENGTH + 1)
BEFORE, AFTER = SEQUENCES[:, :-1], SEQUENCES[:, 1:]


def language_model(block):
    return Case("language model", ready(LanguageModel(block)), nn.CrossEntropyLoss(), BEFORE, AFTER)


class InSingle(nn.RMSNorm):
    """The norm as Llama computes it: in single precision, whatever that of the network."""

    def forward(self, hidden):
        single = hidden.to(torch.float32)
        single = single * torch.rsqrt(single.square().mean(-1, keepdim=True) + torch.finfo(torch.float64).eps)
        return self.weight * single.to(hidden.dtype)


class SoftlyInSingle(Attention):
    """Attention whose softmax is computed in single precision."""

    def forward(self, hidden, padding=None):
        heads = self.mixed(self.norm(hidden)).unflatten(2, (3, 2, WIDTH // 2)).permute(2, 0, 3, 1, 4)
        mask = torch.full((LENGTH, LENGTH), -torch.inf).triu(1)
        scores = heads[0] @ heads[1].mT / (WIDTH // 2) ** 0.5 + mask
        attended = functional.softmax(scores, -1, dtype=torch.float32).to(hidden.dtype) @ heads[2]
        return hidden + self.leave(attended.transpose(1, 2).flatten(2))


def padded(lengths, loss):
    """Sequences of several lengths, with a mask among the inputs and targets that do not count."""
    padding = torch.arange(LENGTH) >= torch.tensor(lengths).unsqueeze(1)
    inputs = {"tokens": BEFORE, "padding": padding}
    return Case("padded", ready(LanguageModel(Encoder())), loss, inputs, AFTER.masked_fill(padding, -100))


def mean_of_sequences(outputs, targets):
    """Each sequence counts as much as any other, whatever its length."""
    losses = functional.cross_entropy(outputs, targets, ignore_index=-100, reduction="none")
    return (losses.sum(1) / (targets != -100).sum(1)).mean()


def vision_transformer():
    model = ready(VisionTransformer(8, 4, 1, 2, 8, 8, num_classes=CLASSES))
    names = ["class_token", "encoder.layers.encoder_layer_0.self_attention", "encoder.ln", "heads"]
    return Case("ViT", model, nn.CrossEntropyLoss(label_smoothing=0.1), real(3, 8, 8), LABELS, parameters=names)


class Classifier(nn.Module):
    """The last state of an LSTM over embedded tokens."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(TOKENS, 3), nn.LSTM(3, 3, batch_first=True)
        self.head = nn.Linear(3, CLASSES)

    def forward(self, tokens):
        _, (state, _) = self.lstm(self.embedding(tokens))
        return self.head(state[-1])


def lstm():
    return Case("LSTM", ready(Classifier()), nn.CrossEntropyLoss(), BEFORE, LABELS)


def residual():
    """The first two stages of a ResNet, with kinks of ReLUs so near that differences want short steps."""
    torch.manual_seed(1)
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=CLASSES)
    model.layer3, model.layer4, model.fc = nn.Identity(), nn.Identity(), nn.Linear(128, CLASSES)
    names = ["bn1", "layer2.0.downsample.1.bias", "fc.bias"]
    model = model.double().eval()
    return Case("ResNet", model, nn.CrossEntropyLoss(), real(3, 8, 8), LABELS, parameters=names, step=1e-7)


def convolutional():
    """Depthwise convolutions, layer norms, GELUs, scaled residuals."""
    model = ready(ConvNeXt([CNBlockConfig(4, 5, 1), CNBlockConfig(5, None, 1)], num_classes=CLASSES))
    names = ["features.1.0.layer_scale", "features.1.0.block.3", "features.2", "classifier"]
    return Case("ConvNeXt", model, nn.CrossEntropyLoss(), real(3, 16, 16), LABELS, parameters=names)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(language_model(Attention()), id="language model, scaled_dot_product_attention"),
        pytest.param(language_model(Encoder()), id="language model, TransformerEncoder"),
        pytest.param(padded([4, 2, 3, 2, 1, 4, 3, 3], mean_of_sequences), id="padded, mean of sequences"),
        pytest.param(padded([3] * 8, nn.CrossEntropyLoss(ignore_index=-100)), id="padded to one length"),
        pytest.param(vision_transformer(), id="VisionTransformer"),
        pytest.param(lstm(), id="LSTM"),
        pytest.param(residual(), id="ResNet"),
        pytest.param(convolutional(), id="ConvNeXt"),
    ],
)
def test_both_matrices(case):
    assert outcomes(case) == RIGHT


@pytest.mark.parametrize("lengths", [[4, 4, 3, 4, 1, 2, 1, 1], [4, 2, 3, 1, 4, 2, 3, 1]])
def test_means_over_tokens_are_no_means_over_sequences(lengths):
    """Where sequences differ in length, a batch's mean over tokens is not the mean of its sequences' losses.

    That shows in the halves of the first list, and in no halves of the second.
    """
    found = outcomes(padded(lengths, nn.CrossEntropyLoss(ignore_index=-100)))
    assert found == RIGHT or {(o.verdict, "mean" in o.detail) for o in found.values()} == {("refused", True)}, found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("part", ["norm", "softmax"])
def test_parts_in_single_precision(part, dtype):
    """A network that computes its norms or its softmax in single precision is right to that precision."""
    case = language_model(Attention())
    model = deepcopy(case.model)
    if part == "norm":
        model.block.norm = InSingle(WIDTH)
    else:
        model.block = SoftlyInSingle()
    model.load_state_dict(case.model.state_dict())
    operator = Hessian(model.to(dtype), case.loss, (BEFORE, AFTER))
    assert difference(columns(operator), hessian(Flat(case.model, case.loss, BEFORE, AFTER))) < 1e-5


@cache
def fitted(seed):
    """A perceptron trained until its cross-entropy is below a millionth, with its samples, in float32."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, CLASSES))
    inputs, labels = torch.randn(60, 20), torch.randint(CLASSES, (60,))
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(150):
        optimiser.zero_grad()
        loss = functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimiser.step()
    assert loss < 1e-6
    return model, inputs, labels


def exact_top(kind, seed):
    """Largest eigenvalue by scipy, in float64."""
    model, inputs, labels = fitted(seed)
    outputs, value, flat = flat_loss(deepcopy(model).double(), functional.cross_entropy, inputs.double(), labels)

    def product(array):
        vector = torch.from_numpy(array).flatten()
        if kind is Hessian:
            return hvp(value, flat, vector)[1].numpy()
        centre, pushed = jvp(outputs, flat, vector)
        curved = hvp(lambda logits: functional.cross_entropy(logits, labels), centre, pushed)[1]
        return vjp(outputs, flat, curved)[1].numpy()

    matrix = LinearOperator((len(flat), len(flat)), product, dtype=float)
    return eigsh(matrix, 1, which="LA", return_eigenvectors=False, v0=real(len(flat))[0].numpy())[0]


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
def test_networks_that_fit_their_labels(kind, dtype, seed):
    """Probabilities so near to one that float32 hardly holds the distance: what is certified still holds."""
    model, inputs, labels = fitted(seed)
    pairs = eigenpairs(kind(deepcopy(model).to(dtype), nn.CrossEntropyLoss(), (inputs, labels)), max_products=100)
    expected = exact_top(kind, seed)
    assert abs(pairs.eigenvalues.item() - expected) <= pairs.residuals.item() + 1e-5 * expected
    assert pairs.residuals.item() <= 1e-4 * expected
