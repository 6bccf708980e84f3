"""The flattest network of every orbit, measured on trained networks, and what an attack does to it (theory.md B1)."""

from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from flatminima.config import Orbits
from flatminima.curvature.diagonal import gauss_newton_diagonal
from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.curvature.operators import Operator
from flatminima.errors import UserError
from flatminima.networks.initialisations import named_generator
from flatminima.rescaling.maps import Kind, Rescaling
from flatminima.rescaling.orbit import Rescaled, flattest, least_trace
from flatminima.rescaling.subjects import Subject, rows
from flatminima.training.convolutional import squared_error

KINDS: tuple[Kind, ...] = ("layers", "units")
RESIDUAL = 1e-6
"""Relative residual of top eigenvalues: their relative errors are about its square."""
PRODUCTS = 2000
UNMINIMISED = "-unminimised"


def random_scales(group: Rescaling, spread: float, generator: Generator) -> Tensor:
    """Log-scales, uniform between the logarithms of 1/spread and spread, shape (n,)."""
    return np.log(spread) * (2 * torch.rand(group.size, generator=generator, dtype=torch.float64) - 1)


def top(operator: Operator) -> float:
    """The largest eigenvalue.

    Raises:
        UserError: if its residual stays too large.
    """
    pairs = eigenpairs(operator, tolerance=RESIDUAL, max_products=PRODUCTS)
    value, residual = float(pairs.eigenvalues[0]), float(pairs.residuals[0])
    if residual > 10 * RESIDUAL * abs(value):
        raise UserError(f"model: its top eigenvalue {value:g} has residual {residual:g}; check its parameters")
    return value


def orbits(study: str, subject: Subject, settings: Orbits) -> pd.DataFrame:
    """Tidy rows of a network's orbits under layer-wise and unit-wise rescalings.

    Experiment `orbit_<kind>` has statistics sharpness (of the Hessian), gauss_newton_sharpness, orbit_minimum (of the
    Gauss-Newton matrix, which is positive semi-definite as theory asks), orbit_gap between it and its lower bound,
    orbit_ratio = gauss_newton_sharpness / orbit_minimum, sharpness_at_minimum (of the Hessian of the flattest network),
    orbit_change (relative, after a random rescaling), products, gain (what layers are multiplied by, geometric mean),
    and trace and least_trace of the Gauss-Newton matrix. In the control `orbit_<kind>-unminimised` orbit_change is that of the sharpness itself.
    """
    return pd.concat([_orbit(study, subject, kind, settings) for kind in KINDS], ignore_index=True)


def _orbit(study: str, subject: Subject, kind: Kind, settings: Orbits) -> pd.DataFrame:
    group = Rescaling(subject.model, kind)
    minimise = partial(flattest, tolerance=settings.tolerance.value, max_products=settings.products.value)
    scales = random_scales(group, settings.spread.value, named_generator(study, "attack", kind, *subject.names))
    attacked = subject.with_model(group.apply(subject.model, scales))
    least, again = minimise(subject.gauss_newton, group), minimise(attacked.gauss_newton, group)
    before, after = top(subject.gauss_newton), top(attacked.gauss_newton)
    exponents = group.exponents(least.scales)
    values = {
        "test_error": subject.test_error,
        "sharpness": top(subject.hessian),
        "gauss_newton_sharpness": before,
        "orbit_minimum": least.value,
        "orbit_gap": least.gap,
        "orbit_ratio": before / least.value,
        "sharpness_at_minimum": top(Rescaled(subject.hessian, torch.exp(-exponents))),
        "orbit_change": abs(again.value / least.value - 1),
        "products": least.products,
        "gain": [float(exponents[layer.weights].mean().exp()) for layer in group.layers],
        **_traces(subject, group),
    }
    name = f"orbit_{kind}{subject.suffix}"
    fixed = {"orbit_change": abs(after / before - 1)}
    return pd.concat([rows(study, subject, name, values), rows(study, subject, name + UNMINIMISED, fixed)])


def _traces(subject: Subject, group: Rescaling) -> dict[str, float]:
    diagonal = gauss_newton_diagonal(subject.model, squared_error, *subject.data)
    return {"trace": float(diagonal.sum()), "least_trace": least_trace(diagonal, group).value}
