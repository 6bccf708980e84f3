"""Tables of a theory study: searches for violations, constructed minima, and where training ends."""

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures import frames
from flatminima.figures.theory import selection

PARTS = {"median": "sharpness_ratio_median", "low": "sharpness_ratio_low", "high": "sharpness_ratio_high"}


def falsification(measures: pd.DataFrame) -> pd.DataFrame:
    """Searches for minima that break a statement of theory, with their planted controls beside them.

    Returns:
        Columns statement, condition, attempts, violations, closest_approach (left side / right side - 1 at its least),
        power (share of the attempts from far that came within 10 % of equality) and planted_violations. Statement
        `attack_coloured` is a control: it is false unless all gains are equal.

    Raises:
        UserError: if there is no attempt.
    """
    rows = _measured(selection.searches(measures), "attempt to break a statement")
    key = ["case", "condition"]
    true, planted = frames.trained(rows).drop(columns="control"), rows.loc[rows["control"] != "", [*key, "violations"]]
    planted = planted.rename(columns={"violations": "planted_violations"})
    reached = frames.trained(measures[measures["statistic"] == "reached"])
    power = reached.groupby(key)["value"].mean().rename("power").reset_index()
    table = true.rename(columns={"closest": "closest_approach"}).merge(power, on=key, how="left", validate="one_to_one")
    table = table.merge(planted, on=key, how="left", validate="one_to_one")
    return table.rename(columns={"case": "statement"})


def constructed(measures: pd.DataFrame) -> pd.DataFrame:
    """Constructed minima by construction, inputs, depth and prescribed sharpness.

    Returns:
        Columns start (how it was constructed), inputs, depth, prescribed_excess (prescribed sharpness ratio - 1),
        minima (how many), certificate_gap (the largest, relative to the minimal sharpness), and median and 5-95 %
        interval of the sharpness ratio.

    Raises:
        UserError: if there is none.
    """
    rows = _measured(selection.constructed(measures), "constructed minimum")
    rows = rows.assign(prescribed_excess=rows.pop("setting") - 1)
    by = ["start", "inputs", "depth", "prescribed_excess"]
    groups = rows.groupby(by, dropna=False)
    table = groups.agg(minima=("seed", "size"), certificate_gap=("certificate_gap", "max")).reset_index()
    return table.merge(_ratios(rows, by), on=by, validate="one_to_one")


def convergence(measures: pd.DataFrame) -> pd.DataFrame:
    """Training runs by start, map, inputs, depth and step.

    Returns:
        Columns start, map, inputs, depth, setting (the step size in units of 2 / minimal sharpness; none for gradient
        flow), runs, diverged and reached (how many), and median and 5-95 % interval of the sharpness ratio of runs at
        a minimum.

    Raises:
        UserError: if there is no run.
    """
    rows = _measured(selection.runs(measures), "training run")
    by = ["start", "map", "inputs", "depth", "setting"]
    groups = rows.groupby(by, dropna=False)
    counts = groups.agg(runs=("seed", "size"), diverged=("diverged", "sum"), reached=("reached", "sum"))
    return counts.reset_index().merge(_ratios(rows, by), on=by, validate="one_to_one")


def _ratios(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return frames.quantiles(rows, by, "sharpness_ratio").rename(columns=PARTS)


def _measured(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    if rows.empty:
        raise UserError(f"the measures hold no {what}; run a study of kind theory first")
    return rows
