"""How solutions found by solvers bear random flips of their weights, and what surrounds them (theory.md 3.4)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import local_entropy, perceptron_selection, style
from flatminima.figures.claimed import Claimed

NAME = "flips"
FLIPPED = "share of weights flipped"
EXCESS = "local entropy less that around\nmargin 0 (nats per weight)"
TYPICAL: dict[str, Any] = {"color": "black", "lw": 1.1}
HIGHEST: dict[str, Any] = {"color": "black", "lw": 1.1, "ls": style.DASHED}


@style.styled
def flips(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Errors after flips, and excess of local entropy, of solutions found, against theory's for typical ones.

    Returns:
        The figure, and its points: panel, solver (`theory` for typical solutions), margin (theory's), alpha, distance
        and value.

    Raises:
        EmptyFigureError: if no instance was solved, or there are no curves of theory.
    """
    load = perceptron_selection.chosen_load(measures, NAME)
    errors = errors_after_flips(curves, load)
    excess = excesses(measures, curves, load)
    page = style.figure(4.3, message(errors, excess, ratios(measures, curves, load)))
    left, right = axes = page.subplots(1, 2)
    draw(left, errors)
    draw(right, excess)
    left.set(xlabel=FLIPPED, ylabel="share of patterns misclassified", title="Errors after random flips")
    right.set(xlabel=perceptron_selection.DISTANCE, ylabel=EXCESS, title="Solutions nearby (belief propagation)")
    style.legend_below(page, list(axes), columns=3)
    panels = {"flip error": errors, "local entropy excess": excess}
    return page, pd.concat([rows.assign(panel=name) for name, rows in panels.items()], ignore_index=True)


def errors_after_flips(curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Errors after random flips by theory at a load, and of the solutions found at the nearest alpha that was solved.

    Raises:
        EmptyFigureError: if there are none.
    """
    found = perceptron_selection.of_solvers(curves, NAME, "flip_error")
    found = found[found["alpha"] == perceptron_selection.nearest(found["alpha"], load)]
    theory = perceptron_selection.curves(curves, NAME, "flip_error").rename(columns={"x": "distance", "y": "margin"})
    theory = theory.assign(solver="theory", alpha=load).drop(columns=["curve", "error_bound"])
    return pd.concat([theory, found], ignore_index=True)[["solver", "margin", "alpha", "distance", "value"]]


def excesses(measures: pd.DataFrame, curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Local entropy less theory's around margin zero: of solutions found (means), and theory's at the highest margin.

    Returns:
        Columns solver, margin, alpha, distance, value, and local_entropy of solutions found.

    Raises:
        EmptyFigureError: if there are none.
    """
    rows = perceptron_selection.surroundings(measures, curves, NAME).dropna(subset=["local_entropy_excess"])
    rows = perceptron_selection.present(rows, NAME, "local entropy of a solution")
    rows = rows[rows["alpha"] == perceptron_selection.nearest(rows["alpha"], load)]
    groups = rows.groupby(["solver", "alpha", "distance"])["local_entropy_excess"]
    entropies = perceptron_selection.of_solvers(curves, NAME, "bp_entropy").rename(columns={"value": "local_entropy"})
    found = groups.mean().rename("value").reset_index().merge(entropies, on=["solver", "alpha", "distance"])
    theory = lead(curves, rows["distance"].max()).assign(solver="theory", alpha=load)
    return pd.concat([theory, found], ignore_index=True)


def ratios(measures: pd.DataFrame, curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Errors after flips over theory's for typical solutions at the same alpha, the one nearest a load that was solved.

    Returns:
        Columns solver, alpha, distance (the middle one that was measured) and flip_error_ratio (means over instances).

    Raises:
        EmptyFigureError: if no instance was solved.
    """
    rows = perceptron_selection.surroundings(measures, curves, NAME).dropna(subset=["flip_error_ratio"])
    rows = rows[rows["alpha"] == perceptron_selection.nearest(rows["alpha"], load)]
    rows = rows[rows["distance"] == perceptron_selection.middle(rows["distance"])]
    return rows.groupby(["solver", "alpha", "distance"])["flip_error_ratio"].mean().reset_index()


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


def message(errors: pd.DataFrame, excess: pd.DataFrame, ratio: pd.DataFrame) -> str:
    """The figure's one message: how solutions found compare with typical ones of margin zero at the same alpha."""
    found = errors[errors["solver"] != "theory"]
    gained, less = excess.loc[excess["solver"] != "theory", "value"], 100 * ratio["flip_error_ratio"]
    return (
        f"Solutions that {found['solver'].nunique()} solvers find at α = {found['alpha'].iloc[0]:g} make "
        f"{less.min():.0f}–{less.max():.0f} % of the errors of typical ones\nafter flips of "
        f"{100 * ratio['distance'].iloc[0]:g} % of the weights, and have {gained.min():.3f} to {gained.max():.3f} nats "
        "per weight more entropy around"
    )


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw theory's lines for the lowest and highest margin, and a line for each solver."""
    theory = [line for _, line in rows[rows["solver"] == "theory"].groupby("margin")]
    for line, look in zip(theory, (TYPICAL, HIGHEST), strict=True):
        label = f"theory, {perceptron_selection.shown(line['alpha'].iloc[0])}, margin {line['margin'].iloc[0]:.3g}"
        panel.plot(line["distance"], line["value"], label=label, zorder=3, **look)
    for name, (label, look) in perceptron_selection.SOLVERS.items():
        line = rows[rows["solver"] == name]
        if len(line):
            panel.plot(line["distance"], line["value"], label=label, markevery=max(1, len(line) // 6), **look)
    panel.margins(x=0.02)
