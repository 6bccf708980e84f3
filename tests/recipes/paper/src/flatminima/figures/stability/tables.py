"""Tables of a stability study."""

import pandas as pd

from flatminima.figures import frames


def descent(measures: pd.DataFrame) -> pd.DataFrame:
    """Runs by step size.

    Returns:
        Columns setting (in units of 2 / sharpness), runs, and median and 5-95 % interval of the distance ratio.
    """
    rows = measures[measures["statistic"] == "distance_ratio"].rename(columns={"value": "distance_ratio"})
    count = rows.groupby("setting").size().rename("runs").reset_index()
    spread = frames.quantiles(rows, ["setting"], "distance_ratio")
    names = {part: f"distance_ratio_{part}" for part in ("median", "low", "high")}
    return count.merge(spread.rename(columns=names), on="setting")
