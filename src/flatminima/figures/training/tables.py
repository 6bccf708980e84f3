"""Tables of a training study: its networks by experiment, depth and step size, and the check by other libraries."""

from collections.abc import Sequence

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures import frames
from flatminima.record import final

PEERS = ("curvlinops", "pyhessian")
INTERVAL = ("median", "low", "high")


SHAPE = ("case", "task", "depth")


def summarise(
    measures: pd.DataFrame, statistics: Sequence[str], by: Sequence[str] = (*SHAPE, "control", "step_size", "setting")
) -> pd.DataFrame:
    """Groups of final networks; statistics of layers are those of the worst layer.

    Args:
        measures: the long table measures.parquet.
        statistics: names of WHOLE of flatminima.figures.frames, of DEVIATIONS of flatminima.claims.deviations, or
            `step`, at which training ended.
        by: columns that tell the groups apart.

    Returns:
        Columns `by`, networks (all of them), diverged (how many), and for each statistic its median and 5-95 % interval
        over the networks that did not diverge: <statistic>_median, _low, _high.

    Raises:
        UserError: if no network was measured at the end of training.
    """
    rows = final(frames.networks(measures))
    if rows.empty:
        raise UserError("the measures hold no network at the end of training; run the study's experiments first")
    rows["step"] = rows["step"].where(~rows["diverged"])
    groups = rows.groupby(list(by), dropna=False)
    table = groups.agg(networks=("seed", "size"), diverged=("diverged", "sum")).reset_index()
    for statistic in statistics:
        spread = frames.quantiles(rows, by, statistic)
        table = table.merge(spread.rename(columns={part: f"{statistic}_{part}" for part in INTERVAL}), on=list(by))
    return table


def crosscheck(measures: pd.DataFrame) -> pd.DataFrame:
    """Sharpness of some networks by our engine and by other libraries.

    Returns:
        Columns case, task, depth, step_size, setting, seed, sharpness (on the samples that the others were given),
        residual (relative), and for each of PEERS the value and its difference from ours, relative.

    Raises:
        UserError: if no network was checked.
    """
    key = ["case", "task", "depth", "step_size", "setting", "seed"]
    rows = final(measures)
    ours = rows.loc[rows["statistic"] == "sharpness_checked", [*key, "value", "error_bound"]]
    checked = frames.pivot(rows, [f"sharpness_{peer}" for peer in PEERS], key)
    table = ours.merge(checked, on=key, validate="one_to_one").rename(columns={"value": "sharpness"})
    table["residual"] = table.pop("error_bound") / table["sharpness"]
    for peer in PEERS:
        table[f"{peer}_difference"] = (table[f"sharpness_{peer}"] / table["sharpness"] - 1).abs()
    if table.empty:
        raise UserError("the measures hold no network checked by other libraries; run the study's crosscheck first")
    compared = [side for peer in PEERS for side in (f"sharpness_{peer}", f"{peer}_difference")]
    return table[[*key, "sharpness", "residual", *compared]]


def summary(measures: pd.DataFrame) -> pd.DataFrame:
    """Trained networks by experiment and depth, over all step sizes, and how far from a minimum training left them."""
    trained = frames.trained(measures)
    return summarise(trained, ("sharpness_ratio", "path_gain", "path_cosine", "gradient_norm", "step"), SHAPE)


def sharpness(measures: pd.DataFrame) -> pd.DataFrame:
    """Sharpness, loss and gradient by experiment, depth and step size."""
    return summarise(measures, ("sharpness", "sharpness_ratio", "excess_loss", "loss", "gradient_norm"))


def balance(measures: pd.DataFrame) -> pd.DataFrame:
    """Gains of the layers by experiment, depth and step size."""
    return summarise(measures, ("path_gain", "product_norm"))


def coupling(measures: pd.DataFrame) -> pd.DataFrame:
    """Coupling of neighbouring layers by experiment, depth and step size."""
    return summarise(measures, ("path_cosine", "path_residual", "singular_overlap"))
