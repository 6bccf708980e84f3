"""Common ground of a theory study's parts: random streams, labels of the tidy table, and statistics at minima."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from flatminima.minima.coupling import overlaps
from flatminima.minima.hessian import MomentHessian
from flatminima.minima.linear import LinearProblems, path_statistics, sharpness_statistics
from flatminima.minima.statistics import Statistic, Statistics
from flatminima.seeding import sequence
from flatminima.theory.sampling import sharpness

Array = NDArray[np.int64]

RESIDUAL, PRODUCTS = 1e-9, 400
"""Relative residual of sharpness away from minima, and the largest number of Hessian products spent on it."""


def stream(*names: str | int) -> np.random.Generator:
    """A random stream fixed by names."""
    return np.random.default_rng(sequence(*names))


def labels(study: str, case: str | Sequence[str], depth: int, seeds: Array, **others: Any) -> pd.DataFrame:
    """Labels of the networks of a theory study, one row for each seed.

    Args:
        study: the study's name.
        case: of all of them, or of each.
        depth: number of layers.
        seeds: number of the problem, or of the network where each has its own.
        others: values of other labels, for all networks or for each: `control` (by default the case itself), `setting`,
            `start`, `map`, `inputs`, `condition`, `step_size` and `step` (by default none).
    """
    known: dict[str, Any] = {"study": study, "case": case, "control": "", "setting": np.nan, "depth": depth}
    unknown = {"start": "", "map": "", "inputs": "", "condition": "", "step_size": np.nan, "step": 0}
    return pd.DataFrame(known | {"seed": seeds} | unknown | others)


def undiverged(count: int) -> Statistics:
    """The statistic `diverged` of networks that cannot diverge."""
    return {"diverged": Statistic(torch.zeros(count, dtype=torch.float64))}


def at_minima(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    """All statistics of small networks that are global minima to rounding, their sharpness from I1's dense operator."""
    value = sharpness(weights, problems)
    exact = sharpness_statistics(value, torch.zeros_like(value), problems)
    return undiverged(len(value)) | exact | _paths(weights, problems)


def near_minima(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    """All statistics of networks at any point, their sharpness with its residual."""
    hessian = MomentHessian(weights, problems.input_moment, problems.end_to_end @ problems.input_moment)
    top = hessian.top_eigenpair(RESIDUAL, PRODUCTS)
    return sharpness_statistics(top.eigenvalues[:, 0], top.residuals[:, 0], problems) | _paths(weights, problems)


def _paths(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    pairs = {"singular_overlap": Statistic(overlaps(weights).amax((2, 3)))} if len(weights) > 1 else {}
    return path_statistics(weights, problems) | pairs
