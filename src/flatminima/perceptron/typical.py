"""Typical solutions of each margin: how many there are, how far apart, and what surrounds them (theory.md 3.2-3.3)."""

from itertools import pairwise

import numpy as np
import pandas as pd

from flatminima.errors import UserError
from flatminima.perceptron.franz_parisi import Curve, Point
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.replica import capacity, maximal_margin, saddle_point
from flatminima.perceptron.rows import Profile, curve, rows
from flatminima.perceptron.stability import first_moment_distance
from flatminima.perceptron.thresholds import isolation_distance, reversal_distance
from flatminima.progress import Progress
from flatminima.settings.perceptron import ReplicaTheory

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""Measures and curves."""
CAPACITY_MARGINS = np.linspace(-0.5, 1.5, 41)
MARGIN_GRID = np.linspace(-0.5, 1.0, 31)
"""Fractions of the maximal margin at which curves are drawn."""
SLIGHT = np.array([0.01])


def typical_solutions(study: str, settings: ReplicaTheory) -> Tables:
    """Entropy and mutual distance of typical solutions by margin.

    Case `margin_solutions` has statistics rarity, the entropy at margin zero less the entropy, and distance_ratio, the
    typical distance relative to that at margin zero. Margins are negative in control `negative`, and 0.01 of the
    maximal one in control `slight`.

    Returns:
        Rows, and curves `capacity` (alpha over x = margin), `entropy` and `typical_distance` (over margins x at alphas
        y).
    """
    tables, curves = [], [curve(study, "capacity", CAPACITY_MARGINS, capacity(CAPACITY_MARGINS))]
    for load in settings.loads:
        top, zero = float(maximal_margin(load)), saddle_point(load)
        fractions = np.array(settings.margins)
        for control, shares in (("", fractions), ("negative", -fractions), ("slight", SLIGHT)):
            typical = saddle_point(load, top * shares)
            values = {"rarity": zero.entropy - typical.entropy, "distance_ratio": typical.distance / zero.distance}
            tables.append(rows(study, "margin_solutions", load, values, control=control, margin=shares))
        drawn = saddle_point(load, top * MARGIN_GRID)
        curves.append(curve(study, "entropy", drawn.margin, drawn.entropy, load))
        curves.append(curve(study, "typical_distance", drawn.margin, drawn.distance, load))
    return pd.concat(tables, ignore_index=True), pd.concat(curves, ignore_index=True)


def surroundings(study: str, settings: ReplicaTheory) -> Tables:
    """Local entropies around typical solutions of each margin, at the alpha chosen for them and at the others.

    Cases `zero_margin` and `high_margin` (the largest fraction of the maximal margin) have statistics
    near_entropy, at the distance up to which the mean number of solutions around those of zero margin is small
    (`stability.first_moment_distance`, which does not know the local entropy), isolation, the distance up to which
    their local entropy is negative, and least_entropy and least_slope, over all distances from the smallest to that of
    the maximum. Case `ordering` has lead, the entropy around solutions of a margin less that around those of the next
    lower one, by distance, up to that of two solutions of the highest margin; in control `far` distances begin at that
    of two solutions of margin zero, where no others have more around than these. Statistic reversal of case `reversals`
    is the distance at which the order of a margin and the next lower one reverses.

    Returns:
        Rows, and curves `local_entropy` over distances x for margins y at the chosen alpha. Points at which there is no
        saddle point, inside the gap of zero margin, are missing.
    """
    low, high = settings.distances
    distances = np.geomspace(low, high, settings.points)
    loads = sorted({*settings.loads, settings.load})
    progress, tables, curves = Progress(f"{study} surroundings", len(loads)), [], []
    for done, load in enumerate(loads, 1):
        drawn = load == settings.load
        fractions = settings.margins if drawn else settings.margins[-1:]
        shares = np.array([0.0, *fractions])
        margins = float(maximal_margin(load)) * shares
        near, isolation = first_moment_distance(load), isolation_distance(load)
        found = [_follow(load, margin, np.append(distances, near)) for margin in margins]
        for name, place in (("zero_margin", 0), ("high_margin", -1)):
            values = _shape(found[place], near, isolation)
            tables.append(rows(study, name, load, values, margin=shares[place]))
        if drawn:
            tables += _ordering(study, shares, found, load)
            for margin, points in zip(margins, found, strict=True):
                d = [point.distance for point in points]
                curves.append(curve(study, "local_entropy", d, [point.entropy for point in points], margin))
        progress.report(done, f"alpha {load:g}")
    progress.finish(len(loads), "local entropies")
    return pd.concat(tables, ignore_index=True), pd.concat(curves, ignore_index=True)


def _follow(load: float, margin: float, distances: Array) -> list[Point]:
    """Saddle points at distances in increasing order, as far down as there are any."""
    points = []
    try:
        for point in Curve.around(load, margin).follow(np.sort(distances)):
            points.append(point)
    except UserError:
        pass
    return sorted(points, key=lambda point: point.distance)


def _shape(points: list[Point], near: float, isolation: float) -> dict[str, Array]:
    """Statistics of one local entropy, NaN where the saddle point at `near` is missing."""
    rising = points[: 1 + int(np.argmax([point.entropy for point in points]))]
    values = {
        "near_entropy": next((point.entropy for point in points if point.distance == near), np.nan),
        "isolation": isolation,
        "least_entropy": min(point.entropy for point in rising),
        "least_slope": min(point.derivative for point in rising[:-1]),
        "smallest_distance": points[0].distance,
    }
    return {name: np.array([value]) for name, value in values.items()}


def _ordering(study: str, shares: Array, found: list[list[Point]], load: float) -> list[pd.DataFrame]:
    """Rows of `ordering`, its control and `reversals`, an entry for each fraction of the maximal margin above zero."""
    margins = float(maximal_margin(load)) * shares
    heights = [{point.distance: point.entropy for point in points} for points in found]
    common = np.array(sorted(set.intersection(*(set(curve) for curve in heights))))
    entropies = np.array([[curve[d] for d in common] for curve in heights])
    apart = saddle_point(load, margins).distance
    tables = []
    for control, part in {"": common <= apart[-1], "far": common >= apart[0]}.items():
        lead = Profile("distance", common[part], np.diff(entropies, axis=0)[:, part])
        tables.append(rows(study, "ordering", load, {"lead": lead}, control=control, margin=shares[1:]))
    reversals = [reversal_distance(load, low, high) for low, high in pairwise(margins)]
    return [*tables, rows(study, "reversals", load, {"reversal": reversals}, margin=shares[1:])]
