"""PyTorch modules: stacked networks in the form in which other libraries take them, and residual blocks."""

import torch
from torch import Tensor, nn

from flatminima.networks.stack import Stack


def as_module(stack: Stack, replica: int) -> nn.Sequential:
    """Convert one replica to a PyTorch network that computes its function."""
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


class Residual(nn.Module):
    """A residual block x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        """Set up the block around a body whose outputs have the shape of its inputs."""
        super().__init__()
        self.body = body

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs, of the shape of the inputs."""
        outputs: Tensor = inputs + self.body(inputs)
        return outputs
