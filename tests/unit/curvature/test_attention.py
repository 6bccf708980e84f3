"""Attention in blocks has the derivatives of torch's plain form, in the memory that is planned."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from flatminima.curvature import attention as module
from flatminima.curvature.attention import attention, twice_differentiable_attention
from flatminima.curvature.operators import GaussNewton, Hessian
from flatminima.errors import UserError

TOKENS, FEATURES = 24, 4
PLAIN = functional.scaled_dot_product_attention


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let sequences of a few tokens count as long, in blocks of five queries."""
    monkeypatch.setattr(module, "LONG", 2)
    monkeypatch.setattr(module, "BLOCK", 1)
    monkeypatch.setattr(module, "LEAST_ROWS", 5)
    yield


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def masked_at_random(*shape: int) -> Tensor:
    return (drawn(*shape, seed=9) > -1) | torch.eye(shape[-2], shape[-1], dtype=torch.bool)


FORMS = {
    "plain": {},
    "causal": {"is_causal": True},
    "scaled": {"scale": 0.3},
    "some scores count": {"attn_mask": masked_at_random(12, 9)},
    "the same scores for all queries": {"attn_mask": masked_at_random(1, 9)},
    "keys of each sample": {"attn_mask": torch.rand(2, 1, 1, 9) > 0.1},
    "scores added": {"attn_mask": drawn(2, 3, 12, 9, seed=8)},
}


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize("form", FORMS)
def test_values_and_derivatives_are_those_of_the_plain_form(form):
    """Value, slopes and second derivatives, for twelve queries and nine keys."""
    tensors = [drawn(2, 3, rows, FEATURES, seed=rows) for rows in (12, 9)]
    tensors.append(drawn(2, 3, 9, 5, seed=2))
    ours = derivatives(lambda *parts: attention(*parts, **FORMS[form]), tensors)
    theirs = derivatives(lambda *parts: PLAIN(*parts, **FORMS[form]), tensors)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("in_blocks")
def test_heads_that_share_keys():
    """Four heads of queries on two of keys and values."""
    tensors = [drawn(2, heads, 12, FEATURES, seed=heads) for heads in (4, 2, 2)]
    ours = derivatives(lambda *parts: attention(*parts, enable_gqa=True), tensors)
    theirs = derivatives(lambda *parts: PLAIN(*parts, enable_gqa=True), tensors)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


def derivatives(function: Callable[..., Tensor], tensors: list[Tensor]) -> list[Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    with sdpa_kernel(SDPBackend.MATH):
        value = function(*inputs)
    slopes = torch.autograd.grad(value.sin().sum(), inputs, create_graph=True)
    change = sum((slope * drawn(*slope.shape, seed=5)).sum() for slope in slopes)
    return [value, *slopes, *torch.autograd.grad(change, inputs)]


class OneLayer(nn.Module):
    """A transformer's layer, and a linear layer on the mean of its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(FEATURES, 2, FEATURES, dropout=0.0, batch_first=True)
        self.read = nn.Linear(FEATURES, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores, shape (samples, 3)."""
        return self.read(self.layer(tokens).mean(1))


def network() -> OneLayer:
    torch.manual_seed(0)
    return OneLayer().double().eval()


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
def test_matrices_are_those_of_the_plain_form(kind, monkeypatch):
    """The Hessian and the Gauss-Newton matrix of a transformer's layer, entry by entry."""
    model, data = network(), (drawn(4, TOKENS, FEATURES), torch.arange(4) % 3)
    size = sum(parameter.numel() for parameter in model.parameters())
    found = kind(model, nn.CrossEntropyLoss(), data).matmat(torch.eye(size, dtype=torch.float64))
    monkeypatch.setattr(module, "LONG", 2**40)
    expected = kind(model, nn.CrossEntropyLoss(), data).matmat(torch.eye(size, dtype=torch.float64))
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("in_blocks")
def test_the_hessian_is_that_of_torch_func():
    """Entry by entry, of a transformer's layer, by torch.func.hessian without our attention."""
    model, inputs, labels = network(), drawn(4, TOKENS, FEATURES), torch.arange(4) % 3
    weight = "read.weight"
    rest = dict(model.named_parameters())

    def loss(value: Tensor) -> Tensor:
        outputs = torch.func.functional_call(model, rest | {weight: value.reshape(3, FEATURES)}, (inputs,))
        return functional.cross_entropy(outputs, labels)

    expected = torch.func.hessian(loss)(model.read.weight.detach().flatten())
    hessian = Hessian(model, nn.CrossEntropyLoss(), (inputs, labels), parameters=[weight])
    assert torch.allclose(hessian.matmat(torch.eye(3 * FEATURES, dtype=torch.float64)), expected, atol=1e-10)


def test_the_form_is_torchs_again_afterwards():
    """Also when the model fails."""
    fused = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(UserError), twice_differentiable_attention():
        assert functional.scaled_dot_product_attention is attention
        raise UserError("model: fails")
    assert functional.scaled_dot_product_attention is PLAIN
    assert torch.backends.mha.get_fastpath_enabled() == fused


def test_what_is_planned_bounds_what_is_kept():
    """Of 300 tokens, a chunk's graph keeps no more than samples times what is planned for each, and no scores."""
    model, count = network().float(), 6
    data = (torch.randn(count, 300, FEATURES, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 3)
    hessian = Hessian(model, nn.CrossEntropyLoss(), data)
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        graph = hessian._build(data)
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    planned = count * hessian._sample_bytes()
    existing = sum(tensor.nbytes for tensor in [*data, *hessian._parameters])
    assert measured <= 1.1 * planned + 2 * existing
    assert planned < count * 300 * 300 * data[0].itemsize  # the scores of one head
    del graph


def test_what_does_not_fit_is_refused_by_the_size_of_a_sample():
    """In one line that names what one sample takes."""
    data = torch.randn(4, 300, FEATURES), torch.arange(4) % 3
    with pytest.raises(UserError, match=r"^memory: 0\.5 MiB is too little; .* sample's graph takes [\d.]+ MiB$"):
        Hessian(network().float(), nn.CrossEntropyLoss(), data, memory=0.5)
