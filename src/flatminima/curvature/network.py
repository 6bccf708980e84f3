"""A module as a function of some of its parameters, and what its loss must be for curvature to be defined."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from flatminima.errors import UserError

Parameters = tuple[Tensor, ...]
MeanLoss = Callable[[Tensor, Tensor], Tensor]


class Network:
    """A snapshot of a module, as a function of the parameters that are differentiated.

    Attributes:
        parameters: their values; a tied parameter is there once.
    """

    def __init__(self, module: Module, names: Sequence[str] | None = None) -> None:
        """Copy the module's parameters and buffers.

        Args:
            module: any network that treats samples one by one.
            names: parameters, or layers that stand for all of theirs; those that require gradients where absent.

        Raises:
            UserError: if there are none, a name is unknown, or layers behave at random or by batch in training mode.
        """
        refuse_training(module)
        self._module = module
        self._names = _selected(module, names)
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        self._state = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self.parameters: Parameters = tuple(self._state[name].clone().requires_grad_() for name in self._names)

    def __call__(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Outputs for a batch, at other values of the parameters."""
        state = self._state | dict(zip(self._names, parameters, strict=True))
        outputs: Tensor = functional_call(self._module, state, (self.cast(inputs),))
        return outputs

    def cast(self, tensor: Tensor) -> Tensor:
        """Data on the parameters' device, and in their dtype if real."""
        like = self.parameters[0]
        return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)


def check_mean(network: Network, loss: MeanLoss, inputs: Tensor, targets: Tensor) -> None:
    """Refuse losses that are not deterministic, finite means over samples, by evaluating a few samples.

    Raises:
        UserError: saying what was found instead, and the cure.
    """
    if len(inputs) == 1:
        inputs, targets = torch.cat([inputs, inputs]), torch.cat([targets, targets])
    half = len(inputs) // 2

    def value(part: slice) -> float:
        with torch.no_grad():
            result = loss(network(network.parameters, inputs[part]), network.cast(targets[part]))
        if result.numel() != 1:
            raise UserError(f"loss: has shape {tuple(result.shape)}; expected one number, the mean over samples")
        return float(result)

    whole, again = value(slice(None)), value(slice(None))
    parts = (half * value(slice(half)) + (len(inputs) - half) * value(slice(half, None))) / len(inputs)
    tolerance = torch.finfo(network.parameters[0].dtype).eps ** 0.5 * max(abs(whole), abs(parts))
    if not abs(whole) < float("inf"):
        raise UserError(f"loss: is {whole}; expected a finite number: check the parameters and the data")
    if abs(whole - again) > tolerance:
        raise UserError(f"model: its loss is {whole:g}, then {again:g}; expected no randomness: call model.eval()")
    if not abs(whole - parts) <= tolerance:
        raise UserError(
            f"loss: {whole:g} for {len(inputs)} samples, but {parts:g} as the mean of their halves; expected a mean "
            "over samples: reduction='mean', no weights of classes, and samples that do not affect each other"
        )


def graph_bytes(build: Callable[[], object], existing: Iterable[Tensor]) -> int:
    """Bytes that autograd keeps of what is built, apart from tensors that exist anyway."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = build()
    for tensor in existing:
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    del result
    return sum(kept.values())


def refuse_training(module: Module) -> None:
    """Refuse modules with layers that behave at random or by batch.

    Raises:
        UserError: naming the layer.
    """
    for name, layer in module.named_modules():
        if layer.training and isinstance(layer, _BatchNorm | _DropoutNd):
            raise UserError(f"model: {type(layer).__name__} {name} is in training mode; call model.eval() first")


def _selected(module: Module, names: Sequence[str] | None) -> list[str]:
    """Names of distinct parameters, each by the first of its names."""
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    every = dict(module.named_parameters(remove_duplicate=False))
    if names is None:
        chosen = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        if not chosen:
            raise UserError("model: no parameter requires gradients; call requires_grad_() on those to differentiate")
        return chosen
    for wanted in names:
        if not any(_belongs(name, wanted) for name in every):
            raise UserError(f"parameters: no parameter or layer {wanted!r}; expected some of {', '.join(every)}")
    return list(dict.fromkeys(first[id(every[n])] for n in every if any(_belongs(n, wanted) for wanted in names)))


def _belongs(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")
