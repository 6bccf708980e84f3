"""All solvers of the binary perceptron by name."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.random import Generator

from flatminima.errors import UserError
from flatminima.perceptron.gradient import Descent, descent
from flatminima.perceptron.instances import Signs, check_size
from flatminima.perceptron.iteration import Solutions
from flatminima.perceptron.message_passing import Focusing, Reinforced, focusing, reinforced
from flatminima.perceptron.stochastic import Annealing, Inspired, annealing, inspired

Settings = Reinforced | Focusing | Inspired | Annealing | Descent


@dataclass(frozen=True)
class Solver:
    """A solver, and the settings it has where none are given."""

    run: Callable[[Signs, float, Generator, Any], Solutions]
    settings: Settings


SOLVERS = {
    "reinforced-bp": Solver(reinforced, Reinforced()),
    "focusing-bp": Solver(focusing, Focusing()),
    "sbpi": Solver(inspired, Inspired()),
    "annealing": Solver(annealing, Annealing()),
    "error-annealing": Solver(annealing, Annealing(energy="errors", security=0.0, coldness=(0.5, 10.0))),
    "sgd": Solver(descent, Descent()),
    "straight-through-sgd": Solver(descent, Descent(forward="signs")),
    "replicated-sgd": Solver(descent, Descent(replicas=7, attraction=0.5)),
}


def solve(
    name: str, patterns: Signs, generator: Generator, *, margin: float = 0.0, settings: Settings | None = None
) -> Solutions:
    """Search for weights whose stabilities all reach a margin, on all instances at once.

    Args:
        name: a key of `SOLVERS`.
        patterns: labels absorbed, in {-1, +1}, shape (instances, P, N), N odd.
        generator: source of randomness.
        margin: kappa, the least stability of a solution.
        settings: of the solver; those in `SOLVERS` where absent.

    Returns:
        Weights, whether they are a solution, and iterations, for every instance.

    Raises:
        UserError: if there is no such solver, the settings are another solver's, or the patterns are not as above.
    """
    if name not in SOLVERS:
        near = get_close_matches(name, SOLVERS, cutoff=0.3) or list(SOLVERS)
        raise UserError(f"solver is {name!r}, which is none of the known ones; the nearest are {', '.join(near)}")
    solver = SOLVERS[name]
    settings = solver.settings if settings is None else settings
    if not isinstance(settings, type(solver.settings)):
        expected, given = type(solver.settings).__name__, type(settings).__name__
        raise UserError(f"settings are {given}: solver {name!r} expected {expected}; give those or none")
    if patterns.ndim != 3 or not (np.abs(patterns) == 1).all():
        raise UserError(f"patterns of shape {patterns.shape}: expected -1 and +1 in shape (instances, P, N)")
    check_size(patterns.shape[2])
    return solver.run(patterns, margin, generator, settings)
