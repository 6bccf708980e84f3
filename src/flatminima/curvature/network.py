"""A module as a function of some of its parameters."""

import copy
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import Module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from flatminima.curvature.attention import twice_differentiable_attention
from flatminima.curvature.nests import Nest, mapped
from flatminima.errors import UserError

Parameters = tuple[Tensor, ...]


class Network:
    """A snapshot of a module, as a function of the parameters that are differentiated.

    Attributes:
        module: the module, whose own parameters may change.
        parameters: their values; a tied parameter is there once.
    """

    def __init__(self, module: Module, names: Sequence[str] | None = None) -> None:
        """Copy the module's parameters and buffers.

        Args:
            module: any network that treats samples one by one; compiled or in DataParallel, what is inside.
            names: parameters, or layers that stand for all of theirs; those that require gradients count.

        Raises:
            UserError: if there are none, a name is unknown, or the module has layers that behave at random or by batch
                in training mode, or that curvature is not defined for.
        """
        module = _unwrapped(module)
        refuse_training(module)
        self.module = module
        self._names = _selected(module, names)
        self._places = places(module)
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        self._state = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self.parameters: Parameters = tuple(self._state[name].clone().requires_grad_() for name in self._names)

    def __call__(self, parameters: Parameters, inputs: Nest) -> Nest:
        """Outputs for a batch, at other values of the parameters.

        Args:
            parameters: in the order of the attribute.
            inputs: a tensor; or a tuple or list of positional arguments, or a dict of keyword arguments.
        """
        state = self._state | dict(zip(self._names, parameters, strict=True))
        everywhere = {place: state[name] for place, name in self._places.items()}
        values = self.cast(inputs)
        named = values if isinstance(values, dict) else {}
        arguments = () if named else tuple(values) if isinstance(values, tuple | list) else (values,)
        with twice_differentiable_attention():
            return functional_call(self.module, everywhere, arguments, named, tie_weights=False)

    def cast(self, nest: Nest) -> Nest:
        """Data on the parameters' device, and in their dtype if real."""
        like = self.parameters[0]
        return mapped(lambda part: part.to(like) if part.is_floating_point() else part.to(like.device), nest)

    def directions(self, seed: int) -> Parameters:
        """Random numbers from -1 to 1 in the form of the parameters; zero where a layer holds them constant.

        torch takes the vector at an embedding's padding_idx for a constant.
        """
        generator = torch.Generator().manual_seed(seed)
        drawn = [(2 * torch.rand(p.shape, generator=generator) - 1).to(p) for p in self.parameters]
        for prefix, layer in self.module.named_modules():
            if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.padding_idx is not None:
                name = self._places[f"{prefix}.weight".lstrip(".")]
                if name in self._names:
                    drawn[self._names.index(name)][layer.padding_idx] = 0
        return tuple(drawn)

    def double(self) -> "Network":
        """Copy the network into float64."""
        twin = copy.copy(self)
        twin._state = {name: _double(tensor) for name, tensor in self._state.items()}
        twin.parameters = tuple(parameter.detach().double().requires_grad_() for parameter in self.parameters)
        return twin


def places(module: Module) -> dict[str, str]:
    """Every place of a parameter or buffer in a module, each once, and the first name of what is there.

    A layer that has two names is one place: given both, torch.func.functional_call would not put back what was there.
    """
    first = {id(tensor): name for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    return {
        f"{prefix}.{name}".lstrip("."): first[id(tensor)]
        for prefix, layer in module.named_modules()
        for name, tensor in [*layer._parameters.items(), *layer._buffers.items()]
        if tensor is not None
    }


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def graph_bytes(build: Callable[[], object], existing: Iterable[Tensor]) -> int:
    """Bytes of tensors that a result keeps, in graphs of autograd and in its attribute `tensors`.

    Args:
        build: makes the result.
        existing: tensors that exist anyway, and do not count.
    """
    saved: WeakSet[_Saved] = WeakSet()

    def note(tensor: Tensor) -> _Saved:
        holder = _Saved(tensor)
        saved.add(holder)
        return holder

    with torch.autograd.graph.saved_tensors_hooks(note, lambda holder: holder.tensor):
        result = build()
    tensors = [*(holder.tensor for holder in saved), *getattr(result, "tensors", ())]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    for tensor in existing:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(storages.values())


class _Saved:
    """A tensor that a graph keeps, for as long as the graph exists."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()  # a graph that kept a tensor with its graph would keep itself


def refuse_training(module: Module) -> None:
    """Refuse modules with layers that behave at random or by batch.

    Raises:
        UserError: naming the layer.
    """
    for name, layer in module.named_modules():
        if layer.training and isinstance(layer, _BatchNorm | _DropoutNd):
            raise UserError(f"model: {type(layer).__name__} {name} is in training mode; call model.eval() first")


def _unwrapped(module: Module) -> Module:
    """The module that torch.compile or a parallel wrapper was given."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return _unwrapped(module.module)
    inside: Module = getattr(module, "_orig_mod", module)
    return inside


def _selected(module: Module, names: Sequence[str] | None) -> list[str]:
    """Names of distinct parameters, each by the first of its names."""
    _refuse_kinds(module)
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    every = dict(module.named_parameters(remove_duplicate=False))
    if names is None:
        chosen = list(first.values())
    else:
        for wanted in names:
            if not any(_belongs(name, wanted) for name in every):
                raise UserError(f"parameters: no parameter or layer {wanted!r}; expected some of {', '.join(every)}")
        chosen = list(dict.fromkeys(first[id(every[n])] for n in every if any(_belongs(n, w) for w in names)))
    free = [name for name in chosen if every[name].requires_grad]
    if not free:
        which = "model: no parameter" if names is None else f"parameters: none of {list(names)}"
        raise UserError(f"{which} requires gradients; call requires_grad_() on those to differentiate")
    return free


def _refuse_kinds(module: Module) -> None:
    """Refuse layers and parameters whose second derivatives are not real matrices.

    Raises:
        UserError: naming the layer or parameter.
    """
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise UserError(f"model: {name} is lazy and has no values; call the model once on a batch first")
        if parameter.is_complex():
            raise UserError(f"model: {name} is complex; make it real, such as torch.view_as_real({name})")
    for name, layer in module.named_modules():
        if getattr(layer, "sparse", False):
            raise UserError(f"model: {type(layer).__name__} {name} has sparse gradients; make it with sparse=False")


def _belongs(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")
