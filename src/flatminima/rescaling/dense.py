"""Whole Hessians of fully connected rectified networks, two layers at a time, without automatic differentiation."""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn

from flatminima.curvature.samples import Batch


@dataclass(frozen=True)
class _Layer:
    """One layer on all samples; N counts these, d the outputs of the network.

    Attributes:
        inputs: of the layer, a one for the biases at the end, shape (N, d_in).
        slopes: derivatives by the outputs of the layer, before its rectifier, of those of the network, shape
            (N, d_out, d).
        pull: the slopes times the errors, shape (N, d_out).
        onward: derivatives by the same of the inputs of each later layer, shape (N, d_out, its inputs).
    """

    inputs: Tensor
    slopes: Tensor
    pull: Tensor
    onward: list[Tensor]


def squared_error_hessian(model: nn.Sequential, data: Batch) -> Tensor:
    """Hessian of the squared error, summed over outputs and averaged over N samples.

    With s = W a, for the inputs a of a layer, f the outputs of the network and e its errors, the entry of W_ij in layer
    k and W'_pq in a layer l behind it is (2 / N) sum [(df/ds_i . df/ds'_p) a_j a'_q + a_j (da'_q / ds_i) (e .
    df/ds'_p)]; within one layer the second term vanishes, because rectified networks are linear in it. Each term is
    one product of two matrices whose rows are samples.

    Args:
        model: layers torch.nn.Linear, all with biases or none, with torch.nn.ReLU between them.
        data: inputs, shape (N, d_0), and targets, shape (N, d).

    Returns:
        Shape (P, P), in the order of `named_parameters`.
    """
    linear = [module for module in model if isinstance(module, nn.Linear)]
    with torch.no_grad():
        layers = _layers(linear, *data)
        blocks = [[torch.empty(0)] * len(layers) for _ in layers]
        for k, l in combinations_with_replacement(range(len(layers)), 2):  # noqa: E741
            blocks[k][l] = _block(layers, k, l) * (2 / len(data[0]))
            blocks[l][k] = blocks[k][l].mT
        order = _order(linear)
        return torch.cat([torch.cat(row, 1) for row in blocks])[order][:, order]


def _layers(linear: list[nn.Linear], inputs: Tensor, targets: Tensor) -> list[_Layer]:
    entering, leaving = [inputs], []
    for layer in linear:
        leaving.append(layer(entering[-1]))
        entering.append(torch.relu(leaving[-1]))
    error = leaving[-1] - targets
    slopes: Tensor = torch.eye(error.shape[1]).to(error).expand(len(inputs), -1, -1)
    layers: list[_Layer] = []
    onward: list[Tensor] = []
    for k in reversed(range(len(linear))):
        if layers:
            gate, behind = (leaving[k] > 0).to(error), linear[k + 1]
            slopes, *onward = (gate.unsqueeze(2) * (behind.weight.mT @ later) for later in (slopes, *onward))
            onward.insert(0, _extended(torch.diag_embed(gate), behind, 0.0))
        pull = (slopes @ error.unsqueeze(2)).squeeze(2)
        layers.insert(0, _Layer(_extended(entering[k], linear[k], 1.0), slopes, pull, onward))
    return layers


def _extended(inputs: Tensor, layer: nn.Linear, value: float) -> Tensor:
    """Inputs of a layer, with a last one, of this value, that its biases are the weights of."""
    return inputs if layer.bias is None else nn.functional.pad(inputs, (0, 1), value=value)


def _block(layers: list[_Layer], k: int, l: int) -> Tensor:  # noqa: E741
    """Sum over samples of the second derivatives by the weights of layers k <= l, bias columns last."""
    first, second = layers[k], layers[l]
    total = _summed(first.slopes @ second.slopes.mT, _outer(first.inputs, second.inputs)).permute(0, 2, 1, 3)
    if k < l:
        total = total + _summed(_outer(first.inputs, second.pull), first.onward[l - k - 1]).permute(2, 0, 1, 3)
    return total.flatten(2).flatten(0, 1)


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left.unsqueeze(2) * right.unsqueeze(1)


def _summed(left: Tensor, right: Tensor) -> Tensor:
    """Sum over samples of left[n, a, b] right[n, c, d], shape (a, b, c, d)."""
    return (left.flatten(1).mT @ right.flatten(1)).view(*left.shape[1:], *right.shape[1:])


def _order(linear: list[nn.Linear]) -> Tensor:
    """Places of the parameters, weights row by row and then biases, in matrices with the biases in a last column."""
    order, first = [], 0
    for layer in linear:
        rows, columns = layer.weight.shape
        places = first + torch.arange(rows * (columns + (layer.bias is not None))).view(rows, -1)
        order += [places[:, :columns].flatten(), places[:, columns:].flatten()]
        first += places.numel()
    return torch.cat(order)
