"""Area of the set of low loss of a network of two weights (theory.md D2)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from flatminima.curvature.spectrum import Estimate
from flatminima.errors import UserError

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


def _uniform(generator: Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)
