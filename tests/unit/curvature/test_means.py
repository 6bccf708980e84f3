"""What a loss is over all data: weights of classes, tokens that count, and means that are none, wherever they lie."""

import pytest
import torch
from modules import data, dense_hessian, mlp, seeded
from references import DTYPE, generator, normal
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from flatminima.curvature import operators
from flatminima.curvature.diagonal import gauss_newton_diagonal
from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.errors import UserError

EXACT = {"rtol": 1e-9, "atol": 1e-11}
WEIGHTS = torch.tensor([1.0, 5.0, 20.0], dtype=DTYPE)


def by_class(samples=90):
    """Inputs and labels, all of the first class, then all of the second, then all of the third."""
    inputs, targets = data(mlp(), samples)
    order = targets.argsort(stable=True)
    return inputs[order], targets[order]


def assert_products(operator, reference):
    block = normal(4, len(reference), 2)
    torch.testing.assert_close(operator.matmat(block), reference @ block, **EXACT)


def in_chunks(monkeypatch, size):
    monkeypatch.setattr(operators, "plan", lambda *_: (size, 0))


def log_likelihoods():
    return nn.Sequential(mlp(), nn.LogSoftmax(1))


@pytest.mark.parametrize("chunk", [2, 7, 30, 90])
@pytest.mark.parametrize(
    ("build", "loss"),
    [
        (mlp, nn.CrossEntropyLoss(WEIGHTS)),
        (mlp, nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.2)),
        (mlp, nn.CrossEntropyLoss(WEIGHTS, ignore_index=1)),
        (log_likelihoods, nn.NLLLoss(WEIGHTS)),
        (log_likelihoods, nn.NLLLoss(ignore_index=2)),
    ],
)
def test_weights_of_classes_in_data_sorted_by_class(build, loss, chunk, monkeypatch):
    """Each chunk normalised by its own weights would be wrong."""
    in_chunks(monkeypatch, chunk)
    model, (inputs, targets) = build(), by_class()
    reference = dense_hessian(model, loss, inputs, targets)
    assert_products(Hessian(model, loss, (inputs, targets)), reference)


def test_copies_of_all_samples_change_nothing():
    model, (inputs, targets) = mlp(), by_class()
    copies = torch.arange(len(inputs)).repeat_interleave(8)
    tops = [
        eigenpairs(Hessian(model, nn.CrossEntropyLoss(WEIGHTS), (inputs[index], targets[index]))).eigenvalues[0]
        for index in (torch.arange(len(inputs)), copies)
    ]
    assert tops[0].item() == pytest.approx(tops[1].item(), rel=1e-9)


def test_float32_weights_of_a_network_in_float64():
    loss = nn.CrossEntropyLoss(WEIGHTS.float())
    reference = dense_hessian(mlp(), nn.CrossEntropyLoss(WEIGHTS), *by_class())
    assert_products(Hessian(mlp(), loss, by_class()), reference)


def test_probabilities_of_classes_as_targets(monkeypatch):
    in_chunks(monkeypatch, 7)
    model, (inputs, _) = mlp(), by_class()
    targets, loss = normal(5, len(inputs), 3).softmax(1), nn.CrossEntropyLoss(WEIGHTS)
    reference = dense_hessian(model, loss, inputs, targets)
    assert_products(Hessian(model, loss, (inputs, targets)), reference)


def weighted(outputs, targets):
    """Weights of classes, in a loss of whose insides nothing is known."""
    return functional.cross_entropy(outputs, targets, weight=WEIGHTS.to(outputs))


def weighted_squares(outputs, targets):
    weights = WEIGHTS[targets]
    return (weights * (outputs[:, 0] - targets).square()).sum() / weights.sum()


def of_the_largest(outputs, targets):
    return (outputs[:, 0] - targets).square().max()


@pytest.mark.parametrize("loss", [weighted, weighted_squares, of_the_largest])
@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize("chunk", [2, 30])
def test_other_means_are_refused_wherever_they_show(loss, kind, chunk, monkeypatch):
    """In the only samples of the last class, 3 of 1,000 at the very end, that any few samples would miss."""
    in_chunks(monkeypatch, chunk)
    inputs = normal(7, 1000, 5)
    targets = (torch.arange(1000) >= 997).long() * 2
    with pytest.raises(UserError, match=r"^loss: .* as the mean of their halves; expected a mean over samples"):
        kind(mlp(), loss, (inputs, targets)).matvec(torch.ones(111, dtype=DTYPE))


def test_the_diagonal_refuses_them_as_well():
    """Whose products with single samples would leave out the weights."""
    with pytest.raises(UserError, match=r"^loss: .* as the mean of their halves; expected a mean over samples"):
        gauss_newton_diagonal(mlp(), nn.CrossEntropyLoss(WEIGHTS), *by_class())


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
def test_a_sum_is_told_from_a_mean_where_both_are_zero(kind):
    model = mlp()
    inputs, _ = data(model)
    with torch.no_grad():
        targets = model(inputs)
    with pytest.raises(UserError, match=r"^loss: .* as the mean of their halves; expected a mean over samples"):
        kind(model, nn.MSELoss(reduction="sum"), (inputs, targets))
    assert_products(kind(model, nn.MSELoss(), (inputs, targets)), dense_hessian(model, nn.MSELoss(), inputs, targets))


class Tagger(nn.Module):
    """Scores of three tags for every token, by it and those before it, shape (samples, tags, tokens)."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(8, 3)

    def forward(self, tokens):
        hidden = self.embedding(tokens)
        context = hidden.cumsum(1) / torch.arange(1, tokens.shape[1] + 1).unsqueeze(1)
        return self.head(torch.tanh(torch.cat([hidden, context], 2))).mT


def sentences():
    """Forty sentences of 1 to 6 tokens, the rest of each row padded; the shortest first."""
    lengths = torch.arange(40) * 6 // 40 + 1
    tokens = torch.randint(9, (40, 6), generator=generator(1))
    tags = torch.randint(3, (40, 6), generator=generator(2))
    tags[torch.arange(6) >= lengths.unsqueeze(1)] = -100
    return tokens, tags, lengths


@pytest.mark.parametrize("chunk", [2, 7, 40])
def test_padded_sequences_are_a_mean_over_tokens(chunk, monkeypatch):
    in_chunks(monkeypatch, chunk)
    model, loss, (tokens, tags, _) = seeded(Tagger), nn.CrossEntropyLoss(), sentences()
    reference = dense_hessian(model, loss, tokens, tags)
    assert_products(Hessian(model, loss, (tokens, tags)), reference)
    loader = DataLoader(TensorDataset(tokens, tags), batch_size=9, shuffle=True)
    assert_products(Hessian(model, loss, loader), reference)


@pytest.mark.parametrize("memory", [1024, 0.02])
def test_batches_padded_to_their_own_lengths(memory):
    model, loss, (tokens, tags, lengths) = seeded(Tagger), nn.CrossEntropyLoss(), sentences()
    reference = dense_hessian(model, loss, tokens, tags)
    batches = [(tokens[i : i + 5, : lengths[i + 4]], tags[i : i + 5, : lengths[i + 4]]) for i in range(0, 40, 5)]
    for source in (batches, DataLoader(batches, batch_size=None)):
        assert_products(Hessian(model, loss, source, memory=memory), reference)
    unknown = Hessian(model, lambda outputs, targets: loss(outputs, targets), batches)
    with pytest.raises(UserError, match=r"^(data: samples differ in shape|loss: .* expected a mean over samples)"):
        unknown.gradient()


def test_tokens_in_a_loss_of_which_nothing_is_known():
    tokens, tags, _ = sentences()
    with pytest.raises(UserError, match=r"^loss: .* expected a mean over samples"):
        Hessian(seeded(Tagger), lambda outputs, targets: functional.cross_entropy(outputs, targets), (tokens, tags))


def test_targets_none_of_which_count():
    tokens, tags, _ = sentences()
    with pytest.raises(UserError, match=r"^data: the weights of all targets add up to 0; expected some that count$"):
        Hessian(seeded(Tagger), nn.CrossEntropyLoss(), (tokens, torch.full_like(tags, -100)))


def test_a_loss_that_is_not_finite_for_a_sample_in_the_middle():
    model, (inputs, _) = mlp(), data(mlp(), 301)
    inputs[157] = torch.nan
    with pytest.raises(UserError, match=r"^loss: is nan for some samples; check the parameters and the data$"):
        Hessian(model, nn.MSELoss(), (inputs, normal(1, 301, 3))).gradient()
