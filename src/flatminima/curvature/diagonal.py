"""Diagonals of curvature matrices."""

import torch
from torch import Tensor
from torch.func import hessian, jacrev, vmap
from torch.nn import Module

from flatminima.curvature.network import MeanLoss, Network, Parameters

CHUNK = 128
"""Samples whose Jacobians are held at a time."""


def gauss_newton_diagonal(model: Module, loss: MeanLoss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Diagonal of the generalised Gauss-Newton matrix, mean over samples of J' H J, from every sample's Jacobian J.

    For the squared error of rectified networks it is the Hessian's as well: in each weight alone, such a network is
    linear almost everywhere.

    Args:
        model: any network that treats samples one by one, of P parameters.
        loss: maps (outputs, targets) of a batch to the mean over its samples.
        inputs: shape (samples, ...).
        targets: shape (samples, ...).

    Returns:
        Shape (P,).
    """
    network = Network(model)
    parameters = tuple(parameter.detach() for parameter in network.parameters)

    def outputs(values: Parameters, sample: Tensor) -> Tensor:
        return network(values, sample.unsqueeze(0)).flatten()

    def sample_loss(values: Tensor, target: Tensor) -> Tensor:
        return loss(values.unsqueeze(0), target.unsqueeze(0))

    total = torch.zeros(sum(parameter.numel() for parameter in parameters)).to(parameters[0])
    for x, y in zip(torch.split(inputs, CHUNK), torch.split(network.cast(targets), CHUNK), strict=True):
        jacobians = torch.cat([part.flatten(2) for part in vmap(jacrev(outputs), (None, 0))(parameters, x)], 2)
        curvatures = vmap(hessian(sample_loss))(vmap(outputs, (None, 0))(parameters, x), y)
        total += (jacobians * (curvatures @ jacobians)).sum((0, 1))
    return total / len(inputs)
