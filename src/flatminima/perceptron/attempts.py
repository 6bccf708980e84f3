"""Solvers on random instances: which of them they solve, and with which weights."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from flatminima.data.storage import Arrays
from flatminima.perceptron.instances import Signs, storage
from flatminima.perceptron.iteration import Solutions
from flatminima.perceptron.solvers import solve
from flatminima.progress import Progress
from flatminima.seeding import sequence
from flatminima.settings.perceptron import Attempts, SolverName


def attempt_instances(study: str, name: SolverName, size: int, settings: Attempts) -> dict[str, NDArray[Any]]:
    """Attempts of one solver on random instances of one size, load by load.

    Returns:
        For every load arrays `weights_<load>`, bits of shape (instances, ceil(N / 8)) as numpy.packbits makes them from
        weights above zero, `solved_<load>` and `iterations_<load>`, of shape (instances,).
    """
    loads = settings.loads
    arrays: dict[str, NDArray[Any]] = {}
    progress = Progress(f"{study} {name}, {size} weights", len(loads))
    for done, load in enumerate(loads, 1):
        patterns = instances(study, size, load, settings.instances)
        found = solve(name, patterns, _generator(study, size, load, name))
        arrays |= {
            f"weights_{load}": np.packbits(found.weights > 0, axis=1),
            f"solved_{load}": found.solved,
            f"iterations_{load}": found.iterations,
        }
        progress.report(done, f"alpha {load:g}, {found.solved.mean():.0%} solved")
    solved = np.mean([arrays[f"solved_{load}"].mean() for load in loads])
    progress.finish(len(loads), f"{solved:.0%} of instances solved")
    return arrays


def instances(study: str, size: int, load: float, count: int) -> Signs:
    """Draw a study's instances of a size and load from their names, so that all solvers see one set.

    Returns:
        Patterns, labels absorbed, shape (instances, P, N).
    """
    return storage(count, size, load, _generator(study, size, load, "patterns"))


def attempted(study: str, size: int, arrays: Arrays) -> Iterator[tuple[float, Signs, Solutions]]:
    """Read what `attempt_instances` stored: loads in ascending order, with their patterns and solutions."""
    for load in sorted(float(name.removeprefix("solved_")) for name in arrays if name.startswith("solved_")):
        yield load, instances(study, size, load, len(arrays[f"solved_{load}"])), _stored(arrays, size, load)


def _stored(arrays: Mapping[str, NDArray[Any]], size: int, load: float) -> Solutions:
    above = np.unpackbits(arrays[f"weights_{load}"], axis=1, count=size)
    return Solutions(2 * above.astype(np.int8) - 1, arrays[f"solved_{load}"], arrays[f"iterations_{load}"])


def _generator(study: str, size: int, load: float, who: str) -> Generator:
    return np.random.default_rng(sequence(study, "attempts", size, str(load), who))
