"""The flattest network of every orbit, measured on trained networks, and what an attack does to it (theory.md B1)."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.networks.initialisations import named_generator
from flatminima.progress import Progress
from flatminima.rescaling.comparison import output_change
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.orbit import OrbitMinimum, Rescaled, flattest, least_trace, minimum_sharpness
from flatminima.rescaling.splitting import mixed_layers, split_unit
from flatminima.rescaling.subjects import Subject, curve, rows
from flatminima.rescaling.tracing import Kind
from flatminima.settings.rescaling import Orbits

UNMINIMISED = "-unminimised"
SPLIT = "-split"
MIXED = "-mixed"
SHARES = (2.0, -1.0), (0.5, 0.5)
"""What the two copies that take a unit's place have of its outgoing weights."""
CONDITION = ("family", "depth", "step_size")
PLANE = 2
ROUGH = 1e-3
"""Relative residual in a landscape."""
REACH = 1.5
"""Of a landscape, in decades on either side of the minimum."""


def random_scales(group: Rescaling, spread: float, generator: Generator) -> Tensor:
    """Log-scales, uniform between the logarithms of 1/spread and spread, shape (n,)."""
    return math.log(spread) * (2 * torch.rand(group.size, generator=generator, dtype=torch.float64) - 1)


def orbits(study: str, subject: Subject, settings: Orbits) -> pd.DataFrame:
    """Tidy rows of a network's orbits, under the kinds of rescalings that the settings name.

    Experiment `orbit_<kind>` has statistics sharpness (of the Hessian), gauss_newton_sharpness, orbit_minimum (of the
    Gauss-Newton matrix, which is positive semi-definite as theory asks), orbit_gap between it and its lower bound,
    orbit_ratio = gauss_newton_sharpness / orbit_minimum, sharpness_at_minimum (of the Hessian of the flattest network),
    orbit_change (relative, after a random rescaling), products, gain (what layers are multiplied by, geometric mean),
    and trace and least_trace of the Gauss-Newton matrix. In the control `orbit_<kind>-unminimised`, orbit_gap and
    orbit_change are those of the sharpness itself.
    """
    return pd.concat([_orbit(study, subject, kind, settings) for kind in settings.kinds], ignore_index=True)


def _orbit(study: str, subject: Subject, kind: Kind, settings: Orbits) -> pd.DataFrame:
    group = Rescaling(subject.model, kind)
    scales = random_scales(group, settings.spread, named_generator(study, "attack", kind, *subject.names))
    attacked = subject.with_model(group.apply(subject.model, scales))
    least, again = (_flattest(network, group, settings) for network in (subject, attacked))
    before, after = subject.gauss_newton_sharpness, attacked.gauss_newton_sharpness
    exponents = group.exponents(least.scales)
    values: dict[str, ArrayLike] = {
        "test_error": subject.test_error,
        "sharpness": subject.sharpness,
        "gauss_newton_sharpness": before,
        "orbit_minimum": least.value,
        "orbit_gap": least.gap,
        "orbit_ratio": before / least.value,
        "sharpness_at_minimum": subject.with_model(group.apply(subject.model, least.scales)).sharpness,
        "orbit_change": abs(again.value / least.value - 1),
        "products": least.products,
        "gain": [float(exponents[layer.weights].mean().exp()) for layer in group.layers],
        "trace": float(subject.diagonal.sum()),
        "least_trace": least_trace(subject.diagonal, group).value,
    }
    name = f"orbit_{kind}{subject.suffix}"
    fixed = {"orbit_gap": before / least.lower_bound - 1, "orbit_change": abs(after / before - 1)}
    return pd.concat([rows(study, subject, name, values), rows(study, subject, name + UNMINIMISED, fixed)])


def _flattest(subject: Subject, group: Rescaling, settings: Orbits) -> OrbitMinimum:
    curvature, limit = subject.gauss_newton, settings.products
    rough = subject.rough(curvature)
    return flattest(curvature, group, tolerance=settings.tolerance, rough=rough, max_products=limit)


def split_orbits(study: str, subject: Subject, settings: Orbits) -> pd.DataFrame:
    """Tidy rows of two networks that compute the same with as many units, and belong to different orbits.

    In one a unit of the first hidden layer is written as twice itself less itself, in the other as two halves. In the
    control `orbit_<kind>-split`, orbit_change is the relative difference between their orbit minima, and
    function_change that between their outputs.
    """
    first, second = (subject.with_model(split_unit(subject.model, shares)) for shares in SHARES)
    tables = []
    for kind in settings.kinds:
        minima = [_flattest(network, Rescaling(network.model, kind), settings).value for network in (first, second)]
        values = {"orbit_change": max(minima) / min(minima) - 1} | {
            "function_change": output_change(first.outputs, second.outputs)
        }
        tables.append(rows(study, subject, f"orbit_{kind}{subject.suffix}{SPLIT}", values))
    return pd.concat(tables, ignore_index=True)


def unlearned(study: str, subject: Subject, settings: Orbits) -> pd.DataFrame:
    """Rows of a network that diverged or did not learn: counted, and not measured."""
    names = [f"orbit_{kind}{subject.suffix}" for kind in settings.kinds]
    return pd.concat([rows(study, subject, name, {"diverged": 1.0}) for name in names])


def landscape(study: str, subject: Subject, settings: Orbits) -> pd.DataFrame:
    """Curve `landscape`: the Gauss-Newton sharpness over the two log-scales of a network of three layers.

    The axes are log h_1 and log h_2 to base 10, centred on the flattest network; nothing for other depths.
    """
    group = Rescaling(subject.model, "layers")
    if group.size != PLANE:
        return pd.DataFrame()
    curvature = subject.gauss_newton
    least = flattest(curvature, group, tolerance=settings.tolerance)
    reach = torch.linspace(-REACH, REACH, settings.landscape, dtype=torch.float64)
    offsets = torch.cartesian_prod(reach, reach)
    values = []
    for offset in offsets:
        scales = least.scales + math.log(10) * offset
        rescaled = Rescaled(curvature, torch.exp(-group.exponents(scales)))
        values.append(float(eigenpairs(rescaled, tolerance=ROUGH).eigenvalues[0]))
    decades = offsets + least.scales / math.log(10)
    return curve(study, subject, "landscape", decades[:, 0], values, decades[:, 1])


def linear_orbits(study: str, subject: Subject, least: float, settings: Orbits) -> pd.DataFrame:
    """Tidy rows of a linear network whose layers were rescaled at random: its orbit's minima against theory's.

    Experiment `orbit_linear` has statistics orbit_ratio = orbit minimum / minimal sharpness of all linear networks of
    that depth (theory.md I3), and trace_error, of the least trace over rescalings against its closed form. Controls:
    both of the network as it was rescaled, `-unminimised`, and orbit_ratio of another global minimum, `-mixed`.

    Args:
        study: its name.
        subject: a linear network.
        least: the minimal sharpness.
        settings: tolerance and spread.
    """
    group = Rescaling(subject.model, "layers")
    scales = random_scales(group, settings.spread, named_generator(study, "linear", *subject.names))
    attacked = subject.with_model(group.apply(subject.model, scales))
    mixed = subject.with_model(mixed_layers(subject.model, named_generator(study, "mixed", *subject.names)))
    found, elsewhere = (_flattest(network, group, settings) for network in (attacked, mixed))
    closed = minimum_sharpness(subject.diagonal, group)
    name, tables = (
        "orbit_linear",
        {
            "": {
                "orbit_minimum": found.value,
                "orbit_gap": found.gap,
                "orbit_ratio": found.value / least,
                "trace_error": abs(least_trace(attacked.diagonal, group).value / closed - 1),
            },
            UNMINIMISED: {
                "orbit_ratio": attacked.gauss_newton_sharpness / least,
                "trace_error": abs(float(attacked.diagonal.sum()) / closed - 1),
            },
            MIXED: {
                "orbit_ratio": elsewhere.value / least,
                "function_change": output_change(subject.outputs, mixed.outputs),
            },
        },
    )
    return pd.concat([rows(study, subject, name + ending, values) for ending, values in tables.items()])


def measure_orbits(study: str, subjects: Sequence[Subject], settings: Orbits) -> pd.DataFrame:
    """Tidy rows of the orbits of all networks (theory.md B1); of the first in each condition, with a unit split too."""
    progress, tables = Progress(f"{study} orbits", len(subjects)), []
    split: set[tuple[Any, ...]] = set()
    for done, subject in enumerate(subjects, 1):
        tables.append(orbits(study, subject, settings) if subject.learned else unlearned(study, subject, settings))
        condition = tuple(subject.labels[name] for name in CONDITION)
        if subject.learned and condition not in split:
            split.add(condition)
            tables.append(split_orbits(study, subject, settings))
        progress.report(done, "networks")
    progress.finish(len(subjects), "networks")
    return pd.concat(tables, ignore_index=True)


def measure_linear_orbits(
    study: str, subjects: Sequence[Subject], least: dict[int, float], settings: Orbits
) -> pd.DataFrame:
    """Tidy rows of the orbits of linear networks, against their minimal sharpness by depth."""
    learned = [subject for subject in subjects if subject.learned]
    tables = [linear_orbits(study, subject, least[int(subject.labels["depth"])], settings) for subject in learned]
    return pd.concat(tables, ignore_index=True)
