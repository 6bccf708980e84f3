"""The theorems of Dinh et al. 2017 on trained networks (theory.md D1-D4, D6), and the controls on which each must fail.

Most controls have the network's parameters, and tanh in place of the rectifier.
"""

import math
from collections.abc import Iterator, Sequence
from typing import get_args

import torch
from torch import Tensor

from flatminima.generators import named_generator
from flatminima.networks.losses import squared_error
from flatminima.rescaling.boxes import APART, Boxes, boxes, parting
from flatminima.rescaling.comparison import changes
from flatminima.rescaling.maps import Rescaling, multiplied, two_layer
from flatminima.rescaling.rows import Measured, Setting
from flatminima.rescaling.sharpness import best_constant_loss, epsilon_sharpness
from flatminima.rescaling.subjects import TANH, Subject
from flatminima.rescaling.tracing import Kind
from flatminima.rescaling.trained_orbits import random_scales
from flatminima.settings.rescaling import Demonstrations

POINTS = 4
"""Number of random points of a box whose losses are compared with their images'."""
RESTARTS = 2
"""Number of random starts of the search for sharpness in a ball."""
NEAR = 0.99
"""Fraction of the factor at which a box and its image part, at which they still meet."""
FURTHER = 2.0
"""Factor of alpha over which the growth of sharpness is read."""


def unchanged(study: str, subject: Subject, settings: Demonstrations) -> Iterator[Measured]:
    """D1: random rescalings of layers and of units leave the function as it is.

    Cases `random_layers` and `random_units`; in control `tanh` the function changes.
    """
    for kind in get_args(Kind):
        group = Rescaling(subject.model, kind)
        generator = named_generator(study, "random", kind, *subject.names)
        scales = random_scales(group, settings.spread, generator)
        for control, network in _with_control(subject):
            rescaled = network.with_model(group.apply(network.model, scales))
            yield Measured(f"random_{kind}", changes(network, rescaled), control)


def infinite_volume(study: str, subject: Subject, settings: Demonstrations) -> Iterator[Measured]:
    """D2: disjoint boxes, each at least as large as the one before, with equal losses.

    Statistics of case `boxes`: meeting_boxes (1 if any two meet), log_volume_step (least change of the logarithm of the
    volume from a box to the next), image_loss_change, box_excess. Controls: in `touching` the factor is just below the
    one at which neighbours part, in `reversed` the layers change places, in `tanh` the rectifier is replaced.
    """
    group = subject.rescaling
    first, second = (layer.weights.stop - layer.weights.start for layer in group.layers[:2])
    order = (1, 2) if first >= second else (2, 1)
    radius, alpha = _box(subject, order, settings)
    scales = two_layer(group, *order, alpha)
    largest = float(subject.parameters[group.exponents(scales) != 0].abs().max())
    found = _boxes(study, subject, order, radius, alpha, settings)
    values = {"meeting_boxes": float(not found.disjoint), "log_volume_step": found.log_volume_step}
    yield Measured("boxes", values | {"image_loss_change": found.loss_error, "box_excess": found.excess})
    touching = _boxes(study, subject, order, radius, NEAR * parting(largest, radius), settings)
    yield Measured("boxes", {"meeting_boxes": float(not touching.disjoint)}, "touching")
    back = order[::-1]
    reversed_ = _boxes(study, subject, back, *_box(subject, back, settings), settings)
    yield Measured("boxes", {"log_volume_step": reversed_.log_volume_step}, "reversed")
    tanh = subject.with_tanh()
    image = tanh.with_model(group.apply(tanh.model, scales))
    yield Measured("boxes", {"image_loss_change": changes(tanh, image)["loss_change"]}, TANH)


def two_layers(subject: Subject, alphas: Sequence[float]) -> Iterator[Measured]:
    """D3 and D4: gradient, Hessian, sharpness and trace of T_alpha.

    Statistics of case `two_layers`: gradient_error and hessian_error, the relative errors of D3's laws, with measured
    gradients and products; sharpness (of the Hessian); sharpness_growth and trace_growth (of the Gauss-Newton matrix)
    relative to alpha = 1; growth_exponent, the slope of log sharpness against |log alpha|, outwards from alpha. In
    control `tanh` small alphas make tanh linear, so that its sharpness grows too; large ones saturate it.
    """
    group, networks = subject.rescaling, _with_control(subject)
    for alpha in alphas:
        scales = two_layer(group, 1, 2, alpha)
        for control, network in networks:
            rescaled = network.with_model(group.apply(network.model, scales))
            values = changes(network, rescaled) | _law_errors(network, rescaled, group.exponents(scales))
            values |= _growth(network, rescaled, group, alpha)
            yield Measured("two_layers", values, control, ("alpha", alpha))


def balls(study: str, subject: Subject, radii: Sequence[float], settings: Demonstrations) -> Iterator[Measured]:
    """D6: epsilon-sharpness, epsilon the radius, before and after alpha = epsilon / ||theta_1||.

    Statistics of case `balls`: epsilon_sharpness, a lower bound that an ascent finds without being told of any point;
    quadratic_sharpness; constant_sharpness, what the loss of the best constant function amounts to; and
    zeroed_sharpness, what that of the point on which the proof rests does, theta_1 = 0, on the ball's surface.
    Controls: `trained`, the network before it was rescaled, in these balls; `tanh`, whose function does not stay.
    """
    group, tanh = subject.rescaling, subject.with_tanh()
    first = subject.parameters[: group.layers[0].biases.stop]
    constant = {"constant_sharpness": _rise(subject, best_constant_loss(subject.data[1]))}
    for radius in radii:
        setting: Setting = ("radius", radius)
        scales = two_layer(group, 1, 2, radius / float(first.norm()))
        rescaled, other = (network.with_model(group.apply(network.model, scales)) for network in (subject, tanh))
        zeroed = subject.with_model(multiplied(rescaled.model, _beyond_first_layer(group)))
        values = changes(subject, rescaled) | {"zeroed_sharpness": _rise(subject, zeroed.loss)}
        yield Measured("balls", values | _ascent(study, rescaled, radius, settings) | constant, "", setting)
        yield Measured("balls", _ascent(study, subject, radius, settings) | constant, "trained", setting)
        yield Measured("balls", changes(tanh, other), TANH, setting)


def _with_control(subject: Subject) -> tuple[tuple[str, Subject], tuple[str, Subject]]:
    return ("", subject), (TANH, subject.with_tanh())


def _box(subject: Subject, order: tuple[int, int], settings: Demonstrations) -> tuple[float, float]:
    """Radius of the box, and the factor of the first of both layers by which Dinh et al. 2017 take boxes apart."""
    largest = float(subject.parameters[subject.rescaling.layers[order[0] - 1].weights].abs().max())
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
    """Rise of a loss above the network's, over one plus the network's."""
    return (loss - subject.loss) / (1 + subject.loss)


def _beyond_first_layer(group: Rescaling) -> Tensor:
    """Factors of the flattened parameters: zero in the first layer, one elsewhere."""
    factors = torch.ones(len(group.incidence[0]), dtype=torch.float64)
    factors[: group.layers[0].biases.stop] = 0
    return factors
