"""Solvers on random instances: how far they get, and what surrounds the solutions they find (theory.md 3.4)."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatminima.data.seeding import sequence
from flatminima.data.storage import Arrays
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.instances import Signs, storage
from flatminima.perceptron.landscape import flip_errors, local_entropies, minimal_margins
from flatminima.perceptron.records import Values, curve, rows
from flatminima.perceptron.search import Solutions
from flatminima.perceptron.solvers import solve
from flatminima.perceptron.stability import error_after_flips
from flatminima.perceptron.thresholds import connected_load
from flatminima.perceptron.typical import FLIPS
from flatminima.settings.perceptron import SolverName, SolverRuns
from flatminima.training.progress import Progress

EASY = 0.6
"""Alpha up to which good solvers are expected to solve every instance."""


def run_solver(study: str, name: SolverName, settings: SolverRuns) -> tuple[pd.DataFrame, pd.DataFrame, Arrays]:
    """Attempts of one solver, instance by instance; all solvers see the same instances.

    Experiment `attempts_<solver>` has statistics solved, unsolved, iterations, and for solved instances minimal_margin
    and flip_error_ratio: errors after random flips over theory's for typical solutions, by distance (layers); for the
    first few also local_entropy_excess, by belief propagation, over theory's around typical solutions. Statistic
    unsurveyed is 0 for those. The same rows at alphas above the one at which even typical solutions of maximal margin
    have a gap around them, and at easy ones, are experiments `above_<solver>` and `easy_<solver>`.

    Returns:
        Rows; curves `success_<solver>` (share of instances over x = alpha), `flip_error_<solver>` and
        `bp_entropy_<solver>` (means over solved instances, over x = d for y = alpha); and for every alpha arrays
        `weights_<alpha>`, bits of shape (instances, ceil(N / 8)) as numpy.packbits makes them from weights above zero,
        and `solved_<alpha>`, shape (instances,).
    """
    limit = connected_load().alpha
    loads = settings.loads.value
    progress, tables, curves, shares = Progress(f"{study} {name}", len(loads)), [], [], []
    arrays: dict[str, NDArray[Any]] = {}
    for done, load in enumerate(loads, 1):
        generators = (np.random.default_rng(sequence(study, "attempts", who, str(load))) for who in ("patterns", name))
        patterns = storage(settings.instances.value, settings.size.value, load, next(generators))
        found = solve(name, patterns, next(generators))
        values, surveyed = _statistics(patterns, found, load, settings)
        parts = {"attempts": True, "above": load > limit, "easy": load <= EASY}
        tables += [rows(study, f"{part}_{name}", load, values, solver=name) for part, holds in parts.items() if holds]
        shares.append(float(found.solved.mean()))
        arrays |= {f"weights_{load:g}": np.packbits(found.weights > 0, axis=1), f"solved_{load:g}": found.solved}
        curves += _surroundings(study, name, load, patterns, found, surveyed, settings)
        progress.report(done, f"alpha {load:g}, {found.solved.mean():.0%} solved")
    progress.finish(len(loads), f"{np.mean(shares):.0%} of instances solved")
    curves.append(curve(study, f"success_{name}", loads, shares))
    return pd.concat(tables, ignore_index=True), pd.concat(curves, ignore_index=True), arrays


def _statistics(patterns: Signs, found: Solutions, load: float, settings: SolverRuns) -> tuple[Values, Array]:
    """Statistics of all attempts, and local entropies of those surveyed, shape (attempts, distances)."""
    solved, distances = found.solved, settings.distances.value
    surveyed = solved & (np.cumsum(solved) <= settings.surveyed.value)
    entropies = np.full((len(solved), len(distances)), np.nan)
    if surveyed.any():
        entropies[surveyed] = local_entropies(patterns[surveyed], found.weights[surveyed], distances).entropy
    ratios = flip_errors(patterns, found.weights, distances) / error_after_flips(load, 0.0, distances)
    excess = entropies - local_entropy(load, distances, 0.0).entropy if surveyed.any() else entropies
    values = {
        "solved": solved.astype(float),
        "unsolved": (~solved).astype(float),
        "unsurveyed": (~surveyed).astype(float),
        "iterations": found.iterations,
        "minimal_margin": np.where(solved, minimal_margins(patterns, found.weights), np.nan),
        "flip_error_ratio": np.where(solved[:, None], ratios, np.nan),
        "local_entropy_excess": excess,
    }
    return values, entropies


def _surroundings(
    study: str,
    name: str,
    load: float,
    patterns: Signs,
    found: Solutions,
    entropies: Array,
    settings: SolverRuns,
) -> list[pd.DataFrame]:
    """Curves of the solutions found at one alpha, where there are any."""
    if not found.solved.any():
        return []
    errors = flip_errors(patterns[found.solved], found.weights[found.solved], list(FLIPS)).mean(0)
    known = ~np.isnan(entropies).all(1)
    means = entropies[known].mean(0)
    return [
        curve(study, f"flip_error_{name}", FLIPS, errors, load),
        curve(study, f"bp_entropy_{name}", settings.distances.value, means, load),
    ]
