"""Attention of long sequences in blocks of queries, whose scores are computed for every derivative and never kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

LONG = 2**16
"""Scores of one head and sample from which on they are not kept: 256 queries and keys."""
BLOCK = 2**18
"""Scores of a block, in all heads and samples: more would leave the processor's cache."""
LEAST_ROWS = 16
"""Least number of queries in a block: fewer make slow products."""


@contextmanager
def twice_differentiable_attention() -> Iterator[None]:
    """Compute `torch.nn.functional.scaled_dot_product_attention` here in forms that have second derivatives.

    These are torch's plain form and, of long sequences, `attention`. torch's fused layers are left out.
    """
    plain, fused = functional.scaled_dot_product_attention, torch.backends.mha.get_fastpath_enabled()
    functional.scaled_dot_product_attention = cast(Any, attention)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        functional.scaled_dot_product_attention = plain
        torch.backends.mha.set_fastpath_enabled(fused)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    """Scaled dot-product attention, softmax(Q K' / sqrt(e)) V, that can be differentiated twice in little memory.

    Args:
        query: shape (..., queries, e).
        key: shape (..., keys, e).
        value: shape (..., keys, features).
        attn_mask: which scores count, or what is added to them; shape (..., queries or 1, keys).
        dropout_p: share of the scores that are dropped.
        is_causal: whether a query sees only keys that do not come after it.
        options: `scale` and `enable_gqa` of torch's function.

    Returns:
        Shape (..., queries, features).
    """
    differentiated = attn_mask is not None and attn_mask.requires_grad
    if query.shape[-2] * key.shape[-2] < LONG or dropout_p or differentiated:
        return _plain(query, key, value, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal, **options)
    return cast(Tensor, _Attention.apply(query, key, value, _Form(attn_mask, is_causal, options)))


_scaled_dot_product_attention: Callable[..., Tensor] = functional.scaled_dot_product_attention


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _plain(*arguments: Tensor, **options: Any) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return _scaled_dot_product_attention(*arguments, **options)


@dataclass(frozen=True)
class _Form:
    """Mask and options of an attention."""

    mask: Tensor | None
    causal: bool
    options: dict[str, Any]

    def blocks(self, query: Tensor, key: Tensor) -> Iterator[tuple[slice, Callable[..., Tensor]]]:
        """Rows of queries, and the attention as a function of these queries, and of all keys and values."""
        count, keys = query.shape[-2], key.shape[-2]
        size = max(LEAST_ROWS, BLOCK // (query.shape[:-2].numel() * keys))
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            mask = self._mask(rows, keys, query.device)

            def block(*tensors: Tensor, mask: Tensor | None = mask) -> Tensor:
                return _plain(*tensors, attn_mask=mask, **self.options)

            yield rows, block

    def _mask(self, rows: slice, keys: int, device: torch.device) -> Tensor | None:
        if self.causal:
            return torch.arange(rows.start, rows.stop, device=device).unsqueeze(1) >= torch.arange(keys, device=device)
        if self.mask is None or self.mask.dim() < 2 or self.mask.shape[-2] == 1:
            return self.mask
        return self.mask[..., rows, :]


class _Attention(Function):
    """Attention that keeps queries, keys and values alone."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, form: _Form) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.form = form
        return torch.cat([block(query[..., rows, :], key, value) for rows, block in form.blocks(query, key)], -2)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return *_Gradient.apply(*ctx.saved_tensors, *slopes, ctx.form), None


class _Gradient(Function):
    """Slopes in queries, keys and values for a slope in the output, from these four alone."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, slope: Tensor, form: _Form) -> tuple[Tensor, ...]:
        ctx.save_for_backward(query, key, value, slope)
        ctx.form = form

        def pulled(block: Callable[..., Tensor], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            *inputs, up = tensors
            return torch.autograd.grad(block(*inputs), inputs, up)

        return _summed(form, (query, key, value, slope), (True, False, False), pulled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *directions: Tensor) -> tuple[Tensor | None, ...]:
        (along_query, *others), (query, key, value, slope) = directions, ctx.saved_tensors

        def curved(block: Callable[..., Tensor], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            *inputs, up, along = tensors
            first = torch.autograd.grad(block(*inputs), inputs, up, create_graph=True)
            return torch.autograd.grad(first, [*inputs, up], [along.detach(), *others])

        tensors = query, key, value, slope, along_query
        return *_summed(ctx.form, tensors, (True, False, False, True), curved), None


def _summed(
    form: _Form,
    tensors: Sequence[Tensor],
    by_rows: Sequence[bool],
    derivatives: Callable[[Callable[..., Tensor], Sequence[Tensor]], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """Derivatives of all blocks: those with rows of their own side by side, the others added up.

    Args:
        form: of the attention.
        tensors: queries, keys and values, and others that have as many rows as the queries.
        by_rows: which derivatives have rows.
        derivatives: those of a block, from its attention and its tensors.
    """
    query, key, value, *others = tensors
    totals = [torch.zeros_like(tensor) for tensor, _ in zip(tensors, by_rows, strict=False)]
    for rows, block in form.blocks(query, key):
        own = [query[..., rows, :], key, value, *(other[..., rows, :] for other in others)]
        with torch.enable_grad(), saved_tensors_hooks(_as_it_is, _as_it_is):  # others would count what is not kept
            parts = derivatives(block, [tensor.detach().requires_grad_() for tensor in own])
        for total, part, split in zip(totals, parts, by_rows, strict=True):
            (total[..., rows, :] if split else total).add_(part)
    return tuple(totals)
