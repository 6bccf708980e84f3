"""The theorems of Dinh et al. 2017 on trained networks (theory.md D1-D6), as rows of the tidy table.

Every function adds the control on which its theorem must fail: mostly the same parameters with tanh for the rectifier.
"""

import math
from collections.abc import Sequence
from typing import get_args

import pandas as pd
import torch
from torch import Tensor

from flatminima.networks.initialisations import named_generator
from flatminima.rescaling.flatness import disjoint_boxes
from flatminima.rescaling.invariants import random_scales
from flatminima.rescaling.maps import Rescaling, layer_scales, two_layer
from flatminima.rescaling.sharpness import best_constant_loss, epsilon_sharpness
from flatminima.rescaling.subjects import TANH, Subject, curve, rows
from flatminima.rescaling.tracing import Kind
from flatminima.settings.rescaling import Demonstrations
from flatminima.training.convolutional import squared_error

TRAINED = "-trained"
POINTS = 4
"""In the first box, at which losses are compared with their images."""
RESTARTS = 2
LIFTED = 1e-4
"""Eigenvalues that D5 lifts above the largest one, relative to it."""
LARGEST = 3000
"""Parameters of networks whose whole Hessian is computed."""
FURTHER = 2.0
"""Factor of alpha over which the growth of sharpness is read."""
ROUNDING = 1e-9


def unchanged(study: str, subject: Subject, settings: Demonstrations) -> pd.DataFrame:
    """D1: random rescalings of layers and of units leave the function as it is."""
    tables = []
    for kind in get_args(Kind):
        group = Rescaling(subject.model, kind)
        generator = named_generator(study, "random", kind, *subject.names)
        scales = random_scales(group, settings.spread.value, generator)
        for control, network in _with_control(subject):
            rescaled = network.with_model(group.apply(network.model, scales))
            name = f"random_{kind}{subject.suffix}{control}"
            tables.append(rows(study, network, name, _changes(network, rescaled)))
    return pd.concat(tables)


def infinite_volume(study: str, subject: Subject, settings: Demonstrations) -> pd.DataFrame:
    """D2: disjoint boxes, each at least as large as the one before, with the same losses."""
    group = Rescaling(subject.model, "layers")
    first, second = (layer.weights.stop - layer.weights.start for layer in group.layers[:2])
    order = (1, 2) if first >= second else (2, 1)
    largest = float(subject.parameters[group.layers[order[0] - 1].weights].abs().max())
    radius, copies = settings.box.value * largest, settings.boxes.value
    generator = named_generator(study, "boxes", *subject.names)
    found = disjoint_boxes(subject.model, squared_error, subject.data, order, radius, copies, POINTS, generator)
    values = {
        "meeting_boxes": float(not found.disjoint),
        "log_volume_step": found.log_volume_step,
        "image_loss_change": found.loss_error,
        "box_excess": found.excess,
    }
    tanh = subject.with_tanh()
    image = tanh.with_model(group.apply(tanh.model, two_layer(group, *order, found.alpha)))
    control = {"image_loss_change": _changes(tanh, image)["loss_change"]}
    name = f"boxes{subject.suffix}"
    return pd.concat([rows(study, subject, name, values), rows(study, subject, name + TANH, control)])


def two_layers(study: str, subject: Subject, alphas: Sequence[float]) -> pd.DataFrame:
    """D3 and D4: gradient, Hessian, spectral norm and trace of T_alpha, with alpha as the column step_fraction.

    Statistics gradient_error and hessian_error are the relative errors of D3's laws, with measured gradients and
    products; sharpness_growth and trace_growth are relative to the trained network, growth_exponent is the slope of
    log sharpness against |log alpha|, outwards from alpha. Experiment `extreme_alpha` repeats the first and last alpha.
    """
    group, tables = Rescaling(subject.model, "layers"), []
    for alpha in alphas:
        scales = two_layer(group, 1, 2, alpha)
        names = ["two_layers", *(["extreme_alpha"] if alpha in (alphas[0], alphas[-1]) else [])]
        for control, network in _with_control(subject):
            rescaled = network.with_model(group.apply(network.model, scales))
            values = _changes(network, rescaled) | _law_errors(network, rescaled, group.exponents(scales))
            if not control:
                values |= _growth(subject, rescaled, group, alpha)
            for name in names:
                label = f"{name}{subject.suffix}{control}"
                tables.append(rows(study, network, label, values, step_fraction=alpha))
    return pd.concat(tables)


def many_directions(study: str, subject: Subject) -> tuple[pd.DataFrame, pd.DataFrame]:
    """D5: a rescaling that gives many eigenvalues above the largest one of the trained network, and both spectra.

    Returns:
        Rows, and curves `spectrum_trained` and `spectrum_rescaled` with eigenvalues, from the largest down, over x.
    """
    group = Rescaling(subject.model, "layers")
    before = subject.hessian.matmat(torch.eye(subject.hessian.shape[0], dtype=torch.float64))
    before = (before + before.mT) / 2
    eigenvalues = torch.linalg.eigvalsh(before)
    level, beta = float(eigenvalues[-1]), 1.001 * LIFTED**-0.5
    exponents = group.exponents(layer_scales(group, _compensated(group, beta)))
    lifted = -exponents > math.log(beta) * (1 - ROUNDING)
    promised = int((eigenvalues > LIFTED * level).sum()) - int((~lifted).sum())
    rescaled = subject.with_model(group.apply(subject.model, layer_scales(group, _compensated(group, beta))))
    multipliers = torch.exp(-exponents)
    after = torch.linalg.eigvalsh(multipliers.unsqueeze(1) * before * multipliers)
    values = {
        **_changes(subject, rescaled),
        "hessian_error": _law_errors(subject, rescaled, exponents)["hessian_error"],
        "promised_eigenvalues": float(promised),
        "large_eigenvalues": float((after > level).sum()),
        "parameters": float(len(after)),
    }
    untouched = {"promised_eigenvalues": float(promised), "large_eigenvalues": float((eigenvalues > level).sum())}
    name = f"many_directions{subject.suffix}"
    spectra = {"spectrum_trained": eigenvalues, "spectrum_rescaled": after}
    drawn = [curve(study, subject, label, torch.arange(len(after)), v.flip(0)) for label, v in spectra.items()]
    tables = rows(study, subject, name, values), rows(study, subject, name + TRAINED, untouched)
    return pd.concat(tables), pd.concat(drawn)


def balls(study: str, subject: Subject, radii: Sequence[float], settings: Demonstrations) -> pd.DataFrame:
    """D6: epsilon-sharpness before and after alpha = epsilon / ||theta_1||, with epsilon as the column step_fraction.

    Statistics are epsilon_sharpness, a lower bound, quadratic_sharpness, and constant_sharpness: what the loss of the
    best constant function amounts to.
    """
    group = Rescaling(subject.model, "layers")
    first = subject.parameters[: group.layers[0].biases.stop]
    constant = (best_constant_loss(subject.data[1]) - subject.loss) / (1 + subject.loss)
    tables = []
    for radius in radii:
        model = group.apply(subject.model, two_layer(group, 1, 2, radius / float(first.norm())))
        for suffix, network in (("", subject.with_model(model)), (TRAINED, subject)):
            found = epsilon_sharpness(
                network.model,
                squared_error,
                subject.data,
                radius,
                RESTARTS,
                settings.ascents.value,
                named_generator(study, "balls", *subject.names),
                extra=[_without_first_layer(network, group)],
            )
            values = {
                **_changes(subject, network),
                "epsilon_sharpness": found.lower_bound,
                "quadratic_sharpness": found.quadratic,
                "constant_sharpness": constant,
            }
            tables.append(rows(study, network, f"balls{subject.suffix}{suffix}", values, step_fraction=radius))
    return pd.concat(tables)


def _with_control(subject: Subject) -> tuple[tuple[str, Subject], tuple[str, Subject]]:
    return ("", subject), (TANH, subject.with_tanh())


def _changes(before: Subject, after: Subject) -> dict[str, float]:
    """How much outputs on the test images (relative to the largest), loss and test error have changed."""
    return {
        "function_change": float((after.outputs - before.outputs).abs().max() / before.outputs.abs().max()),
        "loss_change": abs(after.loss / before.loss - 1),
        "test_error_change": abs(after.test_error - before.test_error),
        "test_error": after.test_error,
    }


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


def _compensated(group: Rescaling, beta: float) -> list[float]:
    """D5's factors: 1 / beta for all layers but the one with the fewest parameters, which makes up for them."""
    sizes = [layer.biases.stop - layer.weights.start for layer in group.layers]
    factors = [1 / beta] * len(sizes)
    factors[sizes.index(min(sizes))] = beta ** (len(sizes) - 1)
    return factors


def _without_first_layer(subject: Subject, group: Rescaling) -> Tensor:
    """The flattened parameters, with those of the first layer set to zero."""
    point = subject.parameters.clone()
    point[: group.layers[0].biases.stop] = 0
    return point
