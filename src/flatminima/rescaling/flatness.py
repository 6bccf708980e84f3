"""Flatness as volume, and as curvature: theory.md D2 and D4."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.network import MeanLoss
from flatminima.curvature.operators import Operator
from flatminima.curvature.samples import Batch
from flatminima.curvature.spectrum import Estimate, trace
from flatminima.errors import UserError
from flatminima.rescaling.landscape import Landscape
from flatminima.rescaling.maps import Rescaling, two_layer

TOLERANCE = 1e-6
"""Of residuals of eigenvalues, relative."""
ROUGH = 1e-2
"""Enough to see that the smallest eigenvalue is not the largest in magnitude."""
PRODUCTS = 90
CHUNK = 2**14


@dataclass(frozen=True)
class Boxes:
    """Images of a box around a network's parameters under T_alpha, T_alpha^2, ... (theory.md D2).

    Attributes:
        alpha: 2 (||theta_1||_inf + r) / (||theta_1||_inf - r).
        intervals: logarithms of the ends between which the images have their coordinate of largest |theta_1|, shape
            (copies + 1, 2); the first is the box itself.
        log_volume_step: log |det| of T_alpha, by which the logarithm of the volume changes from copy to copy.
        multiplied: number n_1 of parameters that T_alpha multiplies.
        divided: number n_2 of parameters that it divides.
        excess: the largest loss that was found in the box, less the loss at its centre.
        loss_error: the largest relative difference in loss between points of the box and their images.
    """

    alpha: float
    intervals: Tensor
    log_volume_step: float
    multiplied: int
    divided: int
    excess: float
    loss_error: float

    @property
    def disjoint(self) -> bool:
        """Whether no two images meet: they are apart along one coordinate."""
        lower, upper = self.intervals.sort(0).values.unbind(1)
        return bool((lower[1:] > upper[:-1]).all())


def disjoint_boxes(
    model: nn.Module,
    loss: MeanLoss,
    data: Batch,
    layers: tuple[int, int],
    radius: float,
    copies: int,
    points: int,
    generator: Generator,
) -> Boxes:
    """Infinitely many boxes of a loss as low as around the network, shown on the first of them (theory.md D2).

    Biases between the two layers are multiplied with the first. The volume is the same for all copies if T_alpha
    multiplies as many parameters as it divides.

    Args:
        model: a network that `Rescaling` takes.
        loss: maps (outputs, targets) to a number.
        data: all inputs and targets.
        layers: the layers with parameters theta_1 and theta_2, counted from 1; theta_1 are weights.
        radius: r, half the side of the box, below ||theta_1||_inf.
        copies: images of the box.
        points: uniform in the box, at which losses are compared.
        generator: of the points.

    Raises:
        UserError: if the radius does not fit or the network cannot be rescaled.
    """
    group, landscape = Rescaling(model, "layers"), Landscape(model, loss, data)
    weights = group.layers[layers[0] - 1].weights
    largest = int(landscape.point[weights].abs().argmax()) + weights.start
    size = float(landscape.point[largest].abs())
    if not 0 < radius < size:
        raise UserError(f"radius: is {radius}; expected between 0 and ||theta_1||_inf = {size:g}")
    alpha = 2 * (size + radius) / (size - radius)
    exponents = group.exponents(two_layer(group, *layers, alpha))
    powers = torch.arange(copies + 1).double()
    ends = torch.tensor([size - radius, size + radius], dtype=torch.float64).log()
    boxed = landscape.point + radius * (2 * _uniform(generator, points, len(landscape.point)) - 1)
    found = [[landscape.value(torch.exp(k * exponents) * point) for point in boxed] for k in powers]
    losses = torch.tensor(found, dtype=torch.float64)
    return Boxes(
        alpha=alpha,
        intervals=ends + (powers * exponents[largest]).unsqueeze(1),
        log_volume_step=float(exponents.sum()),
        multiplied=int((exponents > math.log(alpha) / 2).sum()),
        divided=int((exponents < -math.log(alpha) / 2).sum()),
        excess=float(losses[0].max()) - landscape.value(landscape.point),
        loss_error=float(((losses - losses[0]).abs() / losses[0]).max()),
    )


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
