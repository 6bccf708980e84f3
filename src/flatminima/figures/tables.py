"""Tables of a study, each of them as CSV, HTML and LaTeX."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from flatminima.config import nearest
from flatminima.errors import UserError
from flatminima.figures import selection, theory_tables
from flatminima.provenance.files import atomic_path
from flatminima.provenance.tables import read_table

HEADINGS = {
    "experiment": "Experiment",
    "task": "Task",
    "depth": "Depth",
    "step_size": "Step size",
    "step_fraction": "Configured step",
    "networks": "Networks",
    "diverged": "Diverged",
    "sharpness": "Sharpness",
    "sharpness_ratio": "Relative to minimum",
    "excess_loss": "Excess loss",
    "loss": "Loss",
    "path_gain": "Path gain",
    "product_norm": "Largest gain",
    "path_cosine": "Path cosine",
    "path_residual": "Path residual",
    "singular_overlap": "Singular overlap",
    "residual": "Relative residual",
    "sharpness_curvlinops": "curvlinops",
    "curvlinops_difference": "Difference (curvlinops)",
    "sharpness_pyhessian": "PyHessian",
    "pyhessian_difference": "Difference (PyHessian)",
    "statement": "Statement",
    "condition": "Condition",
    "attempts": "Attempts",
    "violations": "Violations",
    "closest_approach": "Closest approach",
    "planted_violations": "Violations of control",
    "construction": "Construction",
    "inputs": "Inputs",
    "prescribed_excess": "Prescribed excess",
    "minima": "Minima",
    "certificate_gap": "Certificate gap",
    "start": "Start",
    "map": "Map",
    "step": "Step",
    "runs": "Runs",
    "reached": "At a minimum",
}
PEERS = ("curvlinops", "pyhessian")
INTERVAL = ("median", "low", "high")


def summarise(measures: pd.DataFrame, statistics: Sequence[str]) -> pd.DataFrame:
    """Final networks by experiment, depth and step size; statistics of layers are those of the worst layer.

    Args:
        measures: the long table measures.parquet.
        statistics: names of WHOLE or BADNESS of flatminima.figures.selection.

    Returns:
        Columns experiment, task, depth, step_size, step_fraction, networks (all of them), diverged (how many), and for
        each statistic its median and 5-95 % interval over the networks that did not diverge:
        <statistic>_median, _low, _high.

    Raises:
        UserError: if no network was measured at the end of training.
    """
    rows = selection.final(selection.networks(measures))
    if rows.empty:
        raise UserError("the measures hold no network at the end of training; run the study's experiments first")
    by = ["experiment", "task", "depth", "step_size", "step_fraction"]
    groups = rows.groupby(by, dropna=False)
    table = groups.agg(networks=("seed", "size"), diverged=("diverged", "sum")).reset_index()
    for statistic in statistics:
        spread = selection.quantiles(rows, by, statistic)
        table = table.merge(spread.rename(columns={part: f"{statistic}_{part}" for part in INTERVAL}), on=by)
    return table


Table = Callable[[pd.DataFrame], pd.DataFrame]


def crosscheck(measures: pd.DataFrame) -> pd.DataFrame:
    """Sharpness of some networks by our engine and by other libraries.

    Returns:
        Columns experiment, task, depth, step_size, step_fraction, seed, sharpness, residual (relative), and for each of
        PEERS the value and its difference from ours, relative.

    Raises:
        UserError: if no network was checked.
    """
    key = ["experiment", "task", "depth", "step_size", "step_fraction", "seed"]
    rows = measures[measures["final"]]
    ours = rows.loc[rows["statistic"] == "sharpness", [*key, "value", "error_bound"]]
    checked = selection.pivot(rows, [f"sharpness_{peer}" for peer in PEERS], key)
    table = ours.merge(checked, on=key, validate="one_to_one").rename(columns={"value": "sharpness"})
    table["residual"] = table.pop("error_bound") / table["sharpness"]
    for peer in PEERS:
        table[f"{peer}_difference"] = (table[f"sharpness_{peer}"] / table["sharpness"] - 1).abs()
    if table.empty:
        raise UserError("the measures hold no network checked by other libraries; run the study's crosscheck first")
    return table[[*key, *(column for column in HEADINGS if column in table and column not in key)]]


TRAINING: dict[str, Table] = {
    "sharpness": partial(summarise, statistics=("sharpness", "sharpness_ratio", "excess_loss", "loss")),
    "balance": partial(summarise, statistics=("path_gain", "product_norm")),
    "coupling": partial(summarise, statistics=("path_cosine", "path_residual", "singular_overlap")),
    "crosscheck": crosscheck,
}
THEORY: dict[str, Table] = {
    "falsification": theory_tables.falsification,
    "constructed": theory_tables.constructed,
    "convergence": theory_tables.convergence,
}
TABLES = TRAINING | THEORY


def render_table(name: str, measures_path: Path, output: Path) -> None:
    """Write a table as CSV in full precision, and rounded as an HTML fragment and a LaTeX longtable (booktabs).

    Args:
        name: a key of TABLES.
        measures_path: measures.parquet of a study.
        output: the files' path without suffix.

    Raises:
        UserError: if the table or the measures are unknown or empty.
    """
    if name not in TABLES:
        raise UserError(f"table {name!r} is not known: {nearest(name, TABLES)}")
    table = TABLES[name](read_table(measures_path))
    shown = readable(table)
    texts = {
        "csv": table.to_csv(index=False, lineterminator="\n"),
        "html": shown.to_html(index=False, border=0, justify="right", classes=["measures", f"measures-{name}"]),
        "tex": shown.style.hide(axis="index")
        .format(escape="latex")
        .format_index(escape="latex", axis="columns")
        .to_latex(hrules=True, environment="longtable", column_format="ll" + "r" * (shown.shape[1] - 2)),
    }
    for suffix, text in texts.items():
        with atomic_path(output.with_name(f"{output.name}.{suffix}")) as temporary:
            temporary.write_text(text, encoding="utf-8")


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table for people: four significant digits, a median and its interval in one cell, a dash for no value."""
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        statistic, _, part = column.rpartition("_")
        if part == "median" and statistic in HEADINGS:
            low, high = table[f"{statistic}_low"], table[f"{statistic}_high"]
            shown[HEADINGS[statistic]] = [_cell(*values) for values in zip(table[column], low, high, strict=True)]
        elif column in HEADINGS:
            shown[HEADINGS[column]] = table[column].map(_number)
    return shown


def _cell(median: float, low: float, high: float) -> str:
    text, *interval = map(_number, (median, low, high))
    return text if interval == [text, text] else f"{text} [{', '.join(interval)}]"


def _number(value: object) -> str:
    if isinstance(value, float):
        return "–" if pd.isna(value) else f"{value:.4g}"
    return str(value)
