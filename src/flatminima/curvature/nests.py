"""Nests: a tensor, or tuples, lists and dicts of nests; samples lie along the first axis of every tensor."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

Nest = Any


def leaves(nest: Nest) -> list[Any]:
    """All that stands in a nest, in order."""
    found: list[Any] = tree_flatten(nest)[0]
    return found


def mapped(function: Callable[..., Tensor], nest: Nest, *others: Nest) -> Nest:
    """The nest of the function's values at the tensors of nests of one form."""
    return tree_map(function, nest, *others)


def joined(nests: Sequence[Nest]) -> Nest:
    """All samples of nests of one form."""
    return nests[0] if len(nests) == 1 else mapped(lambda *tensors: torch.cat(tensors), *nests)


def taken(nest: Nest, index: Any) -> Nest:
    """Some samples."""
    return mapped(lambda tensor: tensor[index], nest)


def shapes(nest: Nest) -> list[torch.Size]:
    """Shapes of one sample."""
    return [leaf.shape[1:] for leaf in leaves(nest)]


def ordinary(tensor: Tensor) -> Tensor:
    """A tensor made in inference mode as one that can be differentiated through; outside of that mode."""
    return tensor.clone() if tensor.is_inference() else tensor


def differentiable_parts(nest: Nest) -> tuple[list[Tensor], Callable[[Sequence[Tensor]], Nest]]:
    """The tensors of real numbers in what a model puts out, and how to put others in their places.

    Args:
        nest: or an object with fields that hold nests.
    """
    if hasattr(nest, "__dict__") and not isinstance(nest, Tensor | dict):
        fields, put = differentiable_parts(vars(nest))
        return fields, lambda tensors: _with_fields(nest, put(tensors))
    every, form = tree_flatten(nest)
    chosen = [i for i, leaf in enumerate(every) if isinstance(leaf, Tensor) and leaf.is_floating_point()]

    def put_back(tensors: Sequence[Tensor]) -> Nest:
        given: Iterator[Tensor] = iter(tensors)
        return tree_unflatten([next(given) if i in chosen else leaf for i, leaf in enumerate(every)], form)

    return [every[i] for i in chosen], put_back


def _with_fields(instance: Any, fields: dict[str, Any]) -> Any:
    changed = copy.copy(instance)
    vars(changed).update(fields)
    return changed
