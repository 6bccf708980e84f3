"""Activations, softmaxes and dropouts."""

from torch import nn

from benchmarks.layers.cases import Case, between

ACTIVATIONS: list[Case] = [
    between(nn.CELU(0.7), 5),
    between(nn.ELU(0.7), 5),
    between(nn.GELU(), 5),
    between(nn.GELU("tanh"), 5, special="tanh"),
    between(nn.GLU(), 6),
    between(nn.Hardshrink(0.3), 5),
    between(nn.Hardsigmoid(), 5),
    between(nn.Hardswish(), 5),
    between(nn.Hardtanh(-0.6, 0.8), 5),
    between(nn.LeakyReLU(0.2), 5),
    between(nn.LogSigmoid(), 5),
    between(nn.LogSoftmax(1), 5),
    between(nn.Mish(), 5),
    between(nn.PReLU(), 5),
    between(nn.PReLU(5), 5, special="by channel"),
    between(nn.ReLU(), 5),
    between(nn.ReLU(inplace=True), 5, special="in place"),
    between(nn.ReLU6(), 5),
    between(nn.RReLU(), 5),
    between(nn.SELU(), 5),
    between(nn.SiLU(), 5),
    between(nn.Sigmoid(), 5),
    between(nn.Softmax(1), 5),
    between(nn.Softmax2d(), 3, 2, 2),
    between(nn.Softmin(1), 5),
    between(nn.Softplus(2, threshold=1), 5),
    between(nn.Softshrink(0.3), 5),
    between(nn.Softsign(), 5),
    between(nn.Tanh(), 5),
    between(nn.Tanhshrink(), 5),
    between(nn.Threshold(0.1, 0.5), 5),
    between(nn.Identity(), 5),
]

DROPOUTS: list[Case] = [
    between(nn.AlphaDropout(), 5),
    between(nn.Dropout(), 5),
    between(nn.Dropout1d(), 2, 3),
    between(nn.Dropout2d(), 2, 2, 3),
    between(nn.Dropout3d(), 2, 1, 2, 3),
    between(nn.FeatureAlphaDropout(), 2, 2, 3),
]
