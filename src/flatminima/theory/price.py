"""The price of balance: how much sharper than necessary the balanced minimum is (theory.md I3, I6)."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.optimize import minimize
from torch import Tensor

from flatminima.minima.linear import LinearProblems
from flatminima.minima.statistics import Statistic, tidy
from flatminima.progress import Progress
from flatminima.settings.theory import Condition, Price
from flatminima.theory.problems import draw_problems
from flatminima.theory.sampling import balanced, sharpness
from flatminima.theory.shared import labels, stream, undiverged

Array = NDArray[np.float64]

STEEPEST = 2.0
"""A search lets the gains of T differ by this power of the condition of Sx at most."""
TOLERANCES = {"xatol": 1e-4, "fatol": 1e-8}


def balance_price(problems: LinearProblems) -> Tensor:
    """Sharpness of the balanced minimum over the least of any minimum (theory.md I1, I3, I6), shape (problems,).

    Gradient flow from zero residuals that reaches a minimum reaches the balanced one; so this is how far from flattest
    it ends. One for white inputs.
    """
    rank = min(problems.end_to_end.shape[1:])
    return sharpness(balanced(problems, rank), problems) / problems.least


def price_ceiling(condition: float, depth: int) -> float:
    """A bound that no price of balance exceeds, whatever T and the dimensions (proof in docs/balance.md).

    For Sx of condition c it is c^{1/2} at two layers, which `example` attains. For m layers it is
    (1 + r^{1/(m-1)} + r^{2/(m-1)} + ... + r) / m with r = m ((c-1)/(m-1))^{1-1/m} where c > m, and r = c otherwise;
    maps T of rank one reach r / m where c > m, so that it is sharp for large c.

    Args:
        condition: largest over smallest eigenvalue of Sx.
        depth: number of layers m >= 2.

    Raises:
        ValueError: if there are fewer than two layers.
    """
    if depth < 2:
        raise ValueError(f"depth is {depth}: balance is between layers, of which there must be two")
    if depth == 2:
        return math.sqrt(condition)
    ratio = depth * ((condition - 1) / (depth - 1)) ** (1 - 1 / depth) if condition > depth else condition
    return float(np.mean(ratio ** (np.arange(depth) / (depth - 1))))


def example(condition: float, depth: int) -> LinearProblems:
    """The problem Sx = diag(1, e), T = diag(e, 1) with e = 1 / condition, of price e^{-1/2} at two layers."""
    small = 1 / condition
    return LinearProblems.of(np.diag([small, 1.0])[None], np.diag([1.0, small])[None], depth)


def prices(study: str, settings: Price) -> pd.DataFrame:
    """The price of balance of random problems, and the largest that a search finds, against the condition of Sx.

    Args:
        study: the study's name, part of every seed.
        settings: conditions of Sx, depths and effort.

    Returns:
        Rows of case `price_search`, a network for each restart, and `price_random`, one for each instance. The setting
        is the condition of Sx, the start the dimension. Statistics are balance_price and price_ceiling
        (`price_ceiling`); of searches, price_example too (`example`).
    """
    cases = [(condition, depth) for condition in settings.ill for depth in settings.depths]
    progress, tables = Progress(f"{study} price", len(cases)), []
    for case, (condition, depth) in enumerate(cases):
        for name, size, found in _found(study, condition, depth, settings):
            shared = labels(study, name, depth, np.arange(len(found)), start=f"size{size}", setting=condition)
            values = {"price_ceiling": price_ceiling(condition, depth)}
            if name == "price_search":
                values["price_example"] = balance_price(example(condition, depth)).item()
            constant = {name: Statistic(torch.full_like(found, value)) for name, value in values.items()}
            tables.append(tidy(shared, undiverged(len(found)) | constant | {"balance_price": Statistic(found)}))
        progress.report(case + 1, f"condition {condition:g}, depth {depth}")
    progress.finish(len(cases), f"{sum(len(table) for table in tables)} values")
    return pd.concat(tables, ignore_index=True)


def _found(study: str, condition: float, depth: int, settings: Price) -> Iterator[tuple[str, int, Tensor]]:
    """Case, dimension, and prices found."""
    names = study, "price", f"{condition:g}", depth
    size, spread = settings.drawn, settings.spread
    kind = Condition(inputs=size, outputs=size, hidden=size, rank=size, spread=spread, ill=condition)
    yield "price_random", size, balance_price(draw_problems(kind, depth, settings.instances, stream(*names)))
    for size in settings.searched:
        random, most = stream(*names, "search", size), settings.evaluations
        found = [search(condition, depth, size, most, random) for _ in range(settings.restarts)]
        yield "price_search", size, torch.tensor(found, dtype=torch.float64)


def search(condition: float, depth: int, size: int, evaluations: int, random: np.random.Generator) -> float:
    """The largest price that one Nelder-Mead search finds from a random start.

    Args:
        condition: of Sx.
        depth: number of layers m.
        size: d_x = d_y.
        evaluations: largest number of problems to try.
        random: the stream to draw the start from.
    """
    bounds = [(0.0, STEEPEST)] * (size - 1) + [(0.0, 1.0)] * (size - 2) + [(-np.pi, np.pi)] * (size * (size - 1) // 2)
    start = [random.uniform(low, high) for low, high in bounds]

    def cheapness(point: Array) -> float:
        return -balance_price(_problem(point, condition, depth, size)).log().item()

    options = {"maxfev": evaluations, **TOLERANCES}
    result = minimize(cheapness, start, method="Nelder-Mead", bounds=bounds, options=options)
    return float(np.exp(-result.fun))


def _problem(point: Array, condition: float, depth: int, size: int) -> LinearProblems:
    """The problem of a point: minus the logarithms of gains and variances, to base `condition`, and angles.

    Neither rotations of the outputs nor joint ones of inputs and Sx change a price: Sx is diagonal, T a diagonal map
    after a rotation, and the largest gain and variance are one.
    """
    gains, variances, angles = np.split(point, [size - 1, 2 * size - 3])
    skew = np.zeros((size, size))
    skew[np.triu_indices(size, 1)] = angles
    end_to_end = condition ** -np.append(0.0, gains)[:, None] * expm(skew - skew.T)
    moment = np.diag(condition ** -np.concatenate([[0.0], variances, [1.0]]))
    return LinearProblems.of(end_to_end[None], moment[None], depth)
