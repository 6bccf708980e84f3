"""Small networks of several kinds, and dense float64 second derivatives by torch.autograd.functional."""

import torch
from references import DTYPE, generator, normal
from torch import nn
from torch.func import functional_call

from flatminima.curvature.operators import Operator


class Dense(Operator):
    """A matrix as an operator whose products are counted."""

    def __init__(self, matrix):
        self.matrix, self.shape, self.dtype, self.device = matrix, tuple(matrix.shape), matrix.dtype, matrix.device
        self.count = 0

    def matmat(self, block):
        self.count += block.shape[1]
        return (self.matrix @ block.to(self.matrix)).to(block)


def with_spectrum(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues in a random basis, and the basis."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=DTYPE)
    basis = torch.linalg.qr(normal(seed, len(eigenvalues), len(eigenvalues))).Q
    return (basis * eigenvalues) @ basis.mT, basis


class Tied(nn.Module):
    """An autoencoder whose decoder is the encoder transposed, and one layer used twice."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(5, 4, bias=False)
        self.middle = nn.Linear(4, 4)
        self.again = self.middle
        self.scale = nn.Parameter(torch.tensor([0.7, 1.1, 0.9]))
        self.head = nn.Linear(5, 3)

    def forward(self, inputs):
        hidden = self.again(torch.tanh(self.middle(self.encoder(inputs))))
        return self.scale * self.head(hidden @ self.encoder.weight)


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build().to(DTYPE)


def mlp():
    return seeded(lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)))


def convolutional():
    def build():
        layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten()
        model = nn.Sequential(*layers, nn.Linear(12, 3))
        model[1].running_mean.uniform_(-0.5, 0.5)
        model[1].running_var.uniform_(0.5, 2)
        return model

    return seeded(build).eval()


def tied():
    return seeded(Tied)


def data(model, samples=23):
    """Inputs that fit the model, and labels of three classes."""
    shape = (1, 6, 6) if isinstance(model[0] if isinstance(model, nn.Sequential) else None, nn.Conv2d) else (5,)
    return normal(7, samples, *shape), torch.randint(3, (samples,), generator=generator(8))


def flat_loss(model, loss, inputs, targets, names=None):
    """The loss as a function of the flat chosen parameters, and these."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    names = list(parameters) if names is None else names
    sizes = [parameters[name].numel() for name in names]

    def outputs(flat):
        parts = [part.reshape(parameters[n].shape) for n, part in zip(names, flat.split(sizes), strict=True)]
        return functional_call(model, parameters | dict(zip(names, parts, strict=True)), (inputs,))

    return outputs, lambda flat: loss(outputs(flat), targets), torch.cat([parameters[n].flatten() for n in names])


def dense_hessian(model, loss, inputs, targets, names=None):
    _, value, flat = flat_loss(model, loss, inputs, targets, names)
    return torch.autograd.functional.hessian(value, flat)


def dense_gauss_newton(model, loss, inputs, targets, names=None):
    """J' H J over all outputs of all samples at once."""
    outputs, _, flat = flat_loss(model, loss, inputs, targets, names)
    centre = outputs(flat)
    jacobian = torch.autograd.functional.jacobian(outputs, flat).reshape(-1, len(flat))
    curvature = torch.autograd.functional.hessian(lambda f: loss(f.reshape(centre.shape), targets), centre.flatten())
    return jacobian.T @ curvature @ jacobian


def columns(operator):
    """The operator as a matrix."""
    return operator.matmat(torch.eye(operator.shape[0], dtype=DTYPE))
