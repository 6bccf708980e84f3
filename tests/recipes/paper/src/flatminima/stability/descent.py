"""Gradient descent beside the minimum of random quadratic losses w'Hw / 2 (Wu, Ma & E 2018; docs/stability.md)."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flatminima.record import long_table
from flatminima.seeding import sequence
from flatminima.settings.stability import Descent

Array = NDArray[np.floating[Any]]


def runs(study: str, settings: Descent) -> pd.DataFrame:
    """Descend on random losses with every step size.

    Args:
        study: the study's name, part of the seed.
        settings: number and size of the losses, number and sizes of the steps.

    Returns:
        Rows of case `descent`: the seed is the loss, the setting the step size as a multiple of 2 / sharpness. No run
        counts as diverged, because whether it moves away is what is measured.
    """
    random = np.random.default_rng(sequence(study, "descent"))
    factors = random.standard_normal((settings.instances, settings.dimension, settings.dimension))
    hessians = factors @ factors.transpose(0, 2, 1)
    starts = random.standard_normal((settings.instances, settings.dimension))
    sharpness = np.linalg.eigvalsh(hessians)[:, -1]
    networks = pd.DataFrame({"seed": np.arange(settings.instances)}).assign(study=study, case="descent", control="")
    tables = [
        long_table(
            networks.assign(setting=multiple, depth=1),
            {
                "diverged": np.zeros(settings.instances),
                "distance_ratio": distance_ratio(hessians, starts, multiple * 2 / sharpness, settings.steps),
            },
        )
        for multiple in settings.step_sizes
    ]
    return pd.concat(tables, ignore_index=True)


def distance_ratio(hessians: Array, starts: Array, step_sizes: Array, steps: int) -> Array:
    """Distance from the minimum at zero after descent, over that of the start.

    Args:
        hessians: shape (losses, weights, weights).
        starts: weights at the start, shape (losses, weights).
        step_sizes: shape (losses,).
        steps: number of steps.

    Returns:
        Shape (losses,); infinite where it exceeds all numbers.
    """
    weights = starts
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            weights = weights - step_sizes[:, None] * np.einsum("nij,nj->ni", hessians, weights)
        ratio: Array = np.linalg.norm(weights, axis=1) / np.linalg.norm(starts, axis=1)
    return np.nan_to_num(ratio, nan=np.inf)
