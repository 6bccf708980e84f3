"""Sharpness as the largest loss near a minimum: epsilon-sharpness in a ball, and Keskar et al.'s in a box."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Generator, Tensor, nn

from flatminima.curvature.certified import top_eigenpair
from flatminima.curvature.mean import MeanLoss
from flatminima.curvature.operators import Hessian
from flatminima.curvature.samples import Batch
from flatminima.errors import UserError
from flatminima.rescaling.objective import Objective

OPTIONS = {"ftol": 1e-14, "gtol": 1e-12, "maxcor": 20}
"""Options of L-BFGS-B: it goes on for as long as the loss rises."""


@dataclass(frozen=True)
class Sharpness:
    """Outcome of a search for the largest relative increase (L(theta') - L(theta)) / (1 + L(theta)) of the loss.

    Attributes:
        lower_bound: the largest increase that was found; the true maximum may be larger. As a fraction.
        quadratic: lambda_max epsilon^2 / (2 (1 + L)), the maximum for a quadratic loss at its minimum: an estimate,
            not a bound.
        point: the parameters theta' that were found, flattened, shape (P,).
    """

    lower_bound: float
    quadratic: float
    point: Tensor


def epsilon_sharpness(
    model: nn.Module,
    loss: MeanLoss,
    data: Batch,
    radius: float,
    restarts: int,
    steps: int,
    generator: Generator,
) -> Sharpness:
    """Search for max (L(theta') - L(theta)) / (1 + L(theta)) over ||theta' - theta||_2 <= radius (theory.md section 2).

    A loss that is convex in the weights of a linear last layer is largest on the sphere, so theta' = theta + radius
    u / ||u|| and L-BFGS goes up in u: from both ends of the top eigenvector and from random points. It ends at or above
    the loss of every start: a lower bound in any case.

    Args:
        model: the network; everything is computed in float64.
        loss: maps (outputs, targets) to the mean over samples, at least zero.
        data: all inputs and targets.
        radius: epsilon, in the unit of the parameters.
        restarts: random starts.
        steps: iterations of L-BFGS from each start.
        generator: of the random starts.

    Raises:
        UserError: if the radius is not positive, or the top eigenvalue is not defined or not found.
    """
    _check_radius(radius)
    objective = Objective(model, loss, data)
    centre = objective.point
    value, _, vector = top_eigenpair(Hessian(objective.model, loss, objective.data))

    def on_sphere(free: Tensor) -> Tensor:
        point: Tensor = centre + radius / free.norm() * free
        return point

    def value_and_gradient(free: Tensor) -> tuple[float, Tensor]:
        length, unit = free.norm(), free / free.norm()
        value, gradient = objective.value_and_gradient(on_sphere(free))
        return value, radius / length * (gradient - (gradient @ unit) * unit)

    starts = [vector, -vector, *_normal(len(centre), restarts, generator)]
    points = [on_sphere(_climb(value_and_gradient, start / start.norm(), steps)) for start in starts]
    return _best(objective, points, value * radius**2 / 2)


def best_constant_loss(targets: Tensor) -> float:
    """Loss of the best constant function, for squared errors summed over outputs: the targets' total variance (D6).

    Args:
        targets: shape (samples, d_y).
    """
    return float((targets.double() - targets.double().mean(0)).square().sum(1).mean())


def _check_radius(radius: float) -> None:
    if not 0 < radius < float("inf"):
        raise UserError(f"radius: is {radius}; expected a positive number")


def _normal(size: int, count: int, generator: Generator) -> Iterator[Tensor]:
    return (torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(count))


def _climb(function: Callable[[Tensor], tuple[float, Tensor]], start: Tensor, steps: int) -> Tensor:
    """Climb by L-BFGS-B from values and gradients, to the highest point it meets; never below its start."""
    highest = -math.inf, start

    def descent(array: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal highest
        point = torch.from_numpy(array.copy())
        value, gradient = function(point)
        if value > highest[0]:
            highest = value, point
        return -value, -gradient.numpy()

    minimize(descent, start.numpy(), jac=True, method="L-BFGS-B", options=OPTIONS | {"maxiter": steps})
    return highest[1]


def _best(objective: Objective, points: Sequence[Tensor], rise: float) -> Sharpness:
    here = objective.value(objective.point)
    value, point = max(((objective.value(p), p) for p in [objective.point, *points]), key=lambda pair: pair[0])
    return Sharpness((value - here) / (1 + here), rise / (1 + here), point)
