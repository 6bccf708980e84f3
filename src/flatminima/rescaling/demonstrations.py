"""The theorems of Dinh et al. 2017 on trained networks (theory.md D1-D4, D6), as rows of the tidy table.

Every function adds the control on which its theorem must fail: mostly the same parameters with tanh for the rectifier.
"""

import math
from collections.abc import Sequence
from typing import get_args

import pandas as pd
import torch
from torch import Tensor

from flatminima.networks.initialisations import named_generator
from flatminima.rescaling.boxes import APART, Boxes, boxes, parting
from flatminima.rescaling.comparison import changes
from flatminima.rescaling.invariants import random_scales
from flatminima.rescaling.maps import Rescaling, multiplied, two_layer
from flatminima.rescaling.sharpness import best_constant_loss, epsilon_sharpness
from flatminima.rescaling.subjects import TANH, Subject, rows
from flatminima.rescaling.tracing import Kind
from flatminima.settings.rescaling import Demonstrations
from flatminima.training.convolutional import squared_error

TRAINED = "-trained"
TOUCHING = "-touching"
REVERSED = "-reversed"
POINTS = 4
"""In the first box, at which losses are compared with their images."""
RESTARTS = 2
NEAR = 0.99
"""A box and its image still meet at this share of the factor at which they part."""
FURTHER = 2.0
"""Factor of alpha over which the growth of sharpness is read."""


def unchanged(study: str, subject: Subject, settings: Demonstrations) -> pd.DataFrame:
    """D1: random rescalings of layers and of units leave the function as it is."""
    tables = []
    for kind in get_args(Kind):
        group = Rescaling(subject.model, kind)
        generator = named_generator(study, "random", kind, *subject.names)
        scales = random_scales(group, settings.spread, generator)
        for control, network in _with_control(subject):
            rescaled = network.with_model(group.apply(network.model, scales))
            name = f"random_{kind}{subject.suffix}{control}"
            tables.append(rows(study, network, name, changes(network, rescaled)))
    return pd.concat(tables)


def infinite_volume(study: str, subject: Subject, settings: Demonstrations) -> pd.DataFrame:
    """D2: disjoint boxes, each at least as large as the one before, with the same losses.

    Statistics of the experiment `boxes`: meeting_boxes (1 if any two meet), log_volume_step (least change of the
    logarithm of the volume from a box to the next), image_loss_change, box_excess. Controls: in `-touching` the factor
    is just below the one at which neighbours part, in `-reversed` the layers change places.
    """
    group = Rescaling(subject.model, "layers")
    first, second = (layer.weights.stop - layer.weights.start for layer in group.layers[:2])
    order = (1, 2) if first >= second else (2, 1)
    radius, alpha = _box(subject, group, order, settings)
    scaled = group.exponents(two_layer(group, *order, alpha)) != 0
    largest = float(subject.parameters[scaled].abs().max())
    touching = _boxes(study, subject, order, radius, NEAR * parting(largest, radius), settings)
    back = order[::-1]
    reversed_ = _boxes(study, subject, back, *_box(subject, group, back, settings), settings)
    tanh = subject.with_tanh()
    image = tanh.with_model(group.apply(tanh.model, two_layer(group, *order, alpha)))
    found = _boxes(study, subject, order, radius, alpha, settings)
    tables = {
        "": {
            "meeting_boxes": float(not found.disjoint),
            "log_volume_step": found.log_volume_step,
            "image_loss_change": found.loss_error,
            "box_excess": found.excess,
        },
        TOUCHING: {"meeting_boxes": float(not touching.disjoint)},
        REVERSED: {"log_volume_step": reversed_.log_volume_step},
        TANH: {"image_loss_change": changes(tanh, image)["loss_change"]},
    }
    name = f"boxes{subject.suffix}"
    return pd.concat([rows(study, subject, name + ending, values) for ending, values in tables.items()])


def two_layers(study: str, subject: Subject, alphas: Sequence[float]) -> pd.DataFrame:
    """D3 and D4: gradient, Hessian, sharpness and trace of T_alpha, with alpha as the column step_fraction.

    Statistics gradient_error and hessian_error are the relative errors of D3's laws, with measured gradients and
    products; sharpness (of the Hessian), sharpness_growth and trace_growth (of the Gauss-Newton matrix) are relative to
    alpha = 1, growth_exponent is the slope of log sharpness against |log alpha|, outwards from alpha. Experiment
    `extreme_alpha` repeats the first and last alpha. In the controls `-tanh` small alphas make tanh linear, so that its
    sharpness grows too; large ones saturate it.
    """
    group, tables = Rescaling(subject.model, "layers"), []
    networks = _with_control(subject)
    for alpha in alphas:
        scales = two_layer(group, 1, 2, alpha)
        names = ["two_layers", *(["extreme_alpha"] if alpha in (alphas[0], alphas[-1]) else [])]
        for control, network in networks:
            rescaled = network.with_model(group.apply(network.model, scales))
            values = changes(network, rescaled) | _law_errors(network, rescaled, group.exponents(scales))
            values |= _growth(network, rescaled, group, alpha)
            for name in names:
                label = f"{name}{subject.suffix}{control}"
                tables.append(rows(study, network, label, values, step_fraction=alpha))
    return pd.concat(tables)


def balls(study: str, subject: Subject, radii: Sequence[float], settings: Demonstrations) -> pd.DataFrame:
    """D6: epsilon-sharpness before and after alpha = epsilon / ||theta_1||, with epsilon as the column step_fraction.

    Statistics of the experiment `balls`: epsilon_sharpness, a lower bound that an ascent finds without being told of
    any point; quadratic_sharpness; constant_sharpness, what the loss of the best constant function amounts to; and
    zeroed_sharpness, what that of the point on which the proof rests does, theta_1 = 0, on the ball's surface.
    Controls: `-trained`, the network before it was rescaled, in the same balls; `-tanh`, whose function does not stay.
    """
    group = Rescaling(subject.model, "layers")
    first = subject.parameters[: group.layers[0].biases.stop]
    constant = _rise(subject, best_constant_loss(subject.data[1]))
    tables = []
    for radius in radii:
        scales = two_layer(group, 1, 2, radius / float(first.norm()))
        rescaled, tanh = (
            network.with_model(group.apply(network.model, scales)) for _, network in _with_control(subject)
        )
        zeroed = multiplied(rescaled.model, _beyond_first_layer(group))
        every = {
            "": {**changes(subject, rescaled), "zeroed_sharpness": _rise(subject, subject.with_model(zeroed).loss)},
            TRAINED: {},
        }
        for ending, network in (("", rescaled), (TRAINED, subject)):
            every[ending] |= _ascent(study, network, radius, settings) | {"constant_sharpness": constant}
        every[TANH] = changes(subject.with_tanh(), tanh)
        name = f"balls{subject.suffix}"
        tables += [rows(study, subject, name + e, values, step_fraction=radius) for e, values in every.items()]
    return pd.concat(tables)


def _with_control(subject: Subject) -> tuple[tuple[str, Subject], tuple[str, Subject]]:
    return ("", subject), (TANH, subject.with_tanh())


def _box(subject: Subject, group: Rescaling, order: tuple[int, int], settings: Demonstrations) -> tuple[float, float]:
    """Radius of the box, and the factor of the first of both layers by which Dinh et al. 2017 take boxes apart."""
    largest = float(subject.parameters[group.layers[order[0] - 1].weights].abs().max())
    radius = settings.box * largest
    return radius, APART * parting(largest, radius)


def _boxes(
    study: str, subject: Subject, order: tuple[int, int], radius: float, alpha: float, settings: Demonstrations
) -> Boxes:
    generator, copies = named_generator(study, "boxes", *subject.names), settings.boxes
    return boxes(subject.model, squared_error, subject.data, order, radius, alpha, copies, POINTS, generator)


def _law_errors(before: Subject, after: Subject, exponents: Tensor) -> dict[str, float]:
    """Relative errors of gradient and Hessian products against D3, with D = exp(-exponents)."""
    multipliers = torch.exp(-exponents)
    vector = torch.randn(len(multipliers), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = {
        "gradient_error": (multipliers * before.hessian.gradient(), after.hessian.gradient()),
        "hessian_error": (multipliers * before.hessian.matvec(multipliers * vector), after.hessian.matvec(vector)),
    }
    return {name: float((found - law).norm() / law.norm()) for name, (law, found) in pairs.items()}


def _growth(subject: Subject, rescaled: Subject, group: Rescaling, alpha: float) -> dict[str, float]:
    further = alpha * (FURTHER if alpha >= 1 else 1 / FURTHER)
    beyond = subject.with_model(group.apply(subject.model, two_layer(group, 1, 2, further)))
    return {
        "sharpness": rescaled.sharpness,
        "sharpness_growth": rescaled.sharpness / subject.sharpness,
        "trace_growth": float(rescaled.diagonal.sum() / subject.diagonal.sum()),
        "growth_exponent": math.log(beyond.sharpness / rescaled.sharpness) / math.log(FURTHER),
    }


def _ascent(study: str, subject: Subject, radius: float, settings: Demonstrations) -> dict[str, float]:
    generator, steps = named_generator(study, "balls", *subject.names), settings.ascents
    found = epsilon_sharpness(subject.model, squared_error, subject.data, radius, RESTARTS, steps, generator)
    return {"epsilon_sharpness": found.lower_bound, "quadratic_sharpness": found.quadratic}


def _rise(subject: Subject, loss: float) -> float:
    """How far a loss is above the network's, over one plus the network's."""
    return (loss - subject.loss) / (1 + subject.loss)


def _beyond_first_layer(group: Rescaling) -> Tensor:
    """Factors of the flattened parameters: zero in the first layer, one elsewhere."""
    factors = torch.ones(len(group.incidence[0]), dtype=torch.float64)
    factors[: group.layers[0].biases.stop] = 0
    return factors
