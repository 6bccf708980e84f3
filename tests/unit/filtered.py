"""Fully convolutional networks as torch modules and as dense matrices, one network at a time."""

from itertools import pairwise

import torch
from references import DTYPE, normal
from torch import nn

from flatminima.networks.fully_convolutional import FullyConvolutionalStack

SIDE = 5


def stack_of(replicas=2, channels=(3, 4, 2, 3), bias=True, side=SIDE, seed=1):
    """Filters with gains near one, and biases."""
    weights = [
        normal(100 * seed + k, replicas, after, before, 3, 3) / (5 * before) ** 0.5
        for k, (before, after) in enumerate(pairwise(channels))
    ]
    biases = [0.1 * normal(100 * seed + 50 + k, replicas, after) for k, after in enumerate(channels[1:])]
    return FullyConvolutionalStack(tuple(weights), tuple(biases) if bias else (), rectified=True, side=side)


def sequential(stack, index):
    """One replica as a torch.nn.Sequential of images (samples, channels, side, side)."""
    network = nn.Sequential()
    for k, weight in enumerate(stack.weights):
        after, before = weight.shape[1:3]
        layer = nn.Conv2d(before, after, 3, padding=1, bias=bool(stack.biases), dtype=weight.dtype)
        layer.weight.data = weight[index].clone()
        if stack.biases:
            layer.bias.data = stack.biases[k][index].clone()
        network.append(layer)
        if k < stack.depth - 1:
            network.append(nn.ReLU())
    return network


def images(rows, side=SIDE):
    """Rows of pixels, colours fastest, as images (samples, channels, side, side)."""
    return rows.reshape(len(rows), side, side, -1).permute(0, 3, 1, 2)


def rows_of(maps):
    """The rows of images."""
    return maps.permute(0, 2, 3, 1).flatten(1)


def affine_maps(stack, index):
    """Each layer as a dense matrix (d_k, d_{k-1}) and a vector (d_k,): its images of the unit vectors, and of zero."""
    result = []
    for layer in sequential(stack, index):
        if isinstance(layer, nn.Conv2d):
            size = stack.side**2 * layer.in_channels
            with torch.no_grad():
                shift = rows_of(layer(images(torch.zeros(1, size, dtype=DTYPE), stack.side)))[0]
                matrix = rows_of(layer(images(torch.eye(size, dtype=DTYPE), stack.side))).T - shift.unsqueeze(1)
            result.append((matrix, shift))
    return result
