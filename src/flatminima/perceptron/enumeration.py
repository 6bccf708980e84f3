"""Exhaustive enumeration of small perceptrons against replica theory (theory.md 3.3, last line)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import entr, gammaln

from flatminima.perceptron import exhaustive
from flatminima.perceptron.exhaustive import LogAverages
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.instances import Signs, pattern_count, storage, threshold
from flatminima.perceptron.landscape import flip_errors
from flatminima.perceptron.replica import maximal_margin, saddle_point
from flatminima.perceptron.rows import Profile, curve, rows
from flatminima.perceptron.stability import lattice_error
from flatminima.perceptron.typical import Tables
from flatminima.progress import Progress
from flatminima.seeding import sequence
from flatminima.settings.perceptron import Enumeration

OTHER_LOAD, NEGATIVE, FAR = "other_load", "negative", "far"
HEAVIER = 1.4
"""Factor of alpha in the control of agreement."""
NEAREST, FARTHEST = 0.05, 0.5
"""The least distance at which local entropies are compared, and that from which on their order is reversed."""
FLIPPED = (1, 2)
"""Numbers of flipped weights after which errors are compared."""
PAIRS = 300
"""Solutions of one margin whose mutual distances are averaged."""


@dataclass(frozen=True)
class Enumerated:
    """All solutions of the instances of one size and load, averaged over instances.

    Attributes:
        size: N.
        load: P / N.
        entropies: ln(number of solutions) / N at each margin: below zero, zero, and the next above.
        distances: mean distance of two solutions of each margin, shape (3,).
        surroundings: local entropies at 0, ..., N flips around solutions of margin zero, and of the next.
        flip_errors: of solutions of margin zero drawn at random, after FLIPPED flips, shape (instances, distances).
    """

    size: int
    load: float
    entropies: LogAverages
    distances: Array
    surroundings: tuple[LogAverages, LogAverages]
    flip_errors: Array

    @property
    def pairs(self) -> Array:
        """Distances between neighbouring numbers of flips, over which curves are averaged, up to one half."""
        return (np.arange(1, self.size // 2 + 1) + 0.5) / self.size

    def paired(self, values: Array) -> Array:
        """Means over neighbouring numbers of flips, odd and even: their stabilities lie on different lattices."""
        half = self.size // 2
        return (values[1 : half + 1] + values[2 : half + 2]) / 2


def enumerate_perceptrons(study: str, settings: Enumeration) -> Tables:
    """Exact entropies, distances and local entropies against theory, by size and load.

    Margins are zero and the next that stabilities of N weights can tell apart from it, 2 / sqrt(N); alpha is P / N.
    Case `enumerated` has statistics
        count_error: of the mean of ln(number of zero-margin solutions) / N, against theory's entropy;
        local_error: the largest error of local entropy around zero-margin solutions over distances, both theory's and
            the exact one less the entropy of all weights at the distance;
        rarity: entropy of margin zero less that of the next margin;
        distance_ratio: mean distance of two solutions of the next margin over that of two of margin zero;
        lead: local entropy around solutions of the next margin less that around those of margin zero, the least over
            distances up to that of two solutions of the highest margin, by theory.
    Controls: `other_load` compares with theory for an alpha that is too high, `negative` takes the margin below zero
    for the next one, `far` has lead at distances from one half. Case `enumerated_typical` has flip_error_ratio, by
    flips: errors of solutions drawn at random over theory's for typical ones of as many weights.

    Returns:
        Rows, and curves `exact_entropy` (over x = 1 / N, y = alpha) and `exact_local` (over x = d, y = alpha, at the
        largest size) with standard errors, and theory's values for them, `exact_entropy_theory`, `exact_local_theory`.
    """
    cases = [(size, load) for load in settings.loads.value for size in settings.sizes.value]
    progress, tables, curves = Progress(f"{study} enumeration", len(cases)), [], []
    for done, (size, load) in enumerate(cases, 1):
        found = _enumerate(study, settings, size, load)
        for control, values in _statistics(found).items():
            entry = {name: [value] for name, value in values.items()}
            tables.append(rows(study, "enumerated", found.load, entry, control=control, size=size))
        typical = Profile("flips", FLIPPED, found.flip_errors / lattice_error(found.load, size, FLIPPED))
        tables.append(rows(study, "enumerated_typical", found.load, {"flip_error_ratio": typical}, size=size))
        curves += _curves(study, found, largest=size == max(settings.sizes.value))
        progress.report(done, f"N = {size}")
    progress.finish(len(cases), "sizes and loads")
    return pd.concat(tables, ignore_index=True), pd.concat(curves, ignore_index=True)


def _enumerate(study: str, settings: Enumeration, size: int, load: float) -> Enumerated:
    generator = np.random.default_rng(sequence(study, "enumeration", size, str(load)))
    patterns = storage(settings.instances.value, size, load, generator)
    levels = [threshold(size, margin) for margin in (-2 / size**0.5, 0.0, 2 / size**0.5)]
    references = settings.references.value
    counts, apart, flips = [], [], []
    around: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = [], []
    for instance in patterns:
        least = exhaustive.least_products(instance)
        _, zero, next_ = found = [np.flatnonzero(least >= level).astype(np.uint32) for level in levels]
        counts.append([len(codes) for codes in found])
        apart.append([_mean_distance(_some(codes, PAIRS, generator), size) for codes in found])
        for kept, codes in zip(around, (zero, next_), strict=True):
            if len(codes):
                kept.append(exhaustive.distance_counts(_some(codes, references, generator), zero, size))
        if len(zero):
            flips.append(_flip_errors(instance, _some(zero, references, generator)))
    averages = exhaustive.averages(around[0], size), exhaustive.averages(around[1], size)
    distances = np.nanmean(np.array(apart), axis=0)
    entropies = exhaustive.log_averages(np.array(counts), size)
    return Enumerated(size, pattern_count(size, load) / size, entropies, distances, averages, np.array(flips))


def _statistics(found: Enumerated) -> dict[str, dict[str, float]]:
    """Values of the case, under an empty name, and of its controls."""
    below, zero, next_ = found.entropies.quenched
    lead = found.paired(found.surroundings[1].quenched - found.surroundings[0].quenched)
    apart = float(saddle_point(found.load, float(maximal_margin(found.load))).distance)
    pairs, (far, near) = found.pairs, (found.distances[0], found.distances[2])
    agreement = {
        control: {
            "count_error": abs(zero - float(saddle_point(load).entropy)),
            "local_error": np.abs(_measured_local(found) - _theory_local(found, load))[
                (pairs >= NEAREST) & (pairs < 0.5)
            ].max(),
        }
        for control, load in {"": found.load, OTHER_LOAD: HEAVIER * found.load}.items()
    }
    order = {"rarity": zero - next_, "distance_ratio": near / found.distances[1], "lead": lead[pairs <= apart].min()}
    return {
        "": agreement[""] | order,
        OTHER_LOAD: agreement[OTHER_LOAD],
        NEGATIVE: {"rarity": zero - below, "distance_ratio": far / found.distances[1]},
        FAR: {"lead": lead[pairs >= FARTHEST].min()},
    }


def _measured_local(found: Enumerated) -> Array:
    """Local entropy around zero-margin solutions less that of all weights at the distance, by pairs of distances."""
    flips, size = np.arange(found.size + 1), found.size
    every = (gammaln(size + 1) - gammaln(flips + 1) - gammaln(size - flips + 1)) / size
    return found.paired(found.surroundings[0].quenched - every)


def _theory_local(found: Enumerated, load: float) -> Array:
    """Local entropy less that of all weights by theory, for large N, by pairs of distances; NaN beyond one half."""
    d = np.arange(1, found.size // 2 + 1) / found.size
    values = local_entropy(load, d, 0.0).entropy - entr(d) - entr(1 - d)
    return found.paired(np.concatenate([[np.nan], values, [np.nan]]))


def _curves(study: str, found: Enumerated, *, largest: bool) -> list[pd.DataFrame]:
    load, size = found.load, found.size
    value, error = found.entropies.quenched[1], found.entropies.quenched_error[1]
    theory = float(saddle_point(load).entropy)
    curves = [curve(study, "exact_entropy", [1 / size], [value], load, error, size)]
    curves.append(curve(study, "exact_entropy_theory", [1 / size], [theory], load, size=size))
    if largest:
        error = found.paired(found.surroundings[0].quenched_error)
        curves.append(curve(study, "exact_local", found.pairs, _measured_local(found), load, error, size))
        curves.append(curve(study, "exact_local_theory", found.pairs, _theory_local(found, load), load, size=size))
    return curves


def _some(codes: exhaustive.Codes, most: int, generator: Generator) -> exhaustive.Codes:
    """Solutions drawn without replacement, `most` of them or all."""
    return generator.choice(codes, most, replace=False) if len(codes) > most else codes


def _mean_distance(codes: exhaustive.Codes, size: int) -> float:
    """Mean normalised Hamming distance of two different solutions, NaN where there are fewer than two."""
    if len(codes) < 2:
        return float("nan")
    counts = exhaustive.distance_counts(codes, codes, size).sum(0)
    pairs = len(codes) * (len(codes) - 1)
    return float(counts @ np.arange(size + 1)) / size / pairs


def _flip_errors(instance: Signs, codes: exhaustive.Codes) -> Array:
    """Errors after FLIPPED flips, averaged over solutions of one instance."""
    size = instance.shape[1]
    weights = exhaustive.decode(codes, size)
    errors: Array = flip_errors(
        np.broadcast_to(instance, (len(codes), *instance.shape)), weights, np.array(FLIPPED) / size
    ).mean(0)
    return errors
