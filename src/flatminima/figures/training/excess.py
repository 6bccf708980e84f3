"""Coupling beyond chance: how much nearer a trained network is to a flattest minimum than its nulls (M5)."""

import pandas as pd

from flatminima.figures import frames
from flatminima.figures.training.deviations import CASE, worst_deviations

NULLS = {
    "spectra": "same singular values, random vectors",
    "permuted": "hidden units permuted",
    "untrained": "before training",
}
"""The controls that are nulls of coupling, and how they differ from the trained network."""
STATISTICS = {"own_cosine": "path cosine", "own_gain": "path gain"}


def excess(measures: pd.DataFrame) -> pd.DataFrame:
    """Excess of every final network that has nulls, for both statistics of its own path; not along training.

    Args:
        measures: the long table measures.parquet.

    Returns:
        One row per network and statistic: CASE, seed, diverged (boolean), sharpness_ratio, statistic, deviation at the
        worst interface (1 - cosine or |log gain|), the same of each of NULLS, and excess: the least of those three less
        the network's own. NaN where the network diverged.

    Raises:
        EmptyFigureError: if no network has nulls.
    """
    worst = worst_deviations(measures, list(STATISTICS))
    worst = worst.melt([*CASE, "control", "seed"], var_name="statistic", value_name="deviation")
    key = [*CASE, "seed", "statistic"]
    found = frames.trained(worst).drop(columns="control")
    for null in NULLS:
        own = worst.loc[worst["control"] == null, [*key, "deviation"]].rename(columns={"deviation": null})
        found = found.merge(own, on=key, how="left", validate="one_to_one")
    found["excess"] = found[list(NULLS)].min(axis=1, skipna=False) - found["deviation"]
    compared = worst.loc[worst["control"].isin(NULLS), "case"].unique()
    networks = frames.judged(frames.networks(measures))[[*CASE, "seed", "diverged", "sharpness_ratio"]]
    rows = networks.merge(found[found["case"].isin(compared)], on=[*CASE, "seed"], validate="one_to_many")
    return frames.present(rows, "network with nulls of coupling", "measure experiments of two layers or more")
