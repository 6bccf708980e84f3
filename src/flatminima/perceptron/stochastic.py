"""Solvers that change weights at random: stochastic belief-propagation-inspired learning, and simulated annealing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from flatminima.perceptron.instances import Signs, products, threshold
from flatminima.perceptron.iteration import Array, Solutions, State, iterate

Integers = NDArray[np.integer[Any]]

ENERGIES: dict[str, Callable[[Integers], Any]] = {
    "errors": lambda deficits: np.count_nonzero(deficits > 0, axis=-1),
    "flips": lambda deficits: np.maximum(deficits, 0).sum(-1) // 2,
}


@dataclass(frozen=True)
class Inspired:
    """Settings of stochastic belief-propagation-inspired learning, chosen.

    Attributes:
        states: values that h takes on each side of zero, in units of sqrt(N).
        probability: of an update on a pattern that barely reaches the margin.
        epochs: most passes over the patterns.
    """

    states: float = 1.0
    probability: float = 0.3
    epochs: int = 500


@dataclass(frozen=True)
class Annealing:
    """Settings of simulated annealing, chosen.

    Attributes:
        energy: `errors`, the number of patterns that are too low, or `flips`, summed over them the least number of
            weights to flip for each.
        security: stability beyond the margin that patterns need in order not to count as too low.
        coldness: first and last inverse temperature; it grows linearly.
        block: flips proposed together; the first that is accepted is made, the rest are forgotten.
        sweeps: most steps of N proposals each.
    """

    energy: Literal["errors", "flips"] = "flips"
    security: float = 0.4
    coldness: tuple[float, float] = (0.1, 3.0)
    block: int = 8
    sweeps: int = 500


def inspired(patterns: Signs, margin: float, generator: Generator, settings: Inspired) -> Solutions:
    """Stochastic belief-propagation-inspired learning (SBPI; Baldassi, Braunstein, Brunel & Zecchina 2007).

    Each weight is the sign of an odd hidden integer h. Patterns come one by one. One below the margin adds 2 sigma to
    h; one that barely reaches it does so with some probability, and only where this drives h away from zero.
    """
    instances, count, size = patterns.shape
    least = threshold(size, margin)
    bound = 2 * math.ceil(settings.states * math.sqrt(size)) - 1

    def step(patterns: Array, iteration: int, state: State) -> tuple[Array, State]:
        (hidden,) = state
        weights = np.sign(hidden)
        for row in generator.permutation(count):
            pattern = patterns[:, row]
            product = np.einsum("in,in->i", pattern, weights)
            barely = (product == least) & (generator.random(len(product)) < settings.probability)
            wrong = product < least
            moved = np.flatnonzero(wrong | barely)
            if len(moved):
                sigma, before = pattern[moved], hidden[moved]
                after = before + 2 * sigma * (wrong[moved, None] | (before * sigma > 0))
                hidden[moved] = np.clip(after, -bound, bound)
                weights[moved] = np.sign(after)
        return weights, (hidden,)

    hidden = 2 * generator.integers(0, 2, (instances, size)).astype(np.float32) - 1
    return iterate(patterns, margin, (hidden,), step, settings.epochs)


def annealing(patterns: Signs, margin: float, generator: Generator, settings: Annealing) -> Solutions:
    """Simulated annealing of an energy of patterns that are too low, by Metropolis flips of single weights.

    Flips are proposed in blocks against the same weights. Those before the first accepted one are rejected as they
    would be one by one, and those after it are not counted, so the chain is exactly Metropolis's.
    """
    instances, _, size = patterns.shape
    least, energy = threshold(size, margin + settings.security), ENERGIES[settings.energy]

    def step(patterns: Array, iteration: int, state: State) -> tuple[Array, State]:
        weights, totals, columns = state
        rows, places = np.arange(len(weights)), np.arange(settings.block)
        coldness = np.interp(iteration, [0, settings.sweeps - 1], settings.coldness)
        left = np.full(len(rows), size)
        while (left > 0).any():
            chosen = generator.integers(0, size, (len(rows), settings.block))
            change = -2 * np.take_along_axis(weights, chosen, 1)[..., None] * columns[rows[:, None], chosen]
            before = energy(least - totals)[:, None]
            cost = coldness * (energy(least - totals[:, None] - change) - before)
            accepted = np.logical_and(generator.standard_exponential(cost.shape) > cost, places < left[:, None])
            flipped, first = accepted.any(1), accepted.argmax(1)
            totals += np.where(flipped[:, None], change[rows, first], 0)
            weights[rows, chosen[rows, first]] *= np.where(flipped, -1, 1).astype(weights.dtype)
            left -= np.where(flipped, first + 1, settings.block)
        return weights.astype(np.float32), (weights, totals, columns)

    weights = 2 * generator.integers(0, 2, (instances, size), dtype=np.int16) - 1
    columns = np.ascontiguousarray(patterns.transpose(0, 2, 1)).astype(np.int16)
    state = weights, products(patterns, weights).astype(np.int16), columns
    return iterate(patterns, margin, state, step, settings.sweeps)
