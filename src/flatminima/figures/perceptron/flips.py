"""Errors of solvers' solutions after random flips of weights, and their surroundings (P6; theory.md 3.4)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from flatminima.claims.intervals import mean_interval
from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import attempts, local_entropy, selection

FLIPPED = r"share $d$ of weights flipped"
EXCESS = "local entropy less that around\nmargin 0 (nats per weight)"
TYPICAL: dict[str, Any] = {"color": "black", "lw": 1.1, "zorder": 0}
GROUP = ["solver", "size", "alpha", "distance"]


@style.styled
def flips(measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Errors after flips relative to typical solutions', and excess of local entropy, of solutions found.

    Returns:
        The figure, and its points: panel, solver (`theory` for typical solutions), margin (theory's), size, alpha,
        distance, value (a mean), solutions (how many), and of errors low and high, the 95 % interval of the mean.

    Raises:
        EmptyFigureError: if no instance was solved, or there are no curves of theory.
    """
    rows = attempts.surroundings(measures)
    load = selection.chosen_load(measures)
    errors, excess = ratios(rows, claimed, load), excesses(rows, curves, load)
    page = style.figure(4.4, message(claimed), style.NARROW)
    left, right = axes = page.subplots(1, 2)
    left.axhline(1, **TYPICAL)
    left.annotate("typical solutions", (errors["distance"].max(), 1), (0, 3), textcoords="offset points", ha="right")
    _draw_theory(right, excess)
    for panel, shown in ((left, errors), (right, excess)):
        draw(panel, shown)
    left.set(xlabel=FLIPPED, ylabel="errors / those of typical solutions", ylim=(0, None), title=_where(errors))
    right.set(xlabel=selection.DISTANCE, ylabel=EXCESS, title=_where(excess))
    style.legend_below(page, list(axes), columns=3)
    panels = {"flip error ratio": errors, "local entropy excess": excess}
    return page, pd.concat([rows.assign(panel=name) for name, rows in panels.items()], ignore_index=True)


def ratios(rows: pd.DataFrame, claimed: Claimed, load: float) -> pd.DataFrame:
    """Errors after flips over theory's for typical solutions of as many weights, of the solutions that claim P6 takes.

    Args:
        rows: of `attempts.surroundings`.
        claimed: what claims select.
        load: the nearest alpha that was solved, and the size that most solvers have there, are taken.

    Returns:
        Columns GROUP, value (the mean over solutions), low and high (Student's interval) and solutions.

    Raises:
        EmptyFigureError: if no instance was solved.
    """
    asked = attempts.claimed_attempts(claimed, "P6", "flip_error_ratio")
    found = rows.merge(asked, on=attempts.INSTANCE).dropna(subset=["flip_error_ratio"])
    found = _at(selection.present(found, "errors after flips of a solution"), load)
    table = []
    for key, values in found.groupby(GROUP)["flip_error_ratio"]:
        ends = mean_interval(values.to_numpy())._asdict() if len(values) > 1 else {"value": values.iloc[0]}
        table.append(dict(zip(GROUP, key, strict=True)) | ends | {"solutions": len(values)})
    return pd.DataFrame(table)


def excesses(rows: pd.DataFrame, curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Local entropy less theory's around margin zero: of solutions found (means), and theory's at the highest margin.

    Returns:
        Columns solver, margin, size, alpha, distance, value and solutions.

    Raises:
        EmptyFigureError: if there are none.
    """
    rows = selection.present(rows.dropna(subset=["local_entropy_excess"]), "local entropy of a solution")
    rows = _at(rows, load)
    found = rows.groupby(GROUP)["local_entropy_excess"].agg(value="mean", solutions="size").reset_index()
    theory = lead(curves, rows["distance"].max()).assign(solver="theory", alpha=load)
    return pd.concat([theory, found], ignore_index=True)


def lead(curves: pd.DataFrame, farthest: float) -> pd.DataFrame:
    """Theory's local entropy around the highest margin less that around the lowest, up to a distance or just beyond.

    Returns:
        Columns margin, distance and value.

    Raises:
        EmptyFigureError: if local entropies were not computed.
    """
    rows = local_entropy.surroundings(curves)
    heights = rows.pivot(index="distance", columns="margin", values="local_entropy")  # noqa: PD010
    zero, highest = heights.columns.min(), heights.columns.max()
    value = (heights[highest] - heights[zero]).dropna().rename("value").reset_index()
    within = value["distance"].shift(fill_value=0.0) < farthest
    table = value[within].assign(margin=highest)[["margin", "distance", "value"]]
    return pd.concat([table.assign(margin=zero, value=0.0), table], ignore_index=True)


def message(claimed: Claimed) -> str:
    """The figure's one message: whether solutions found bear flips better than typical ones."""
    cases = attempts.tally(claimed, "P6", 1).words
    return f"After random flips of weights, solutions that solvers find make fewer errors than typical ones {cases}"


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw a line for each solver, with intervals where they are known."""
    for name, (label, look) in attempts.SOLVERS.items():
        line = rows[rows["solver"] == name]
        if len(line):
            panel.plot(line["distance"], line["value"], label=label, **look)
            if "low" in line:
                panel.vlines(line["distance"], line["low"], line["high"], color=look["color"], lw=2.5, alpha=0.3)
    places = rows.loc[rows["solver"] != "theory", "distance"]
    panel.set(xscale="log", xlim=(places.min() / 1.3, places.max() * 1.3))
    panel.xaxis.set_major_locator(FixedLocator(places.unique().tolist()))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())


def _draw_theory(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw theory's lines for the lowest and highest margin."""
    theory = rows[rows["solver"] == "theory"].groupby("margin")
    for (margin, line), dash in zip(theory, ("-", style.DASHED), strict=True):
        panel.plot(line["distance"], line["value"], label=f"typical, margin {margin:.3g}", ls=dash, **TYPICAL)


def _at(rows: pd.DataFrame, load: float) -> pd.DataFrame:
    """The rows at the alpha nearest a load, of the size that most solvers have there."""
    rows = rows[rows["alpha"] == selection.nearest(rows["alpha"], load)]
    return rows[rows["size"] == attempts.common_size(rows)]


def _where(rows: pd.DataFrame) -> str:
    found = rows[rows["solver"] != "theory"]
    size, load = found["size"].iloc[0], selection.shown(found["alpha"].iloc[0])
    return f"N = {size:.0f}, {load}, n = {style.span(found['solutions'])}"
