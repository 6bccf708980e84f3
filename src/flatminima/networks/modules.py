"""Stacked networks as PyTorch modules, the form in which other libraries take them."""

import torch
from torch import nn

from flatminima.networks.stack import Stack


def as_module(stack: Stack, replica: int) -> nn.Sequential:
    """One replica as a PyTorch network that computes the same function."""
    network = nn.Sequential()
    for k, weight in enumerate(stack.weights):
        if stack.rectified and k:
            network.append(nn.ReLU())
        rows, columns = weight.shape[1:]
        layer = nn.Linear(columns, rows, bias=bool(stack.biases), dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight[replica])
            if stack.biases:
                layer.bias.copy_(stack.biases[k][replica])
        network.append(layer)
    return network
