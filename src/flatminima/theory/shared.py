"""What the parts of a theory study share: random streams, labels of the tidy table, and statistics at minima."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatminima.minima.coupling import overlaps
from flatminima.minima.hessian import MomentHessian
from flatminima.minima.linear import LinearProblems, path_statistics, sharpness_statistics
from flatminima.minima.statistics import Statistic, Statistics
from flatminima.seeding import sequence
from flatminima.theory.sampling import sharpness

RESIDUAL, PRODUCTS = 1e-9, 400
"""Relative residual of sharpness away from minima, and the largest number of Hessian products spent on it."""


def stream(*names: str | int) -> np.random.Generator:
    """A random stream fixed by names."""
    return np.random.default_rng(sequence(*names))


def labels(study: str, count: int, case: int, **values: Any) -> pd.DataFrame:
    """Labels of the networks of one case, numbered by column seed without repetition over the cases of a table."""
    columns: dict[str, Any] = {
        "study": study,
        "family": "linear",
        "seed": np.arange(count) + case * count,
        "optimiser": "",
    }
    columns |= {"step_size": np.nan, "step_fraction": np.nan, "step": 0, "final": True}
    return pd.DataFrame(columns | values)


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
