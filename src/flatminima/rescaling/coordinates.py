"""Networks in other coordinates (theory.md D7), and the volume of a minimum of two weights (D2), as tidy rows."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor, nn

from flatminima.curvature.operators import Hessian
from flatminima.networks.initialisations import named_generator
from flatminima.record import long_table
from flatminima.rescaling.comparison import output_change
from flatminima.rescaling.flatness import rectified_area, sublevel_area, top_eigenpair
from flatminima.rescaling.landscape import Landscape
from flatminima.rescaling.maps import multiplied
from flatminima.rescaling.reparametrise import direction_names, radial, radial_map, rotated, weight_normalised
from flatminima.rescaling.subjects import TANH, Subject, curve, rows, top
from flatminima.settings.rescaling import Demonstrations
from flatminima.training.convolutional import squared_error

ROTATED = "-rotated"
MULTIPLIED = "-multiplied"
SPAN = 0.3
"""Half the length of the line along which the loss is drawn, and how far away the function is compared; in weights."""
STATIONS = 61
EXCESS = 1e-3
"""Excess of the loss below which volumes are measured."""
INPUTS = 32


def reparametrised(study: str, subject: Subject, offsets: Sequence[float], settings: Demonstrations) -> pd.DataFrame:
    """D7: curvature of the same function in radial coordinates and under weight normalisation.

    Column step_fraction holds the offset b, or the factor of v for weight normalisation, which is b to the power a.
    Statistic curvature_error is the relative error of the law b^{-2a}, curvature_growth the sharpness relative to the
    trained network's (for weight normalisation, to that with factor one), function_change how much outputs differ from
    those in the weights' own coordinates, at a point SPAN away from the trained network. Controls: `-rotated` turns the
    coordinates; `-multiplied` multiplies the weights by b^a in place of coordinates.
    """
    power = settings.exponent
    rotation = subject.with_model(rotated(subject.model, named_generator(study, "rotation", *subject.names)))
    turned = rotation.sharpness / subject.sharpness
    unscaled = _sharpness_of_directions(weight_normalised(subject.model, 1.0), subject)
    displacement = _displacement(subject, named_generator(study, "displacement", *subject.names))
    moved = subject.with_model(_moved(subject.model, displacement))
    tables = []
    for offset in offsets:
        factor = offset**power
        round_ = radial(subject.model, power, offset)
        growths = {
            "radial": subject.with_model(round_).sharpness / subject.sharpness,
            "weight_normalised": _sharpness_of_directions(weight_normalised(subject.model, factor), subject) / unscaled,
        }
        same = {
            "radial": round_.at(radial_map(displacement, power, offset)),
            "weight_normalised": weight_normalised(moved.model, factor),
        }
        larger = multiplied(subject.model, torch.full_like(displacement, factor))
        for name, growth in growths.items():
            every = {
                "": {**_curvature(growth, factor), "function_change": _change(moved, same[name])},
                ROTATED: _curvature(turned, factor),
                MULTIPLIED: {"function_change": _change(subject, larger)},
            }
            stem = f"{name}{subject.suffix}"
            tables += [rows(study, subject, stem + e, values, step_fraction=offset) for e, values in every.items()]
    return pd.concat(tables)


def loss_lines(study: str, subject: Subject, settings: Demonstrations) -> pd.DataFrame:
    """Curve `radial_loss`: the loss along the top eigenvector of the Hessian, over x = eta, for offsets y = b.

    In curve `trained_loss` x is the displacement u itself.
    """
    _, _, vector = top_eigenpair(subject.hessian)
    landscape = Landscape(subject.model, squared_error, subject.data)
    stations = torch.linspace(-SPAN, SPAN, STATIONS, dtype=torch.float64)
    losses = [landscape.value(landscape.point + station * vector) for station in stations]
    power = settings.exponent
    tables = [curve(study, subject, "trained_loss", stations, losses)]
    for offset in settings.offsets:
        mapped = torch.stack([radial_map(station * vector, power, offset) @ vector for station in stations])
        tables.append(curve(study, subject, "radial_loss", mapped, losses, offset))
    return pd.concat(tables)


def volumes(study: str, settings: Demonstrations) -> tuple[pd.DataFrame, pd.DataFrame]:
    """D2 in the plane: area of the set of low loss of a network of two weights, for weights in a growing range R.

    Experiment `area` has statistics area_error, relative to the closed form for the rectifier, and area_growth, the
    area over that of the last smaller range; in the control `area-tanh` the rectifier is replaced. Column step_fraction
    holds R.

    Returns:
        Rows, and curves `area`, `area-tanh` with areas and `area_law` with the closed form, over x = R.
    """
    inputs = torch.randn(INPUTS, generator=named_generator(study, "area", "inputs"), dtype=torch.float64)
    ranges = settings.ranges
    law = [rectified_area(inputs, EXCESS, bound) for bound in ranges]
    tables, curves = [], [_plane(study, "area_law", ranges, law, np.zeros(len(ranges)))]
    for name, activation in {"area": torch.relu, f"area{TANH}": torch.tanh}.items():
        generator = named_generator(study, name)
        found = [sublevel_area(activation, inputs, EXCESS, r, settings.draws, generator) for r in ranges]
        areas = np.array([estimate.value for estimate in found])
        values = {
            "diverged": np.zeros(len(ranges)),
            "area_error": np.abs(areas / law - 1),
            "area_growth": areas / np.concatenate([[np.nan], areas[:-1]]),
        }
        curves.append(_plane(study, name, ranges, areas, np.array([estimate.standard_error for estimate in found])))
        tables.append(long_table(_plane_labels(study, name, ranges).iloc[1:], {k: v[1:] for k, v in values.items()}))
    return pd.concat(tables), pd.concat(curves)


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


def _plane_labels(study: str, name: str, ranges: Sequence[float]) -> pd.DataFrame:
    labels: dict[str, Any] = {
        "study": study,
        "experiment": name,
        "family": "relu",
        "task": "plane",
        "initialisation": "constructed",
    }
    labels |= {"optimiser": "", "depth": 2, "step_size": np.nan, "step": 0, "final": True, "seed": 0}
    return pd.DataFrame({"step_fraction": ranges}).assign(**labels)


def _plane(study: str, name: str, ranges: Sequence[float], areas: ArrayLike, errors: ArrayLike) -> pd.DataFrame:
    columns: dict[str, Any] = {"study": study, "experiment": name, "depth": 2, "seed": 0, "y": 0.0}
    return pd.DataFrame({"x": ranges, "value": areas, "error_bound": errors}).assign(**columns)
