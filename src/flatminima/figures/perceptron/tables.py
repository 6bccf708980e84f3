"""Tables of a perceptron study: thresholds, success and attempts of solvers, and theory against enumeration."""

import pandas as pd

from flatminima.figures import frames
from flatminima.figures.perceptron import attempts, enumeration, selection
from flatminima.figures.perceptron.success import loads

MARGINS = ["connected_margin", "monotone_margin", "maximal_margin"]
EVENTS = {
    "monotone_load": ("last monotone", ["monotone_margin", "maximal_margin"]),
    "connected_load": ("last without a gap", ["connected_margin", "maximal_margin"]),
}
SPREADS = ["iterations", "minimal_margin", *attempts.SURROUNDING]
TRUSTED = 2.0
"""Standard errors within which theory and enumeration count as in agreement."""


def thresholds(measures: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Distances and margins at which surroundings change, by alpha, with the alphas at which margins meet.

    Returns:
        Columns threshold (what ends at this alpha, empty for alphas of the configuration), alpha, isolation_distance,
        connected_margin, monotone_margin and maximal_margin, in ascending order of alpha.

    Raises:
        EmptyFigureError: if thresholds were not computed.
    """
    names = ["isolation_distance", *MARGINS]
    rows = selection.curves(curves, *names)
    table = rows.pivot(index="x", columns="curve", values="value").reindex(columns=names)  # noqa: PD010
    table = table.reset_index().rename(columns={"x": "alpha"})
    meetings = selection.curves(curves, *EVENTS).set_index("curve")
    events = [
        {"threshold": event, "alpha": meetings.loc[name, "x"]} | dict.fromkeys(margins, meetings.loc[name, "value"])
        for name, (event, margins) in EVENTS.items()
    ]
    end = selection.thresholds(measures)["capacity"]
    events.append({"threshold": "capacity", "alpha": end, "maximal_margin": 0.0})
    table = pd.concat([table, pd.DataFrame(events)], ignore_index=True).fillna({"threshold": ""})
    return table.sort_values("alpha", ignore_index=True)[["threshold", "alpha", *names]].rename_axis(columns=None)


def success(measures: pd.DataFrame, _curves: pd.DataFrame) -> pd.DataFrame:
    """Loads at which solvers fail, and at which solutions lose their last neighbours: rows and columns of `loads`.

    Raises:
        EmptyFigureError: if there was no attempt, no instance was solved, or thresholds were not computed.
    """
    return loads(measures)


def solvers(measures: pd.DataFrame, _curves: pd.DataFrame) -> pd.DataFrame:
    """Attempts by solver, size and alpha, and what surrounds the solutions found at the middle distance.

    Returns:
        Columns solver, size, alpha, instances and solved (how many), distance, and median and 5-95 % interval over
        solved instances of iterations, minimal_margin, flip_error_ratio and local_entropy_excess, the last two at the
        distance and NaN where not measured.

    Raises:
        EmptyFigureError: if there was no attempt, or no instance was solved.
    """
    by = ["solver", "size", "alpha"]
    rows = attempts.attempts(measures)
    table = rows.groupby(by).agg(instances=("seed", "size"), solved=("solved", "sum")).reset_index()
    around = attempts.surroundings(measures)
    middle = selection.middle(around["distance"])
    rows = rows.merge(around[around["distance"] == middle], on=[*by, "seed"], validate="one_to_one")
    rows[SPREADS] = rows[SPREADS].where(rows["solved"])
    for name in SPREADS:
        parts = {part: f"{name}_{part}" for part in ("median", "low", "high")}
        spread = frames.quantiles(rows, by, name).rename(columns=parts)
        table = table.merge(spread, on=by, validate="one_to_one")
    table.insert(5, "distance", middle)
    order = {name: place for place, name in enumerate(attempts.SOLVERS)}
    table = table.sort_values(by, key=lambda column: column.map(order) if column.name == "solver" else column)
    return table.reset_index(drop=True)


def agreement(measures: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Enumeration against theory, by load and size.

    Returns:
        Columns size, alpha, entropy (enumerated), standard_error, theory, difference of entropies, local_error (the
        largest over distances), and local_share, of the distances at which local entropies agree within TRUSTED
        standard errors, known for the largest size alone.

    Raises:
        EmptyFigureError: if nothing was enumerated.
    """
    table = enumeration.compared(curves, "exact_entropy").rename(columns={"exact": "entropy"})
    table["difference"] = table["entropy"] - table["theory"]
    table = table.merge(_local_errors(measures), on=["size", "alpha"], validate="one_to_one")
    table["local_share"] = table["alpha"].map(_local_shares(curves)).where(table["size"] == table["size"].max())
    columns = ["size", "alpha", "entropy", "standard_error", "theory", "difference", "local_error", "local_share"]
    return table[columns].sort_values(["size", "alpha"], ignore_index=True)


def _local_errors(measures: pd.DataFrame) -> pd.DataFrame:
    """Column local_error, by size and alpha."""
    rows = measures[(measures["case"] == "enumerated") & (measures["control"] == "")]
    return frames.pivot(rows, ["local_error"], ["size", "alpha"])


def _local_shares(curves: pd.DataFrame) -> pd.Series:
    """Share of distances with local entropies within TRUSTED standard errors of theory, by alpha."""
    local = enumeration.compared(curves, "exact_local")
    within = (local["exact"] - local["theory"]).abs() <= TRUSTED * local["standard_error"]
    return within.groupby(local["alpha"]).mean()
