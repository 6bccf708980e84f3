"""Diagonals of curvature matrices."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import hessian, jacrev, vmap
from torch.nn import Module

from flatminima.curvature.arguments import checked
from flatminima.curvature.checks import MeanCheck, check_mean
from flatminima.curvature.differentiation import gradients
from flatminima.curvature.mean import MeanLoss, OfSamples
from flatminima.curvature.network import Network, Parameters
from flatminima.curvature.samples import Samples

CHUNK = 128
"""Samples whose Jacobians are held at a time; fully connected layers need none, and take eight times as many."""
DENSE = (nn.Linear, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Identity)


@checked
def gauss_newton_diagonal(model: Module, loss: MeanLoss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Diagonal of the generalised Gauss-Newton matrix, mean over samples of J' H J, from every sample's Jacobian J.

    For the squared error of rectified networks it is also the Hessian's: in each weight alone, such a network is
    linear almost everywhere.

    Args:
        model: any network that treats samples one by one, of P parameters.
        loss: maps (outputs, targets) of a batch to the mean over its samples.
        inputs: shape (samples, ...).
        targets: shape (samples, ...).

    Returns:
        Shape (P,).

    Raises:
        UserError: if the loss is not a finite mean over samples, or torch cannot differentiate the model.
    """
    with gradients():
        return _gauss_newton_diagonal(model, loss, inputs, targets)


def _gauss_newton_diagonal(model: Module, loss: MeanLoss, inputs: Tensor, targets: Tensor) -> Tensor:
    network, mean = Network(model), OfSamples(loss)
    spread = Samples((inputs, targets), 0, mean.weight).spread
    check_mean(network, mean, spread)
    check_all = MeanCheck.of(network, mean, spread)
    dense = _is_dense(model, inputs)
    of_chunk, chunk = (partial(_by_layers, model), 8 * CHUNK) if dense else (partial(_by_jacobians, network), CHUNK)
    total = torch.zeros(sum(parameter.numel() for parameter in network.parameters)).to(network.parameters[0])
    for x, y in zip(torch.split(inputs, chunk), torch.split(targets, chunk), strict=True):
        check_all(x, check_all.model(x), network.cast(y))
        total += of_chunk(loss, network.cast(x), network.cast(y))
    return total / len(inputs)


def _by_jacobians(network: Network, loss: MeanLoss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Sum over samples, from the Jacobians in all parameters."""

    def outputs(values: Parameters, sample: Tensor) -> Tensor:
        return torch.flatten(network(values, sample.unsqueeze(0)))

    parameters = tuple(parameter.detach() for parameter in network.parameters)
    jacobians = torch.cat([part.flatten(2) for part in vmap(jacrev(outputs), (None, 0))(parameters, inputs)], 2)
    curvatures = _output_curvatures(loss, vmap(outputs, (None, 0))(parameters, inputs), targets)
    return (jacobians * (curvatures @ jacobians)).sum((0, 1))


def _by_layers(model: Module, loss: MeanLoss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Gauss-Newton diagonal of a stack of fully connected layers, by products of two matrices for each layer.

    The outputs' derivatives by a weight are b_i a_j, for inputs a of its layer and derivatives b by the layer's
    outputs; so sums of squares over samples are products of the squares.
    """
    values, dense = inputs, []
    for layer in model.children():
        entering, values = values.detach(), layer(values)
        if isinstance(layer, nn.Linear):
            dense.append((layer, entering, values))
    leaving = [outputs for _, _, outputs in dense]
    columns = [torch.autograd.grad(column.sum(), leaving, retain_graph=True) for column in values.unbind(1)]
    curvatures = _output_curvatures(loss, values.detach(), targets)
    parts = []
    for (layer, entering, _), derivatives in zip(dense, zip(*columns, strict=True), strict=True):
        jacobians = torch.stack(derivatives, 1)
        squares = (jacobians * (curvatures @ jacobians)).sum(1)
        parts += [(squares.mT @ entering.square()).flatten(), *([] if layer.bias is None else [squares.sum(0)])]
    return torch.cat(parts)


def _output_curvatures(loss: MeanLoss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Hessians of every sample's loss in its outputs, shape (samples, d_y, d_y)."""

    def sample_loss(values: Tensor, target: Tensor) -> Tensor:
        return loss(values.unsqueeze(0), target.unsqueeze(0))

    curvatures: Tensor = vmap(hessian(sample_loss))(outputs, targets)
    return curvatures


def _is_dense(model: Module, inputs: Tensor) -> bool:
    """Whether all layers in a row are fully connected, or activations, and all parameters their own."""
    if not isinstance(model, nn.Sequential) or inputs.dim() != 2:
        return False
    known = all(type(layer) in DENSE for layer in model)
    return known and len(set(model)) == len(model) and all(part.requires_grad for part in model.parameters())
