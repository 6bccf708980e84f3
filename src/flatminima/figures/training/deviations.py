"""Deviations of networks from a flattest minimum in their worst layer, as the claims measure them."""

from collections.abc import Sequence

import pandas as pd

from flatminima.claims.deviations import DEVIATIONS
from flatminima.record import final

CASE = ["case", "family", "task", "optimiser", "depth", "setting"]


def worst_deviations(measures: pd.DataFrame, statistics: Sequence[str]) -> pd.DataFrame:
    """Deviation of every final network in its worst layer, zero at a flattest minimum.

    Args:
        measures: the long table measures.parquet.
        statistics: keys of DEVIATIONS of flatminima.claims.deviations.

    Returns:
        Columns CASE, control, seed, and a column per statistic: |log| of gains, 1 - cosine, residuals as they are; NaN
        where it was not measured. Networks without a step size are left out.
    """
    rows = final(measures[measures["layer"] > 0])
    tables = {
        statistic: own.assign(value=DEVIATIONS[statistic](own["value"].to_numpy()))
        .groupby([*CASE, "control", "seed"])["value"]
        .max()
        for statistic in statistics
        for own in [rows[rows["statistic"] == statistic]]
    }
    return pd.DataFrame(tables).reset_index()
