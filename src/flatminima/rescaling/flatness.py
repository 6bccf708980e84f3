"""Flatness as the area of low loss of two weights, and as curvature: theory.md D2 and D4."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Operator
from flatminima.curvature.spectrum import Estimate, trace
from flatminima.errors import UserError

TOLERANCE = 1e-6
"""Of residuals of eigenvalues, relative."""
ROUGH = 1e-2
"""Enough to see that the smallest eigenvalue is not the largest in magnitude."""
PRODUCTS = 90
CHUNK = 2**14


def sublevel_area(
    activation: Callable[[Tensor], Tensor],
    inputs: Tensor,
    excess: float,
    bound: float,
    samples: int,
    generator: Generator,
) -> Estimate:
    """Area of the (t_1, t_2) in [1/R, R] x [0, inf) with loss below a level, by Monte Carlo (theory.md D2).

    The network y = t_2 s(t_1 x) with one hidden unit learns from itself at t_1 = t_2 = 1, where its mean squared error
    is zero. With g(t) the root mean square of s(t x), a loss below eps implies |t_2 g(t_1) - g(1)| < sqrt(eps), so that
    t_1 log-uniform and t_2 uniform up to (g(1) + sqrt(eps)) / g(t_1) reach all of the set.

    Args:
        activation: s, elementwise.
        inputs: x, shape (n,).
        excess: eps.
        bound: R > 1.
        samples: of (t_1, t_2).
        generator: of the samples.

    Returns:
        The area and its standard error.

    Raises:
        UserError: if R is not above 1.
    """
    if not 1 < bound < math.inf:
        raise UserError(f"bound: is {bound}; expected a finite number above 1")
    inputs = inputs.double()
    targets = activation(inputs)
    reach = targets.square().mean().sqrt() + math.sqrt(excess)
    spread = 2 * math.log(bound)

    def areas(uniform: Tensor) -> Tensor:
        first = torch.exp(spread * (uniform[:, 0] - 0.5))
        hidden = activation(first.unsqueeze(1) * inputs)
        highest = reach / hidden.square().mean(1).sqrt()
        outputs = (uniform[:, 1] * highest).unsqueeze(1) * hidden
        inside = (outputs - targets).square().mean(1) < excess
        return spread * first * highest * inside

    values = torch.cat([areas(chunk) for chunk in torch.split(_uniform(generator, samples, 2), CHUNK)])
    return Estimate(float(values.mean()), float(values.std() / samples**0.5))


def rectified_area(inputs: Tensor, excess: float, bound: float) -> float:
    """The area of `sublevel_area` for the rectifier: 4 sqrt(eps / m) log R with m = E[x^2; x > 0], for eps <= m.

    The loss is m (t_1 t_2 - 1)^2, so that t_1 t_2 lies within sqrt(eps / m) of one: unbounded as R grows.

    Args:
        inputs: x, shape (n,).
        excess: eps.
        bound: R > 1.
    """
    width = math.sqrt(excess / float(torch.relu(inputs.double()).square().mean()))
    return (width + min(width, 1.0)) * 2 * math.log(bound)


@dataclass(frozen=True)
class Curvature:
    """Flatness as curvature (theory.md D4).

    Attributes:
        spectral_norm: the largest absolute eigenvalue.
        residual: some eigenvalue lies within this distance of it.
        trace: of the matrix; exact for no more than 30 parameters.
    """

    spectral_norm: float
    residual: float
    trace: Estimate


def curvature(operator: Operator, seed: int = 0) -> Curvature:
    """Spectral norm and trace of a Hessian or Gauss-Newton matrix.

    Args:
        operator: of a network in float64.
        seed: of the solvers' random starts.

    Raises:
        UserError: if the largest eigenvalue is not found with a relative residual of 1e-6.
    """
    norm, residual, _ = top_eigenpair(operator, seed=seed)
    reflected = _Reflected(operator, norm)
    spread, error, _ = top_eigenpair(reflected, seed=seed, tolerance=ROUGH, scale=abs(norm))
    if spread + error > 2 * norm:
        spread, residual, _ = top_eigenpair(reflected, seed=seed, scale=abs(norm))
        norm = max(abs(norm), spread - norm)
    return Curvature(norm, residual, trace(operator, products=PRODUCTS, seed=seed))


def top_eigenpair(
    operator: Operator,
    *,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    scale: float = 0.0,
    rough: Operator | None = None,
) -> tuple[float, float, Tensor]:
    """The largest eigenvalue, its residual and its unit vector of shape (size,).

    Args:
        operator: any symmetric operator.
        seed: of the solver's random start.
        tolerance: of the residual, relative to the eigenvalue.
        scale: what the residual may be relative to, where it is larger than the eigenvalue.
        rough: a cheap approximation of the operator, as for `eigenpairs`.

    Raises:
        UserError: if the residual is larger.
    """
    pairs = eigenpairs(operator, tolerance=tolerance, rough=rough, seed=seed)
    value, residual = float(pairs.eigenvalues[0]), float(pairs.residuals[0])
    if residual > tolerance * max(abs(value), scale):
        raise UserError(f"curvature: eigenvalue {value:g} has residual {residual:g}; expected {tolerance:g} of it")
    return value, residual, pairs.eigenvectors[0]


class _Reflected(Operator):
    """shift I - H: its largest eigenvalue tells the smallest of H, relative to the spread of the spectrum."""

    def __init__(self, operator: Operator, shift: float) -> None:
        self._operator, self._shift = operator, shift
        self.shape, self.dtype, self.device = operator.shape, operator.dtype, operator.device

    def matmat(self, block: Tensor) -> Tensor:
        return self._shift * block - self._operator.matmat(block)


def _uniform(generator: Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)
