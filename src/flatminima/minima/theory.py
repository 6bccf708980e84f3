"""What the parts of a theory study share: random streams, labels of the tidy table, and statistics at minima."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from flatminima.curvature.eigensolvers import stacked_eigenpairs
from flatminima.data.seeding import sequence
from flatminima.minima.coupling import overlaps
from flatminima.minima.hessian import MinimumHessian, MomentHessian
from flatminima.minima.linear import LinearProblems, path_statistics
from flatminima.minima.tidy import Statistic, Statistics

RESIDUAL, PRODUCTS = 1e-9, 400
"""Relative residual of sharpness away from minima, and the largest number of Hessian products spent on it."""


def stream(*names: str | int) -> np.random.Generator:
    """A random stream fixed by names."""
    return np.random.default_rng(sequence(*names))


def torch_stream(*names: str | int) -> Generator:
    """The same for torch."""
    return Generator().manual_seed(int(sequence(*names).generate_state(1, np.uint64)[0] >> np.uint64(1)))


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
    value = MinimumHessian.at(weights, problems.root).spectrum()[:, -1]
    return undiverged(len(value)) | _sharpness(value, torch.zeros_like(value), problems) | _paths(weights, problems)


def near_minima(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    """All statistics of networks at any point, their sharpness with its residual."""
    hessian = MomentHessian(weights, problems.input_moment, problems.end_to_end @ problems.input_moment)
    near = hessian.leading_direction().unsqueeze(1)
    top = stacked_eigenpairs(hessian, tolerance=RESIDUAL, max_products=PRODUCTS, near=near)
    return _sharpness(top.eigenvalues[:, 0], top.residuals[:, 0], problems) | _paths(weights, problems)


def _sharpness(value: Tensor, residual: Tensor, problems: LinearProblems) -> Statistics:
    return {
        "sharpness": Statistic(value, residual),
        "minimal_sharpness": Statistic(problems.least, problems.gap),
        "sharpness_ratio": Statistic(value / problems.least, residual / problems.least),
    }


def _paths(weights: Sequence[Tensor], problems: LinearProblems) -> Statistics:
    pairs = {"singular_overlap": Statistic(overlaps(weights).amax((2, 3)))} if len(weights) > 1 else {}
    return path_statistics(weights, problems) | pairs
