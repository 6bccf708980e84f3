"""Functions of PyTorch that networks are made of, and functions with derivatives of their own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fft, linalg, nn, special
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from benchmarks.layers.cases import SAMPLES, Case, between

LOWER = torch.ones(3, 3, dtype=torch.bool).tril()
GROUPS = torch.tensor([0, 1, 0, 2, 1]).expand(SAMPLES, -1)


def _function(name: str, function: Callable[[Tensor], Tensor], *shape: int) -> Case:
    return between(nn.Identity(), *shape, name=name, apply=lambda _, hidden: function(hidden))


def _attention(special: str, **options: Any) -> Case:
    name = f"scaled_dot_product_attention ({special})"
    return _function(name, lambda h: functional.scaled_dot_product_attention(h, h, h, **options), 1, 3, 2)


def _positive(hidden: Tensor) -> Tensor:
    return functional.softplus(hidden) + 0.1


def _definite(hidden: Tensor) -> Tensor:
    return hidden @ hidden.mT + torch.eye(hidden.shape[-1], dtype=hidden.dtype)


def _other(hidden: Tensor) -> Tensor:
    return hidden.roll(1, 1) + 0.3


def _sampled(hidden: Tensor) -> Tensor:
    places = torch.tanh(hidden[:, 1:].movedim(1, 3))
    return functional.grid_sample(hidden[:, :1], places, align_corners=False)


def _reduced(kind: str) -> Case:
    def reduced(hidden: Tensor) -> Tensor:
        zeros = torch.zeros(len(hidden), 3, dtype=hidden.dtype)
        return zeros.scatter_reduce(1, GROUPS[: len(hidden)], hidden, kind, include_self=False)

    return _function(f"scatter_reduce ({kind})", reduced, 5)


def _segments(hidden: Tensor) -> Tensor:
    return torch.segment_reduce(hidden, "sum", lengths=torch.tensor([2, 3]).expand(len(hidden), -1), axis=1)


def _smaller(mode: str) -> Case:
    def smaller(hidden: Tensor) -> Tensor:
        return functional.interpolate(hidden, (2, 2), mode=mode, antialias=True)

    return _function(f"interpolate ({mode} with antialias)", smaller, 1, 3, 3)


def _slope(hidden: Tensor) -> Tensor:
    return torch.func.vmap(torch.func.grad(lambda x: (x.sin() * x.roll(1)).sum()))(hidden)


FUNCTIONS: list[Case] = [
    _attention("plain"),
    _attention("is_causal", is_causal=True),
    _attention("attn_mask", attn_mask=LOWER),
    _function("grid_sample", _sampled, 3, 3, 3),
    _smaller("bilinear"),
    _smaller("bicubic"),
    _function("normalize", functional.normalize, 4),
    _function("pdist", lambda h: torch.stack([functional.pdist(sample) for sample in h]), 3, 2),
    *(_function(f"cdist (p={p})", lambda h, p=p: torch.cdist(h, _other(h), p=p), 3, 2) for p in (1.0, 2.0, 3.0)),
    _function("gumbel_softmax", functional.gumbel_softmax, 4),
    _function("native_channel_shuffle", lambda h: functional.native_channel_shuffle(h, 2), 4, 2, 2),
    _function("prod", lambda h: h.prod(1, keepdim=True), 4),
    _function("cumprod", lambda h: h.cumprod(1), 4),
    _function("logsumexp", lambda h: h.logsumexp(1, keepdim=True), 4),
    _function("logcumsumexp", lambda h: h.logcumsumexp(1), 4),
    _function("std", lambda h: h.std(1, keepdim=True), 5),
    _function("sort", lambda h: h.sort(1).values, 4),
    _function("median", lambda h: h.median(1, keepdim=True).values, 5),
    _function("where", lambda h: torch.where(h > 0, h.abs().sqrt(), h.exp()), 4),
    *(_reduced(kind) for kind in ("amax", "mean", "prod")),
    _function("segment_reduce", _segments, 5),
    _function("linalg.inv", lambda h: linalg.inv(_definite(h)), 2, 2),
    _function("linalg.solve", lambda h: linalg.solve(_definite(h), h), 2, 2),
    _function("linalg.lstsq", lambda h: linalg.lstsq(h, h[:, :, :1] ** 2).solution, 3, 2),
    _function("linalg.pinv", linalg.pinv, 3, 2),
    _function("linalg.slogdet", lambda h: linalg.slogdet(h).logabsdet.unsqueeze(1), 3, 3),
    _function("linalg.cholesky", lambda h: linalg.cholesky(_definite(h)), 2, 2),
    _function("linalg.qr", lambda h: linalg.qr(h).R, 3, 3),
    _function("linalg.eigh", lambda h: linalg.eigh(_definite(h)).eigenvectors.abs(), 2, 2),
    _function("linalg.eigvals", lambda h: linalg.eigvals(h).abs().sort(1).values, 3, 3),
    _function("linalg.svd", lambda h: linalg.svd(h, full_matrices=False).U.abs(), 3, 2),
    _function("linalg.matrix_exp", linalg.matrix_exp, 2, 2),
    _function("linalg.vector_norm", lambda h: linalg.vector_norm(h, 3, 1, keepdim=True), 4),
    _function("linalg.matrix_norm", lambda h: linalg.matrix_norm(h, "nuc").unsqueeze(1), 3, 2),
    _function("fft.rfft", lambda h: fft.rfft(h).abs(), 5),
    _function("polar", lambda h: torch.view_as_real(torch.polar(_positive(h), h.flip(1))), 4),
    _function("pow", lambda h: _positive(h) ** h.flip(1), 4),
    _function("atan2", lambda h: torch.atan2(h, _other(h)), 4),
    _function("lgamma", lambda h: torch.lgamma(_positive(h)), 4),
    _function("special.i1", special.i1, 4),
    _function("special.log_ndtr", special.log_ndtr, 4),
    _function("sinc", torch.sinc, 4),
    _function("checkpoint", lambda h: checkpoint(torch.sin, h, use_reentrant=False), 4),
    _function("checkpoint (use_reentrant)", lambda h: checkpoint(torch.sin, h, use_reentrant=True), 4),
    _function("func.grad", _slope, 4),
]


class Exponential(Function):
    """The exponential function, whose derivative can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        """Keeps its result as a tensor of the graph."""
        outputs = inputs.exp()
        ctx.save_for_backward(outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> Tensor:
        """The usual derivative."""
        return slopes * ctx.saved_tensors[0]


class OnlyOnce(Exponential):
    """One that says that its derivative cannot be differentiated again."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> Tensor:
        """The usual derivative."""
        return slopes * ctx.saved_tensors[0]


class Constant(Function):
    """One that does not say so: its derivative takes the result for a constant."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        """Keeps its result out of the graph."""
        ctx.kept = inputs.detach().exp()
        return ctx.kept.clone()

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> Tensor:
        """Right as a first derivative."""
        return slopes * ctx.kept


OWN_DERIVATIVES: list[Case] = [
    _function("autograd.Function", Exponential.apply, 4),
    _function("autograd.Function (once_differentiable)", OnlyOnce.apply, 4),
    _function("autograd.Function (kept outside of the graph)", Constant.apply, 4),
    _function("detach", lambda h: h.sin() * h.detach(), 4),
    _function("straight-through rounding", lambda h: h + (h.round() - h).detach(), 4),
]
