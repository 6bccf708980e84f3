"""Writing the files of a table."""

import math
from pathlib import Path

import pandas as pd

from flatminima.files import atomic_path
from flatminima.statistics.catalogue import STATISTICS

LABELS = {
    "case": "Experiment",
    "control": "Control",
    "task": "Task",
    "depth": "Depth",
    "step_size": "Step size",
    "setting": "Configured step",
    "networks": "Networks",
    "residual": "Relative residual",
    "curvlinops_difference": "Difference (curvlinops)",
    "pyhessian_difference": "Difference (PyHessian)",
    "statement": "Statement",
    "condition": "Condition",
    "attempts": "Attempts",
    "violations": "Violations",
    "closest_approach": "Closest approach",
    "power": "From far to within 10 %",
    "planted_violations": "Violations of control",
    "inputs": "Inputs",
    "prescribed_excess": "Prescribed excess",
    "minima": "Minima",
    "certificate_gap": "Certificate gap",
    "start": "Start",
    "map": "Map",
    "step": "Step",
    "runs": "Runs",
    "reached": "At a minimum",
    "kind": "Rescaled",
    "family": "Family",
    "theorem": "Theorem",
    "measured": "Measured",
    "expected": "Expected",
    "worst": "Worst",
    "control_best": "Best of control",
    "threshold": "Threshold",
    "alpha": "Patterns per weight",
    "isolation_distance": "Isolation distance",
    "connected_margin": "No gap above margin",
    "monotone_margin": "Monotone above margin",
    "maximal_margin": "Maximal margin",
    "solver": "Solver",
    "instances": "Instances",
    "distance": "Distance",
    "size": "Weights",
    "entropy": "Entropy",
    "standard_error": "Standard error",
    "theory": "Theory",
    "choice": "Choice",
    "before": "From",
    "after": "To",
    "depths": "Depths",
    "step_sizes": "Configured steps",
    "least_gain": "Least path gain",
    "largest_gain": "Largest path gain",
    "flips": "Flips",
    "difference": "Difference",
    "local_share": "Local errors within two standard errors",
    "weights": "Weights",
    "half_solved": "Half solved at",
    "half_near": "Half have one at one flip at",
    "excluded": "Excluded",
    "open": "Not excluded",
}
"""Headings of columns that are no statistics, and of counts that have the name of one."""
HEADINGS = {name: one.heading for name, one in STATISTICS.items()} | LABELS
VERDICT = "verdict_"
"""Prefix of a claim's name, in columns with its verdict."""


def save(name: str, table: pd.DataFrame, output: Path) -> None:
    """Write a table as CSV in full precision, and rounded as an HTML fragment and a LaTeX longtable (booktabs).

    Args:
        name: what the table is called.
        table: its columns have names of HEADINGS, or such a name with _median, _low or _high, or begin with VERDICT;
            others are left to the CSV.
        output: the files' path without suffix.

    Raises:
        UserError: if a file cannot be written.
    """
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
        elif column.startswith(VERDICT):
            shown[column.removeprefix(VERDICT)] = table[column].map(_number)
    return shown


def _cell(median: float, low: float, high: float) -> str:
    """A value and its interval; of an interval with an open end, the other end."""
    text, *interval = map(_number, (median, low, high))
    if high == math.inf or low == -math.inf:
        return f"> {interval[0]}" if high == math.inf else f"< {interval[1]}"
    return text if interval == [text, text] else f"{text} [{', '.join(interval)}]"


def _number(value: object) -> str:
    if isinstance(value, float):
        return "–" if pd.isna(value) else f"{value:.4g}"
    return str(value)
