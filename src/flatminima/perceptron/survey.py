"""Surroundings of solutions that solvers find, and of planted ones (theory.md 3.4)."""

import numpy as np
import pandas as pd

from flatminima.data.storage import Arrays
from flatminima.perceptron.attempts import attempted
from flatminima.perceptron.franz_parisi import local_entropy
from flatminima.perceptron.gaussian import Array
from flatminima.perceptron.instances import Signs, planted
from flatminima.perceptron.iteration import Solutions
from flatminima.perceptron.landscape import flip_errors, local_entropies, minimal_margins
from flatminima.perceptron.neighbours import FLIPS, count_neighbours, expected_neighbours
from flatminima.perceptron.rows import Profile, Values, curve, rows
from flatminima.perceptron.stability import lattice_error
from flatminima.perceptron.typical import Tables
from flatminima.progress import Progress
from flatminima.seeding import sequence
from flatminima.settings.perceptron import Attempts, SolverName, Survey

DRAWS = {"": "planted", "again": "planted_again"}
"""Names of the random streams of planted solutions and of their control."""


def case(solver: str) -> str:
    """Name of the case of a solver's attempts."""
    return f"attempts_{solver.replace('-', '_')}"


def survey(study: str, solver: SolverName, size: int, arrays: Arrays, settings: Survey) -> Tables:
    """Measures of the attempts of one solver on instances of one size.

    Case `attempts_<solver>` has statistics solved and iterations, and for solved instances minimal_margin; by flips
    neighbours, the number of solutions at one, two and three flips, log_neighbours, log10(1 + that number), and
    expected_neighbours around typical solutions; by distance flip_error_ratio, errors after random flips over theory's
    for typical solutions of as many weights, and for the first few solved instances local_entropy_excess, by belief
    propagation, over theory's around typical solutions.

    Returns:
        Rows, and curves `bp_entropy_<solver>`: means of local entropies at the load y, over x = d.
    """
    loads = len([name for name in arrays if name.startswith("solved_")])
    progress, tables, curves = Progress(f"{study} around {solver}, {size} weights", loads), [], []
    for done, (load, patterns, found) in enumerate(attempted(study, size, arrays), 1):
        values, entropies = _statistics(patterns, found, load, settings)
        tables.append(rows(study, case(solver), load, values, size=size, solver=solver))
        known = ~np.isnan(entropies).all(1)
        if known.any():
            means = entropies[known].mean(0)
            curves.append(curve(study, f"bp_entropy_{solver}", settings.distances, means, load, size=size))
        progress.report(done, f"alpha {load:g}")
    progress.finish(loads, "loads")
    empty = curve(study, f"bp_entropy_{solver}", [], [], size=size)
    return pd.concat(tables, ignore_index=True), pd.concat([empty, *curves], ignore_index=True)


def planted_solutions(study: str, size: int, settings: Attempts) -> pd.DataFrame:
    """Rows of solutions that instances were planted around: solutions that no solver has found.

    Case `planted` and its control `again`, another draw, have the statistics neighbours, log_neighbours and
    expected_neighbours of `survey`. Planted solutions have more neighbours than typical ones.
    """
    tables, loads = [], settings.loads
    progress = Progress(f"{study} planted, {size} weights", len(loads))
    for done, load in enumerate(loads, 1):
        for control, stream in DRAWS.items():
            generator = np.random.default_rng(sequence(study, stream, size, str(load)))
            drawn = planted(settings.instances, size, load, 0.0, generator)
            values = _neighbours(drawn.patterns, drawn.reference, np.ones(len(drawn.patterns), bool), load)
            tables.append(rows(study, "planted", load, values, control=control, size=size))
        progress.report(done, f"alpha {load:g}")
    progress.finish(len(loads), "loads")
    return pd.concat(tables, ignore_index=True)


def _statistics(patterns: Signs, found: Solutions, load: float, settings: Survey) -> tuple[Values, Array]:
    """Statistics of all attempts, and local entropies of those surveyed, shape (attempts, distances)."""
    solved, distances, size = found.solved, np.array(settings.distances), patterns.shape[2]
    surveyed = solved & (np.cumsum(solved) <= settings.surveyed) & (size <= settings.largest)
    entropies = np.full((len(solved), len(distances)), np.nan)
    if surveyed.any():
        entropies[surveyed] = local_entropies(patterns[surveyed], found.weights[surveyed], settings.distances).entropy
    typical = lattice_error(patterns.shape[1] / size, size, np.rint(distances * size))
    ratios = flip_errors(patterns, found.weights, distances) / typical
    typical_entropy = local_entropy(load, distances, 0.0).entropy if surveyed.any() else np.nan
    values: Values = {
        "solved": solved.astype(float),
        "iterations": found.iterations,
        "minimal_margin": np.where(solved, minimal_margins(patterns, found.weights), np.nan),
        "flip_error_ratio": Profile("distance", distances, np.where(solved[:, None], ratios, np.nan)),
        "local_entropy_excess": Profile("distance", distances, entropies - typical_entropy),
    }
    return {**values, **_neighbours(patterns, found.weights, solved, load)}, entropies


def _neighbours(patterns: Signs, weights: Signs, solved: np.ndarray, load: float) -> Values:
    counts = np.full((len(patterns), len(FLIPS)), np.nan)
    for place in np.flatnonzero(solved):
        counts[place] = count_neighbours(patterns[place], weights[place])
    expected = expected_neighbours(patterns.shape[2], load, FLIPS)
    by_flips = {
        "neighbours": counts,
        "log_neighbours": np.log10(1 + counts),
        "expected_neighbours": np.broadcast_to(expected, counts.shape),
    }
    return {name: Profile("flips", FLIPS, values) for name, values in by_flips.items()}
