"""Networks in coordinates that change their curvature and not their function (Dinh et al. 2017, theory.md D7)."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Self

import numpy as np
import torch
from scipy.optimize import newton
from scipy.special import expit
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrize import register_parametrization

from flatminima.errors import UserError

ITERATIONS = 200
REFLECTIONS = 4


class Reparametrised(nn.Module):
    """A network theta = theta_hat + u(eta) whose only parameters that require gradients are the coordinates eta.

    Attributes:
        coordinates: eta, shape (P,), zero at first; u(0) = 0.
    """

    def __init__(self, model: nn.Module, displacement: Callable[[Tensor], Tensor]) -> None:
        """Set up the network.

        Args:
            model: the network at theta_hat; it is copied.
            displacement: u, from shape (P,) to shape (P,), in the order of `named_parameters`.
        """
        super().__init__()
        self.model = deepcopy(model).requires_grad_(False)
        self._displacement = displacement
        self.coordinates = nn.Parameter(torch.zeros_like(torch.cat([p.flatten() for p in self.model.parameters()])))

    def at(self, coordinates: Tensor) -> Self:
        """A copy with these coordinates, shape (P,)."""
        copy = deepcopy(self)
        with torch.no_grad():
            copy.coordinates.copy_(coordinates)
        return copy

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of the network at theta_hat + u(eta)."""
        centre = dict(self.model.named_parameters())
        parts = torch.split(self._displacement(self.coordinates), [part.numel() for part in centre.values()])
        moved = {name: p + part.view_as(p) for (name, p), part in zip(centre.items(), parts, strict=True)}
        outputs: Tensor = functional_call(self.model, moved, (inputs,))
        return outputs


def radial(model: nn.Module, power: float, offset: float) -> Reparametrised:
    """The network in coordinates eta = (||u||^2 + b)^a u around its parameters: curvature is multiplied by b^{-2a}.

    Args:
        model: the network at theta_hat.
        power: a > -1/2, so that the map is one-to-one.
        offset: b > 0, so that it and its inverse are smooth at u = 0.

    Raises:
        UserError: if a or b is outside its range.
    """
    _check_radial(power, offset)
    return Reparametrised(model, partial(radial_inverse, power=power, offset=offset))


def radial_map(displacement: Tensor, power: float, offset: float) -> Tensor:
    """The coordinates eta = (||u||^2 + b)^a u of a displacement u.

    Args:
        displacement: u, shape (P,).
        power: a > -1/2.
        offset: b > 0.

    Raises:
        UserError: if a or b is outside its range.
    """
    _check_radial(power, offset)
    return (displacement.square().sum() + offset) ** power * displacement


def radial_inverse(coordinates: Tensor, power: float, offset: float) -> Tensor:
    """The displacement u of coordinates eta, with exact derivatives up to the third, at eta = 0 too.

    u = (q + b)^{-a} eta, where q = ||u||^2 solves q (q + b)^{2a} = ||eta||^2 and is a smooth function of ||eta||^2. Two
    Newton steps from the root are part of the graph: each step from a root that is constant to autograd doubles the
    number of derivatives that are right, from the value alone to the first, and to the third.

    Args:
        coordinates: eta, shape (P,).
        power: a > -1/2.
        offset: b > 0.

    Raises:
        UserError: if a or b is outside its range, or eta is not finite.
    """
    _check_radial(power, offset)
    squared = coordinates.square().sum()
    root = squared.new_tensor(_squared_length(float(squared.detach()), power, offset))
    for _ in range(2):
        sum_ = root + offset
        root = root - (root * sum_ - squared * sum_ ** (1 - 2 * power)) / ((1 + 2 * power) * root + offset)
    return (root + offset) ** -power * coordinates


def rotated(model: nn.Module, generator: Generator) -> Reparametrised:
    """The network in rotated coordinates, the control: all eigenvalues of the Hessian stay as they are.

    The rotation is a product of an even number of Householder reflections.

    Args:
        model: the network at theta_hat.
        generator: of the rotation.
    """
    size = sum(parameter.numel() for parameter in model.parameters())
    normals = torch.randn(REFLECTIONS, size, generator=generator, dtype=torch.float64)
    return Reparametrised(model, partial(_reflect, normals=normals / normals.norm(dim=1, keepdim=True)))


class WeightNormalisation(nn.Module):
    """w_i = g_i v_i / ||v_i|| for each unit or channel i, as torch.nn.utils.parametrizations.weight_norm.

    The second derivatives of that one's fused kernel are wrong on the CPU (torch 2.14.1: its Hessians are not symmetric
    and torch.autograd.gradgradcheck fails); this one is made of elementary operations.
    """

    def __init__(self, scale: float) -> None:
        """Set v = scale w."""
        super().__init__()
        self._scale = scale

    def forward(self, length: Tensor, direction: Tensor) -> Tensor:
        """Weights of g, shape (d_k, 1, ...), and v, shape (d_k, ...)."""
        return length * direction / _lengths(direction)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The g and v of given weights."""
        return _lengths(weight), self._scale * weight


def weight_normalised(model: nn.Module, scale: float) -> nn.Module:
    """A copy with w_i = g_i v_i / ||v_i|| for every unit or channel, and v = scale w.

    The function does not depend on the length of v, and the curvature in v is proportional to scale^{-2}.

    Args:
        model: a network with Linear or Conv2d layers.
        scale: positive.

    Raises:
        UserError: if the scale is not positive, there is no such layer, or a unit has no incoming weights but zero.
    """
    if not 0 < scale < math.inf:
        raise UserError(f"scale: is {scale}; expected a positive number")
    normalised = deepcopy(model)
    layers = {name: layer for name, layer in normalised.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    if not layers:
        raise UserError("model: no layer to normalise; expected Linear or Conv2d layers")
    for name, layer in layers.items():
        if not layer.weight.flatten(1).any(1).all():
            raise UserError(f"model: a unit of layer {name} has zero weights, which have no direction")
        register_parametrization(layer, "weight", WeightNormalisation(scale))
    return normalised


def direction_names(model: nn.Module) -> list[str]:
    """Names of the parameters v of a weight-normalised network, to which curvature can be restricted."""
    return [name for name, _ in model.named_parameters() if name.endswith("parametrizations.weight.original1")]


def _lengths(weight: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(weight, dim=list(range(1, weight.dim())), keepdim=True)
    return lengths


def _check_radial(power: float, offset: float) -> None:
    if not -0.5 < power < math.inf:
        raise UserError(f"power: is {power}; expected a number above -1/2, or the map is not one-to-one")
    if not 0 < offset < math.inf:
        raise UserError(f"offset: is {offset}; expected a positive number, or curvature at the centre is undefined")


def _squared_length(squared: float, power: float, offset: float) -> float:
    """The root q of q (q + b)^{2a} = S.

    In x = log q it is that of an increasing function that is convex for a > 0 and concave for a < 0, for which Newton's
    method converges from anywhere.
    """
    if squared == 0:
        return 0.0
    if not squared < math.inf:
        raise UserError(f"coordinates: have squared length {squared}; expected a finite number")
    log_squared, log_offset = math.log(squared), math.log(offset)

    def mismatch(x: float) -> float:
        return float(x + 2 * power * np.logaddexp(x, log_offset) - log_squared)

    def slope(x: float) -> float:
        return float(1 + 2 * power * expit(x - log_offset))

    try:
        return math.exp(newton(mismatch, log_squared, slope, tol=1e-13, rtol=1e-13, maxiter=ITERATIONS))
    except RuntimeError as error:
        raise UserError(f"coordinates: no u found for squared length {squared:g}, power {power:g}: {error}") from error


def _reflect(coordinates: Tensor, normals: Tensor) -> Tensor:
    for normal in normals.to(coordinates):
        coordinates = coordinates - 2 * (normal @ coordinates) * normal
    return coordinates
