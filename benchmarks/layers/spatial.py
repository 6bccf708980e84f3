"""Layers of signals, images and volumes."""

from torch import Tensor, nn
from torch.nn import Module, functional

from benchmarks.layers.cases import Case, between


def _twice(layer: Module, hidden: Tensor) -> Tensor:
    return layer(hidden, hidden.flip(-1))


def _unpooled(layer: Module, hidden: Tensor) -> Tensor:
    pool = getattr(functional, f"max_pool{hidden.ndim - 2}d")
    return layer(*pool(hidden, 2, return_indices=True))


CONVOLUTIONS: list[Case] = [
    between(nn.Linear(4, 3), 4),
    between(nn.Bilinear(3, 3, 2), 3, apply=_twice),
    between(nn.Conv1d(2, 2, 2), 2, 4),
    between(nn.Conv2d(2, 2, 2, padding=1, stride=2), 2, 3, 3),
    between(nn.Conv2d(2, 4, 2, groups=2, dilation=2), 2, 3, 3, special="groups and dilation"),
    between(nn.Conv2d(1, 2, 2, padding="same", padding_mode="reflect"), 1, 3, 3, special="reflect padding"),
    between(nn.Conv3d(1, 2, 2), 1, 2, 3, 3),
    between(nn.ConvTranspose1d(2, 2, 2, stride=2), 2, 3),
    between(nn.ConvTranspose2d(1, 2, 2, output_padding=1, stride=2), 1, 2, 3),
    between(nn.ConvTranspose3d(1, 1, 2), 1, 2, 2, 2),
]

POOLING: list[Case] = [
    between(nn.AdaptiveAvgPool1d(2), 1, 5),
    between(nn.AdaptiveAvgPool2d(2), 1, 3, 5),
    between(nn.AdaptiveAvgPool3d(2), 1, 3, 3, 3),
    between(nn.AdaptiveMaxPool1d(2), 1, 5),
    between(nn.AdaptiveMaxPool2d(2), 1, 3, 5),
    between(nn.AdaptiveMaxPool3d(2), 1, 3, 3, 3),
    between(nn.AvgPool1d(2), 1, 6),
    between(nn.AvgPool2d(2, ceil_mode=True), 1, 3, 5),
    between(nn.AvgPool3d(2), 1, 2, 4, 4),
    between(nn.FractionalMaxPool2d(2, output_size=3), 1, 7, 7),
    between(nn.FractionalMaxPool3d(2, output_size=3), 1, 7, 7, 7),
    between(nn.LPPool1d(2, 2), 1, 6),
    between(nn.LPPool2d(2, 2), 1, 4, 4),
    between(nn.LPPool3d(2, 2), 1, 2, 4, 4),
    between(nn.MaxPool1d(2), 1, 6),
    between(nn.MaxPool2d(2), 1, 4, 4),
    between(nn.MaxPool2d(3, 1, padding=1, dilation=1), 1, 3, 4, special="overlapping"),
    between(nn.MaxPool3d(2), 1, 2, 4, 4),
    between(nn.MaxUnpool1d(2), 1, 4, apply=_unpooled),
    between(nn.MaxUnpool2d(2), 1, 4, 4, apply=_unpooled),
    between(nn.MaxUnpool3d(2), 1, 2, 4, 4, apply=_unpooled),
]

PADDING: list[Case] = [
    between(nn.CircularPad1d(1), 1, 4),
    between(nn.CircularPad2d(1), 1, 3, 3),
    between(nn.CircularPad3d(1), 1, 2, 2, 2),
    between(nn.ConstantPad1d(1, 0.5), 1, 4),
    between(nn.ConstantPad2d(1, 0.5), 1, 3, 3),
    between(nn.ConstantPad3d(1, 0.5), 1, 2, 2, 2),
    between(nn.ReflectionPad1d(1), 1, 4),
    between(nn.ReflectionPad2d(1), 1, 3, 3),
    between(nn.ReflectionPad3d(1), 1, 2, 2, 2),
    between(nn.ReplicationPad1d(1), 1, 4),
    between(nn.ReplicationPad2d(1), 1, 3, 3),
    between(nn.ReplicationPad3d(1), 1, 2, 2, 2),
    between(nn.ZeroPad1d(1), 1, 4),
    between(nn.ZeroPad2d(1), 1, 3, 3),
    between(nn.ZeroPad3d(1), 1, 2, 2, 2),
]

SHAPES: list[Case] = [
    between(nn.ChannelShuffle(2), 4, 2, 2),
    between(nn.Flatten(), 2, 3),
    between(nn.Fold((2, 3), (2, 2)), 4, 2),
    between(nn.PixelShuffle(2), 4, 2, 2),
    between(nn.PixelUnshuffle(2), 1, 4, 4),
    between(nn.Unflatten(1, (2, 3)), 6),
    between(nn.Unfold(2), 1, 3, 3),
    between(nn.Upsample(scale_factor=2), 1, 2, 2),
    between(nn.Upsample(scale_factor=2, mode="linear"), 1, 4, special="linear"),
    between(nn.Upsample(scale_factor=2, mode="bicubic"), 1, 2, 3, special="bicubic"),
    between(nn.Upsample(scale_factor=2, mode="trilinear"), 1, 2, 2, 2, special="trilinear"),
    between(nn.UpsamplingBilinear2d(scale_factor=2), 1, 2, 3),
    between(nn.UpsamplingNearest2d(scale_factor=2), 1, 2, 2),
    between(nn.CosineSimilarity(dim=1), 4, 3, apply=_twice),
    between(nn.PairwiseDistance(), 2, 4, apply=_twice),
    between(nn.PairwiseDistance(1), 2, 4, special="p=1", apply=_twice),
]
