"""Tables of a rescaling study: orbits, and what every theorem says about trained networks."""

from typing import NamedTuple

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures import frames
from flatminima.figures.rescaling import selection

KINDS = {("orbit_layers", ""): "layers", ("orbit_units", ""): "units"}
SPREADS = ["gauss_newton_sharpness", "orbit_minimum", "orbit_ratio", "least_trace", "test_error"]
SINGLE = {"orbit_gap": "max", "orbit_change": "max", "products": "median"}
SHAPE = ["family", "depth"]
BY = ["kind", *SHAPE]
WORDS = ["theorem", "measured", "expected"]


Rule = tuple[str, str]
ANY: Rule = ("max", "max")
"""Rule for what should vanish: the largest value over settings stands for a network, the largest is worst."""
ALL: Rule = ("min", "min")
"""Rule for what should be large at every setting: the smallest over settings, the smallest is worst."""
LAST: Rule = ("last", "min")
"""Rule for what should be large at the largest setting: its value there, the smallest is worst."""


class Statement(NamedTuple):
    """Statement of a theorem about a statistic of trained networks.

    Attributes:
        theorem: its name in theory.
        measured: the statistic in words.
        expected: its value by theory, in words.
        case: where it was measured.
        statistic: its name.
        control: the control on which the theorem must fail.
        rule: how values over settings, and then over networks, are summarised.
        over: a statistic to divide by.
    """

    theorem: str
    measured: str
    expected: str
    case: str
    statistic: str
    control: str
    rule: Rule = ANY
    over: str | None = None


STATEMENTS = [
    Statement("D1", "change of outputs, layers rescaled", "0", "random_layers", "function_change", "tanh"),
    Statement("D1", "change of outputs, units rescaled", "0", "random_units", "function_change", "tanh"),
    Statement("D2", "share of networks whose boxes meet", "0", "boxes", "meeting_boxes", "touching"),
    Statement("D2", "change of loss in images of a box", "0", "boxes", "image_loss_change", "tanh"),
    Statement("D2", "log volume, image over box", "at least 0", "boxes", "log_volume_step", "reversed", ALL),
    Statement("D2", "area (two weights), error of closed form", "0", "area", "area_error", "tanh"),
    Statement("D2", "area (two weights), growth with its range", "above 1", "area", "area_growth", "tanh", ALL),
    Statement("D3", "error of gradients", "0", "two_layers", "gradient_error", "tanh"),
    Statement("D3", "error of Hessian products", "0", "two_layers", "hessian_error", "tanh"),
    Statement("D4", "growth of sharpness, largest α", "unbounded", "two_layers", "sharpness_growth", "tanh", LAST),
    Statement("D4", "growth of the trace, largest α", "unbounded", "two_layers", "trace_growth", "tanh", LAST),
    Statement("D4", "change of test error", "0", "two_layers", "test_error_change", "tanh"),
    Statement(
        *("D5", "eigenvalues raised / promised", "at least 1", "many_directions", "large_eigenvalues", "other_layer"),
        *(ALL, "promised_eigenvalues"),
    ),
    Statement("D5", "error of the law, all eigenvalues", "0", "many_directions", "spectrum_error", "kept_biases"),
    Statement(
        *("D6", "sharpness in balls / best constant", "at least 1", "balls", "epsilon_sharpness", "trained"),
        *(ALL, "constant_sharpness"),
    ),
    Statement("D7", "error of law, radial coordinates", "0", "radial", "curvature_error", "rotated"),
    Statement("D7", "error of law, weight normalisation", "0", "weight_normalised", "curvature_error", "rotated"),
    Statement("D7", "change of outputs, radial coordinates", "0", "radial", "function_change", "multiplied"),
    Statement("B1", "change of minimum over layers", "0", "orbit_layers", "orbit_change", "split"),
    Statement("B1", "change of minimum over units", "0", "orbit_units", "orbit_change", "split"),
    Statement("B1", "minimum / least of all linear networks", "1", "orbit_linear", "orbit_ratio", "mixed"),
    Statement("B1", "error of the least trace's closed form", "0", "orbit_linear", "trace_error", "unminimised"),
]


def orbits(measures: pd.DataFrame) -> pd.DataFrame:
    """Trained networks and the flattest of their rescalings, by kind of rescaling, family and depth.

    Returns:
        Columns kind, family, depth, networks and diverged (how many; those that did not learn count as diverged);
        median and 5-95 % interval of gauss_newton_sharpness, orbit_minimum, orbit_ratio, least_trace and test_error;
        and orbit_gap and orbit_change (the largest) and products (the median).

    Raises:
        UserError: if no orbit was minimised.
    """
    kinds = selection.both_families(KINDS)
    statistics = ["diverged", *SPREADS, *SINGLE]
    rows = selection.networks(measures, kinds, statistics)
    groups = rows.groupby(BY)
    table = groups.agg(networks=("seed", "size"), diverged=("diverged", "sum")).astype(int).reset_index()
    for name in SPREADS:
        parts = {part: f"{name}_{part}" for part in ("median", "low", "high")}
        table = table.merge(frames.quantiles(rows, BY, name).rename(columns=parts), on=BY, validate="one_to_one")
    table = table.merge(groups.agg(SINGLE).reset_index(), on=BY, validate="one_to_one")
    return table.sort_values(BY, ascending=[True, False, True], ignore_index=True)


def theorems(measures: pd.DataFrame) -> pd.DataFrame:
    """Every statement on every shape of networks.

    Returns:
        Columns theorem, measured, expected, family, depth, networks (how many), worst (over networks) and control_best
        (over networks of the control; NaN where they were not measured).

    Raises:
        UserError: if there is none.
    """
    tables = [_summary(measures, statement) for statement in STATEMENTS]
    shown = [table for table in tables if not table.empty]
    if not shown:
        raise UserError("the measures hold no theorem; run a study of kind rescaling first")
    return pd.concat(shown, ignore_index=True)


def _summary(measures: pd.DataFrame, statement: Statement) -> pd.DataFrame:
    """The worst network of each shape, and the best of the control; fully connected networks first."""
    worst = statement.rule[1]
    best = {"max": "min", "min": "max"}[worst]
    table = _values(measures, statement, "").groupby(SHAPE).agg(networks="size", worst=worst)
    table["control_best"] = _values(measures, statement, statement.control).groupby(SHAPE).agg(best)
    words = dict(zip(WORDS, statement, strict=False))
    columns = [*WORDS, *SHAPE, "networks", "worst", "control_best"]
    shown: pd.DataFrame = table.assign(**words).reset_index()[columns].sort_values(SHAPE, ascending=[False, True])
    return shown


def _values(measures: pd.DataFrame, statement: Statement, control: str) -> pd.Series:
    """One value per network, over KEY."""
    cases = [case for case, _ in selection.both_families({(statement.case, ""): ""})]
    statistics = [statement.statistic, *([statement.over] if statement.over else [])]
    rows = measures[(measures["layer"] == 0) & measures["case"].isin(cases) & (measures["control"] == control)]
    table = frames.pivot(rows, statistics, [*selection.KEY, "setting"]).dropna(subset=statistics)
    table = table.sort_values("setting")
    values = table[statement.statistic] / (table[statement.over] if statement.over else 1)
    return values.groupby([table[key] for key in selection.KEY]).agg(statement.rule[0])
