"""Sharpness in many directions: whole Hessian spectra before and after a rescaling (theory.md D5)."""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from flatminima.rescaling.comparison import changes
from flatminima.rescaling.dense import squared_error_hessian
from flatminima.rescaling.maps import ROUNDING, Rescaling, layer_scales, multiplied
from flatminima.rescaling.rows import Curve, Measured
from flatminima.rescaling.subjects import Subject

LIFTED = 1e-4
"""Least eigenvalue, relative to the largest one, that D5 lifts above it."""
MARGIN = 1.001
"""Factor by which an eigenvalue at LIFTED is lifted above the largest one."""
LARGEST = 3000
"""Number of parameters up to which a network's whole Hessian is computed."""


def many_directions(subject: Subject) -> tuple[list[Measured], list[Curve]]:
    """D5: a rescaling that gives many eigenvalues above the largest one of the trained network, and both spectra.

    All layers but the one with the fewest parameters are divided by beta, and that one makes up for them. Statistics of
    case `many_directions`: promised_eigenvalues, how many theory promises above the trained network's largest one;
    large_eigenvalues, how many there are in the rescaled network's own Hessian; spectrum_error, the largest difference
    between its eigenvalues and those of D H D, relative to the latter or to the trained network's largest one,
    whichever is larger; parameters. Controls: in `other_layer` the layer with the most parameters makes up for the
    others; in `kept_biases` weights are multiplied and biases are not, so that the function does not stay.

    Returns:
        The case and its controls, and curves `spectrum_trained` and `spectrum_rescaled` with eigenvalues, from the
        largest down, over x.
    """
    group, beta = subject.rescaling, MARGIN * LIFTED**-0.5
    exponents = group.exponents(layer_scales(group, compensated(group, beta, min)))
    other = group.exponents(layer_scales(group, compensated(group, beta, max)))
    without_biases = _without_biases(group, exponents)
    hessian = _hessian(subject)
    eigenvalues = torch.linalg.eigvalsh(hessian)
    level, parameters = float(eigenvalues[-1]), len(eigenvalues)
    lifted = int((-exponents > math.log(beta) * (1 - ROUNDING)).sum())
    promised = int((eigenvalues > LIFTED * level).sum()) - (parameters - lifted)
    rescaled, crossed, changed = (
        subject.with_model(multiplied(subject.model, e.exp())) for e in (exponents, other, without_biases)
    )
    after = _spectrum(rescaled)
    counts = {"promised_eigenvalues": float(promised), "parameters": float(parameters)}
    lifting = {
        "large_eigenvalues": float((after > level).sum()),
        "spectrum_error": _spectrum_error(hessian, exponents, after, level),
    }
    crossing = {"large_eigenvalues": float((_spectrum(crossed) > level).sum())}
    keeping = {"spectrum_error": _spectrum_error(hessian, without_biases, _spectrum(changed), level)}
    measured = {
        "": changes(subject, rescaled) | counts | lifting,
        "other_layer": counts | crossing,
        "kept_biases": changes(subject, changed) | keeping,
    }
    spectra = {"spectrum_trained": eigenvalues, "spectrum_rescaled": after}
    return (
        [Measured("many_directions", values, control) for control, values in measured.items()],
        [Curve(name, torch.arange(parameters), spectrum.flip(0)) for name, spectrum in spectra.items()],
    )


def compensated(group: Rescaling, beta: float, choose: Callable[[list[int]], int]) -> list[float]:
    """Factors of all layers: 1 / beta, and beta^(K - 1) for the one of K that makes up for the others.

    Args:
        group: of the layers.
        beta: above 1.
        choose: `min` for the layer with the fewest parameters, biases counted, `max` for that with the most.
    """
    sizes = [layer.biases.stop - layer.weights.start for layer in group.layers]
    factors = [1 / beta] * len(sizes)
    factors[sizes.index(choose(sizes))] = beta ** (len(sizes) - 1)
    return factors


def _without_biases(group: Rescaling, exponents: Tensor) -> Tensor:
    kept = exponents.clone()
    for layer in group.layers:
        kept[layer.biases] = 0
    return kept


def _hessian(subject: Subject) -> Tensor:
    """The Hessian of the training loss, shape (P, P)."""
    return squared_error_hessian(cast(nn.Sequential, subject.model), subject.data)


def _spectrum(subject: Subject) -> Tensor:
    """All eigenvalues of the Hessian, from the smallest up."""
    eigenvalues: Tensor = torch.linalg.eigvalsh(_hessian(subject))
    return eigenvalues


def _spectrum_error(hessian: Tensor, exponents: Tensor, found: Tensor, level: float) -> float:
    """Largest error of the law D H D, relative to its eigenvalues or the level, whichever is larger."""
    multipliers = torch.exp(-exponents)
    law = torch.linalg.eigvalsh(multipliers.unsqueeze(1) * hessian * multipliers)
    return float(((found - law).abs() / law.abs().clamp_min(level)).max())
