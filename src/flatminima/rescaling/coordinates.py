"""Networks in other coordinates (theory.md D7), and the volume of a minimum of two weights (D2)."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor, nn

from flatminima.curvature.certified import top_eigenpair
from flatminima.curvature.operators import Hessian
from flatminima.generators import named_generator
from flatminima.networks.losses import squared_error
from flatminima.rescaling.areas import rectified_area, sublevel_area
from flatminima.rescaling.comparison import output_change
from flatminima.rescaling.maps import multiplied
from flatminima.rescaling.objective import Objective
from flatminima.rescaling.reparametrise import direction_names, radial, radial_map, rotated, weight_normalised
from flatminima.rescaling.rows import Curve, Measured, curves, rows
from flatminima.rescaling.subjects import TANH, Subject, top
from flatminima.settings.rescaling import Demonstrations

SPAN = 0.3
"""Half the length of the line along which the loss is drawn, and the distance at which functions are compared."""
STATIONS = 61
"""Number of points on the line along which the loss is drawn."""
EXCESS = 1e-3
"""Excess of the loss below which volumes are measured."""
INPUTS = 32
"""Number of inputs of the network of two weights."""
PLANE: dict[str, Any] = {
    "family": "relu",
    "task": "plane",
    "initialisation": "constructed",
    "optimiser": "",
    "depth": 2,
    "step_size": np.nan,
    "replica": 0,
}
"""Labels of the network of two weights."""


def reparametrised(
    study: str, subject: Subject, offsets: Sequence[float], settings: Demonstrations
) -> Iterator[Measured]:
    """D7: curvature of one function in radial coordinates and under weight normalisation.

    Cases `radial`, at offsets b, and `weight_normalised`, where v is multiplied by b to the power a. Statistics:
    curvature_error, the relative error of the law b^{-2a}; curvature_growth, the sharpness relative to the trained
    network's (for weight normalisation, to that with factor one); function_change, how much outputs differ from those
    in the weights' own coordinates, at a point SPAN away from the trained network. Controls: `rotated` turns the
    coordinates; `multiplied` multiplies the weights by b^a in place of coordinates.
    """
    power = settings.exponent
    rotation = subject.with_model(rotated(subject.model, named_generator(study, "rotation", *subject.names)))
    turned = rotation.sharpness / subject.sharpness
    unscaled = _sharpness_of_directions(weight_normalised(subject.model, 1.0), subject)
    displacement = _displacement(subject, named_generator(study, "displacement", *subject.names))
    moved = subject.with_model(_moved(subject.model, displacement))
    for offset in offsets:
        factor = offset**power
        coordinates = radial(subject.model, power, offset)
        normalised = _sharpness_of_directions(weight_normalised(subject.model, factor), subject) / unscaled
        found = {
            "radial": (
                subject.with_model(coordinates).sharpness / subject.sharpness,
                coordinates.at(radial_map(displacement, power, offset)),
            ),
            "weight_normalised": (normalised, weight_normalised(moved.model, factor)),
        }
        multiplication = _change(subject, multiplied(subject.model, torch.full_like(displacement, factor)))
        for case, (growth, model) in found.items():
            values = _curvature(growth, factor) | {"function_change": _change(moved, model)}
            yield Measured(case, values, "", ("offset", offset))
            yield Measured(case, _curvature(turned, factor), "rotated", ("offset", offset))
            yield Measured(case, {"function_change": multiplication}, "multiplied", ("offset", offset))


def loss_lines(subject: Subject, settings: Demonstrations) -> list[Curve]:
    """Curve `radial_loss`: the loss along the top eigenvector of the Hessian, over x = eta, for offsets y = b.

    In curve `trained_loss` x is the displacement u itself.
    """
    _, _, vector = top_eigenpair(subject.hessian)
    objective = Objective(subject.model, squared_error, subject.data)
    stations = torch.linspace(-SPAN, SPAN, STATIONS, dtype=torch.float64)
    losses = [objective.value(objective.point + station * vector) for station in stations]
    power = settings.exponent
    drawn = [Curve("trained_loss", stations, losses)]
    for offset in settings.offsets:
        mapped = torch.stack([radial_map(station * vector, power, offset) @ vector for station in stations])
        drawn.append(Curve("radial_loss", mapped, losses, offset))
    return drawn


def volumes(study: str, settings: Demonstrations) -> tuple[pd.DataFrame, pd.DataFrame]:
    """D2 in the plane: area of the set of low loss of a network of two weights, for weights in a growing range R.

    Case `area` has statistics area_error, relative to the closed form for the rectifier, and area_growth, the area over
    that of the last smaller range; in control `tanh` the rectifier is replaced.

    Returns:
        Rows, and curves `area`, with its control, of areas, and `area_law` of the closed form, over x = R.
    """
    inputs = torch.randn(INPUTS, generator=named_generator(study, "area", "inputs"), dtype=torch.float64)
    ranges = settings.ranges
    law = [rectified_area(inputs, EXCESS, bound) for bound in ranges]
    measured, drawn = [], [Curve("area_law", ranges, law, error_bound=0.0)]
    for control, (stream, activation) in {"": ("area", torch.relu), TANH: ("area-tanh", torch.tanh)}.items():
        generator = named_generator(study, stream)
        found = [sublevel_area(activation, inputs, EXCESS, r, settings.draws, generator) for r in ranges]
        areas = [estimate.value for estimate in found]
        drawn.append(Curve("area", ranges, areas, error_bound=[f.standard_error for f in found], control=control))
        for (before, area), bound, closed in zip(pairwise(areas), ranges[1:], law[1:], strict=True):
            values = {"area_error": abs(area / closed - 1), "area_growth": area / before}
            measured.append(Measured("area", values, control, ("range", bound)))
    return rows(study, PLANE, measured), curves(study, PLANE, drawn)


def _curvature(growth: float, factor: float) -> dict[str, float]:
    return {"curvature_growth": growth, "curvature_error": abs(growth * factor**2 - 1)}


def _change(subject: Subject, model: nn.Module) -> float:
    return output_change(subject.outputs, subject.with_model(model).outputs)


def _displacement(subject: Subject, generator: Generator) -> Tensor:
    """A random vector of length SPAN, shape (P,)."""
    direction = torch.randn(len(subject.parameters), generator=generator, dtype=torch.float64)
    return nn.functional.normalize(direction, dim=0) * SPAN


def _moved(model: nn.Module, displacement: Tensor) -> nn.Module:
    """A copy of a network with flattened parameters theta + u."""
    moved = deepcopy(model)
    point = nn.utils.parameters_to_vector(model.parameters()).detach()
    nn.utils.vector_to_parameters(point + displacement, moved.parameters())
    return moved


def _sharpness_of_directions(model: nn.Module, subject: Subject) -> float:
    """Top eigenvalue of the Hessian in the directions v of a weight-normalised network."""
    return top(Hessian(model, squared_error, subject.data, direction_names(model)))
