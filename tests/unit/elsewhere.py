"""A device that is not there: tensors on it hold numbers, and refuse to be mixed with those of the processor.

It stands for a GPU on machines without one. Programs run on it to the end, with the processor's own results; what a GPU
would refuse is refused: operations on tensors of two devices, numbers and indices apart, and NumPy's view of a tensor.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
"""A device of which every torch knows, and on which it computes nothing itself."""
TRANSFERS = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
INDEXING = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default}


class _Held(torch.Tensor):
    """A tensor that says that it is on DEVICE, and whose numbers are held by the processor."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=held.requires_grad,
        )  # fmt: skip

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        return _compute(function, arguments, keywords or {})


class Elsewhere(TorchDispatchMode):
    """While it is entered, tensors can be moved to DEVICE, and made there."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        return _compute(function, arguments, keywords or {})


def _compute(function, arguments, keywords):
    tensors = [leaf for leaf in tree_flatten((arguments, keywords))[0] if isinstance(leaf, torch.Tensor)]
    away = any(isinstance(tensor, _Held) for tensor in tensors)
    _refuse_mixtures(function, arguments, tensors)
    wanted = keywords.get("device")
    if wanted is not None:
        away = torch.device(wanted) == DEVICE
        keywords = keywords | {"device": torch.device("cpu")}
    held = tree_map(lambda leaf: leaf.held if isinstance(leaf, _Held) else leaf, (arguments, keywords))
    result = function(*held[0], **held[1])
    if tensors and result is held[0][0]:  # in place
        return arguments[0]
    return tree_map(lambda leaf: _Held(leaf) if away and isinstance(leaf, torch.Tensor) else leaf, result)


def _refuse_mixtures(function, arguments, tensors):
    indices = {id(leaf) for leaf in tree_flatten(arguments[1])[0]} if function in INDEXING else set()
    places = {isinstance(tensor, _Held) for tensor in tensors if tensor.dim() > 0 and id(tensor) not in indices}
    if len(places) > 1 and function not in TRANSFERS:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device")
