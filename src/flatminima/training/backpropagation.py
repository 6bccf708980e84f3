"""Losses of stacked networks on batches, and their gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from flatminima.networks.stack import Stack

LossAndGradient = Callable[[Stack, Tensor, Tensor, float], tuple[Tensor, list[Tensor]]]


def loss_and_gradient(stack: Stack, inputs: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, list[Tensor]]:
    """Loss and its gradient by backpropagation, written out: autograd lays gradients out in a slower order.

    Args:
        stack: the networks.
        inputs: shape (replicas, batch, d_x).
        targets: shape (replicas, batch, d_y).
        scale: 1 for errors summed over outputs, 1/d_y for their mean.

    Returns:
        Losses, shape (replicas,), and gradients in the order and shapes of the stack's parameters.
    """
    *hidden, output = stack.layers(inputs)
    activations = [inputs, *hidden]
    error = output - targets
    loss = scale * error.square().sum(2).mean(1)
    back = error * (2 * scale / inputs.shape[1])
    weights, biases = [], []
    for k in reversed(range(stack.depth)):
        weights.append(torch.bmm(back.mT, activations[k]))
        if stack.biases:
            biases.append(back.sum(1))
        if k > 0:
            back = torch.bmm(back, stack.weights[k])
            if stack.rectified:
                back *= activations[k].sign()
    return loss, weights[::-1] + biases[::-1]


def loss_and_gradient_by_autograd(
    stack: Stack, inputs: Tensor, targets: Tensor, scale: float
) -> tuple[Tensor, list[Tensor]]:
    """Loss and its gradient by autograd, for any stack; arguments and results are those of `loss_and_gradient`."""
    parameters = [parameter.detach().requires_grad_() for parameter in stack.parameters]
    error = stack.with_parameters(parameters)(inputs) - targets
    loss = scale * error.square().sum(2).mean(1)
    return loss.detach(), list(torch.autograd.grad(loss.sum(), parameters))
