"""Search loop of all solvers: steps on a batch of instances until each is solved, or a cap is reached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flatminima.perceptron.instances import Signs, threshold

Array = NDArray[np.floating[Any]]
State = tuple[NDArray[Any], ...]
Step = Callable[[Array, int, State], tuple[Array, State]]
CACHE = 2**22
"""Bytes of patterns that stay in the last cache of a processor's core."""
GLANCE = 64
"""Patterns that are tested first: of weights that are no solution, these nearly always tell."""


@dataclass(frozen=True)
class Solutions:
    """Outcome of a solver.

    Attributes:
        weights: in {-1, +1}, shape (instances, N); the last ones tried where an instance was not solved.
        solved: whether all stabilities reach the margin, shape (instances,).
        iterations: steps taken, shape (instances,).
    """

    weights: Signs
    solved: NDArray[np.bool_]
    iterations: NDArray[np.int64]


def iterate(patterns: Signs, margin: float, state: State, step: Step, cap: int) -> Solutions:
    """Take steps on all unsolved instances at once.

    Args:
        patterns: shape (instances, P, N).
        margin: kappa, the least stability of a solution.
        state: arrays whose first axis counts instances.
        step: from the patterns of the unsolved instances in float32, the number of the step and their state, the
            weights to test, shape (instances, N), and the next state.
        cap: most steps.
    """
    count, _, size = patterns.shape
    solutions = Solutions(np.zeros((count, size), np.int8), np.zeros(count, bool), np.full(count, cap))
    unsolved, least = np.arange(count), threshold(size, margin)
    remaining = patterns.astype(np.float32)
    for iteration in range(cap):
        weights, state = step(remaining, iteration, state)
        solutions.weights[unsolved] = weights
        solved = _reach(remaining, weights, least)
        if solved.any():
            solutions.solved[unsolved[solved]] = True
            solutions.iterations[unsolved[solved]] = iteration + 1
            unsolved, remaining = unsolved[~solved], remaining[~solved]
            state = tuple(array[~solved] for array in state)
        if not len(unsolved):
            break
    return solutions


def iterate_in_groups(patterns: Signs, margin: float, state: State, step: Step, cap: int) -> Solutions:
    """Take steps on groups of instances, one group after the other, whose patterns stay in the processor's cache.

    For steps that treat each instance alone and draw no random numbers: the outcome is the same in any groups.

    Args:
        patterns: shape (instances, P, N).
        margin: kappa, the least stability of a solution.
        state: arrays whose first axis counts instances.
        step: of `iterate`.
        cap: most steps for each instance.
    """
    count, bytes_each = len(patterns), np.dtype(np.float32).itemsize * patterns[0].size
    size = max(CACHE // bytes_each, 1)
    groups = [slice(first, first + size) for first in range(0, count, size)]
    found = [iterate(patterns[group], margin, tuple(array[group] for array in state), step, cap) for group in groups]
    weights, solved, iterations = zip(*((one.weights, one.solved, one.iterations) for one in found), strict=True)
    return Solutions(np.concatenate(weights), np.concatenate(solved), np.concatenate(iterations))


def _reach(patterns: Array, weights: Array, least: int) -> NDArray[np.bool_]:
    """Whether the products of weights, of shape (instances, N), with all patterns reach the least one."""
    reached: NDArray[np.bool_] = np.all(project(patterns[:, :GLANCE], weights) >= least, axis=1)
    if reached.any():
        reached[reached] = np.all(project(patterns[reached, GLANCE:], weights[reached]) >= least, axis=1)
    return reached


def project(patterns: Array, vectors: Array) -> Array:
    """Inner products with each pattern, shape (instances, P), of vectors of shape (instances, N)."""
    products: Array = np.matmul(patterns, vectors[..., None])[..., 0]
    return products


def combine(patterns: Array, coefficients: Array) -> Array:
    """Sums of patterns, shape (instances, N), with coefficients of shape (instances, P)."""
    sums: Array = np.matmul(coefficients[:, None], patterns)[:, 0]
    return sums


def signs(fields: Array) -> Array:
    """+1 where a field is positive, and -1 elsewhere."""
    return np.where(fields > 0, np.float32(1), np.float32(-1))
