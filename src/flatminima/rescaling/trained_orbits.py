"""The flattest network of every orbit, measured on trained networks, and what an attack does to it (theory.md B1)."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from flatminima.curvature.eigensolvers import eigenpairs
from flatminima.generators import named_generator
from flatminima.progress import Progress
from flatminima.rescaling.comparison import output_change
from flatminima.rescaling.maps import Rescaling
from flatminima.rescaling.orbit import OrbitMinimum, Rescaled, flattest, least_trace, minimum_sharpness
from flatminima.rescaling.rows import Curve, Measured, rows
from flatminima.rescaling.splitting import mixed_layers, split_unit
from flatminima.rescaling.subjects import Subject
from flatminima.rescaling.tracing import Kind
from flatminima.settings.rescaling import Orbits

UNMINIMISED = "unminimised"
"""Control of orbits: the network as it is, whose sharpness is not the least of its orbit."""
SHARES = (2.0, -1.0), (0.5, 0.5)
"""Fractions of a unit's outgoing weights that the two copies in its place have."""
CONDITION = ("family", "depth", "step_size")
"""Labels of networks that differ in their seeds alone."""
PLANE = 2
"""Number of free scales of networks whose sharpness is drawn over all rescalings."""
ROUGH = 1e-3
"""Largest relative residual of an eigenvalue in a landscape."""
REACH = 1.5
"""Half the width of a landscape, in decades, with the minimum in its middle."""


def random_scales(group: Rescaling, spread: float, generator: Generator) -> Tensor:
    """Log-scales, uniform between the logarithms of 1/spread and spread, shape (n,)."""
    return math.log(spread) * (2 * torch.rand(group.size, generator=generator, dtype=torch.float64) - 1)


def orbits(study: str, subject: Subject, settings: Orbits) -> Iterator[Measured]:
    """A network's orbits, under the kinds of rescalings that the settings name.

    Case `orbit_<kind>` has statistics sharpness (of the Hessian), gauss_newton_sharpness, orbit_minimum (of the
    Gauss-Newton matrix, which is positive semi-definite as theory asks), orbit_gap between it and its lower bound,
    orbit_ratio = gauss_newton_sharpness / orbit_minimum, sharpness_at_minimum (of the Hessian of the flattest network),
    orbit_change (relative, after a random rescaling), products, gain (what layers are multiplied by, geometric mean),
    and trace and least_trace of the Gauss-Newton matrix. In control `unminimised` orbit_gap and orbit_change are those
    of the sharpness itself.
    """
    for kind in settings.kinds:
        yield from _orbit(study, subject, kind, settings)


def _orbit(study: str, subject: Subject, kind: Kind, settings: Orbits) -> Iterator[Measured]:
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
    yield Measured(f"orbit_{kind}", values)
    fixed = {"orbit_gap": before / least.lower_bound - 1, "orbit_change": abs(after / before - 1)}
    yield Measured(f"orbit_{kind}", fixed, UNMINIMISED)


def _flattest(subject: Subject, group: Rescaling, settings: Orbits) -> OrbitMinimum:
    curvature, limit = subject.gauss_newton, settings.products
    rough = subject.rough(curvature)
    return flattest(curvature, group, tolerance=settings.tolerance, rough=rough, max_products=limit)


def split_orbits(subject: Subject, settings: Orbits) -> Iterator[Measured]:
    """Two networks that compute one function with as many units, and belong to different orbits.

    In one a unit of the first hidden layer is written as twice itself less itself, in the other as two halves. In
    control `split` of case `orbit_<kind>`, orbit_change is the relative difference between their orbit minima, and
    function_change that between their outputs.
    """
    first, second = (subject.with_model(split_unit(subject.model, shares)) for shares in SHARES)
    change = output_change(first.outputs, second.outputs)
    for kind in settings.kinds:
        minima = [_flattest(network, Rescaling(network.model, kind), settings).value for network in (first, second)]
        yield Measured(
            f"orbit_{kind}", {"orbit_change": max(minima) / min(minima) - 1, "function_change": change}, "split"
        )


def landscape(subject: Subject, settings: Orbits) -> list[Curve]:
    """Curve `landscape`: the Gauss-Newton sharpness over the two log-scales of a network of three layers.

    The axes are log h_1 and log h_2 to base 10, centred on the flattest network; no curve for other depths.
    """
    group = subject.rescaling
    if group.size != PLANE:
        return []
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
    return [Curve("landscape", decades[:, 0], values, decades[:, 1])]


def linear_orbits(study: str, subject: Subject, least: float, settings: Orbits) -> Iterator[Measured]:
    """Orbit minima of a linear network whose layers were rescaled at random, against theory's.

    Case `orbit_linear` has statistics orbit_ratio = orbit minimum / minimal sharpness of all linear networks of that
    depth (theory.md I3), and trace_error, of the least trace over rescalings against its closed form. Controls: both of
    the network as it was rescaled, `unminimised`, and orbit_ratio of another global minimum, `mixed`.

    Args:
        study: its name.
        subject: a linear network.
        least: the minimal sharpness.
        settings: tolerance and spread.
    """
    group = subject.rescaling
    scales = random_scales(group, settings.spread, named_generator(study, "linear", *subject.names))
    attacked = subject.with_model(group.apply(subject.model, scales))
    mixed = subject.with_model(mixed_layers(subject.model, named_generator(study, "mixed", *subject.names)))
    found, elsewhere = (_flattest(network, group, settings) for network in (attacked, mixed))
    closed = minimum_sharpness(subject.diagonal, group)
    measured = {
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
        "mixed": {
            "orbit_ratio": elsewhere.value / least,
            "function_change": output_change(subject.outputs, mixed.outputs),
        },
    }
    for control, values in measured.items():
        yield Measured("orbit_linear", values, control)


def measure_orbits(study: str, subjects: Sequence[Subject], settings: Orbits) -> pd.DataFrame:
    """Rows of the orbits of all networks (theory.md B1); of the first in each condition, with a unit split too.

    A network that diverged or did not learn is counted, in each kind of orbit, and not measured.
    """
    progress, tables = Progress(f"{study} orbits", len(subjects)), []
    split: set[tuple[Any, ...]] = set()
    unlearned = [Measured(f"orbit_{kind}", {"diverged": 1.0}) for kind in settings.kinds]
    for done, subject in enumerate(subjects, 1):
        measured = [*orbits(study, subject, settings)] if subject.learned else unlearned
        condition = tuple(subject.labels[name] for name in CONDITION)
        if subject.learned and condition not in split:
            split.add(condition)
            measured += split_orbits(subject, settings)
        tables.append(rows(study, subject.labels, measured))
        progress.report(done, "networks")
    progress.finish(len(subjects), "networks")
    return pd.concat(tables, ignore_index=True)


def measure_linear_orbits(
    study: str, subjects: Sequence[Subject], least: dict[int, float], settings: Orbits
) -> pd.DataFrame:
    """Rows of the orbits of linear networks, against their minimal sharpness by depth."""
    tables = [
        rows(study, subject.labels, linear_orbits(study, subject, least[int(subject.labels["depth"])], settings))
        for subject in subjects
        if subject.learned
    ]
    return pd.concat(tables, ignore_index=True)
