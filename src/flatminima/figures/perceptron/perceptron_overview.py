"""The third paper in one picture: solutions of high margin are rare, lie in dense regions, and solvers land there."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import attempts, local_entropy, neighbours, selection


@style.styled
def perceptron_overview(measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Entropy against margin, local entropy around both ends of it, and counts of solutions around those found.

    Returns:
        The figure, and its points: panel, alpha, solver (`theory` for typical solutions), margin, distance and value;
        of counts the columns of `neighbours.medians`.

    Raises:
        EmptyFigureError: if there are no such curves, or no instance was solved.
    """
    load = selection.chosen_load(measures)
    rare, dense = rarity(curves, load), surroundings(curves, load)
    found = neighbours.of_all_solvers(neighbours.medians(measures, claimed))
    page = style.figure(6.0, message(rare, claimed), style.NARROW)
    axes = page.subplot_mosaic([["a", "b"], ["c", "c"]], height_ratios=[1, 1.1])
    _draw_rarity(axes["a"], rare)
    _draw_surroundings(axes["b"], dense)
    _draw_found(axes["c"], found)
    style.legend_below(page, [axes["c"]], columns=3)
    panels = {"a": rare, "b": dense, "c": found}
    return page, pd.concat([rows.assign(panel=name) for name, rows in panels.items()], ignore_index=True)


def rarity(curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Entropy by margin from zero up, at the alpha nearest a load.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.curves(curves, "entropy").rename(columns={"x": "margin", "y": "alpha"})
    rows = rows[rows["alpha"] == selection.nearest(rows["alpha"], load)].sort_values("margin")
    margins = np.append(0.0, rows.loc[rows["margin"] > 1e-9, "margin"])
    entropy = np.interp(margins, rows["margin"], rows["value"])
    return pd.DataFrame({"alpha": rows["alpha"].iloc[0], "solver": "theory", "margin": margins, "value": entropy})


def surroundings(curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Local entropy around the lowest and the highest margin.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = local_entropy.surroundings(curves).rename(columns={"local_entropy": "value"})
    rows = rows[rows["margin"].isin([rows["margin"].min(), rows["margin"].max()])]
    return rows.assign(alpha=load, solver="theory").drop(columns="all_weights")


def message(rare: pd.DataFrame, claimed: Claimed) -> str:
    """The picture's one message: how rare solutions of high margin are, how dense around, and where solvers land."""
    rarer = "rarer" if rare["value"].iloc[-1] < rare["value"].iloc[0] else "not rarer"
    order = attempts.tally(claimed, "P5", 0)
    denser = "denser" if 0 < order.held == order.decided else "not always denser"
    found = attempts.tally(claimed, "P6", 0).words
    return (
        f"Solutions of high margin are {rarer} (a) and lie in {denser} regions (b); "
        f"solutions that solvers find have more others nearby than planted ones {found} (c)"
    )


def _draw_rarity(panel: Axes, rows: pd.DataFrame) -> None:
    panel.fill_between(rows["margin"], 0, rows["value"], color="0.92", lw=0)
    panel.plot(rows["margin"], rows["value"], color="black")
    places = zip((0, -1), _ends(rows), ((6, 2), (-9, 3)), ("left", "right"), strict=True)
    for place, (words, look), shift, side in places:
        x, y = rows["margin"].iloc[place], rows["value"].iloc[place]
        panel.plot(x, y, clip_on=False, **look | {"ls": "", "marker": "o"})
        panel.annotate(words, (x, y), shift, textcoords="offset points", ha=side, color=look["color"])
    panel.set(xlabel=selection.MARGIN, ylabel=selection.ENTROPY)
    panel.set(xlim=(0, None), ylim=(0, None))
    panel.set_title(f"a   how many, {selection.shown(rows['alpha'].iloc[0])}")


def _draw_surroundings(panel: Axes, rows: pd.DataFrame) -> None:
    for (_, line), (words, look), height in zip(rows.groupby("margin"), _ends(rows), (0.3, 0.4), strict=True):
        panel.plot(*local_entropy.smooth(line["distance"], line["value"]), **look)
        panel.text(0.97, height, f"around {words}", transform=panel.transAxes, ha="right", color=look["color"])
    panel.axhline(0, color="black", lw=0.7)
    panel.set(xlabel=r"distance $d$", ylabel=selection.LOCAL_ENTROPY, title="b   how many around one")


def _draw_found(panel: Axes, rows: pd.DataFrame) -> None:
    neighbours.draw_solvers(panel, rows)
    place = rows.loc[rows["solver"] == attempts.PLANTED, "alpha"].sort_values().iloc[1]
    neighbours.label(panel, place, 0.35, "typical (dotted), planted (dashed)")
    size = rows["size"].iloc[0]
    panel.set(
        xlabel=selection.ALPHA,
        ylabel="others at one flip",
        title=f"c   around what solvers find, N = {size}",
    )


def _ends(rows: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Words and looks of margin zero and of the highest margin."""
    highest = f"margin {rows['margin'].max():.2f}"
    return [("margin 0", {"color": style.VERMILION, "ls": style.DASHED}), (highest, {"color": style.BLUE})]
