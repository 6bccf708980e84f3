"""The third paper in one picture: solutions of high margin are rare, lie in dense regions, and solvers land there."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import flips, local_entropy, perceptron_selection, style
from flatminima.figures.claimed import Claimed

NAME = "perceptron-overview"


@style.styled
def perceptron_overview(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Entropy against margin, local entropy around both ends of it, and its excess around solutions that solvers find.

    Returns:
        The figure, and its points: panel, alpha, solver (`theory` for typical solutions), margin, distance and value.

    Raises:
        EmptyFigureError: if there are no such curves, or no instance was solved.
    """
    load = perceptron_selection.chosen_load(measures, NAME)
    rare, dense = rarity(curves, load), surroundings(curves, load)
    found = flips.excesses(measures, curves, load)
    page = style.figure(3.3, message(rare, dense, found))
    axes = page.subplots(1, 3)
    _draw_rarity(axes[0], rare)
    _draw_surroundings(axes[1], dense)
    _draw_found(axes[2], found)
    style.legend_below(page, list(axes), columns=3)
    panels = {"a": rare, "b": dense, "c": found}
    return page, pd.concat([rows.assign(panel=name) for name, rows in panels.items()], ignore_index=True)


def rarity(curves: pd.DataFrame, load: float) -> pd.DataFrame:
    """Entropy by margin from zero up, at the alpha nearest a load.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = perceptron_selection.curves(curves, NAME, "entropy").rename(columns={"x": "margin", "y": "alpha"})
    rows = rows[rows["alpha"] == perceptron_selection.nearest(rows["alpha"], load)].sort_values("margin")
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


def message(rare: pd.DataFrame, dense: pd.DataFrame, found: pd.DataFrame) -> str:
    """The picture's one message: what surrounds solutions of high margin, and those of solvers, next to margin zero."""
    solved = found[found["solver"] != "theory"]
    solved = solved[solved["distance"] == perceptron_selection.middle(solved["distance"])]
    place = solved["distance"].iloc[0]
    zero, highest = (float(np.interp(place, line["distance"], line["value"])) for _, line in dense.groupby("margin"))
    times = solved["local_entropy"] / (solved["local_entropy"] - solved["value"])
    return (
        f"Solutions of margin {rare['margin'].max():.3f} are exponentially rarer than those of margin 0 (a), but have "
        f"{highest / zero:.1f} times\nthe local entropy at distance {place:g} (b); what {len(solved)} solvers find at "
        f"α = {solved['alpha'].iloc[0]:g} has {times.min():.1f} to {times.max():.1f} times (c)"
    )


def _draw_rarity(panel: Axes, rows: pd.DataFrame) -> None:
    panel.fill_between(rows["margin"], 0, rows["value"], color="0.92", lw=0)
    panel.plot(rows["margin"], rows["value"], color="black")
    for row, (label, look) in zip((rows.iloc[0], rows.iloc[-1]), _ends(rows), strict=True):
        panel.plot(row["margin"], row["value"], label=f"_{label}", clip_on=False, **look | {"ls": "", "marker": "o"})
    panel.set(xlabel=f"{perceptron_selection.MARGIN} (robustness)", ylabel=perceptron_selection.ENTROPY)
    panel.set(xlim=(0, None), ylim=(0, None))
    panel.set_title(f"a   how many, {perceptron_selection.shown(rows['alpha'].iloc[0])}")


def _draw_surroundings(panel: Axes, rows: pd.DataFrame) -> None:
    for (_, line), (label, look) in zip(rows.groupby("margin"), _ends(rows), strict=True):
        panel.plot(*local_entropy.smooth(line["distance"], line["value"]), label=label, **look)
    panel.axhline(0, color="black", lw=0.7)
    panel.set(xlabel=r"distance $d$", ylabel=perceptron_selection.LOCAL_ENTROPY, title="b   how many around one")


def _draw_found(panel: Axes, rows: pd.DataFrame) -> None:
    theory, found = rows[rows["solver"] == "theory"], rows[rows["solver"] != "theory"]
    for (_, line), (label, look) in zip(theory.groupby("margin"), _ends(theory), strict=True):
        panel.plot(line["distance"], line["value"], label=label, **look)
    spread = found.groupby("distance")["value"].agg(["min", "median", "max"]).reset_index()
    panel.vlines(spread["distance"], spread["min"], spread["max"], color="0.3", lw=4, alpha=0.35)
    panel.plot(spread["distance"], spread["median"], "D", color="0.2", label="found by solvers: median, range")
    panel.set(xlabel=r"distance $d$", ylabel=flips.EXCESS, title="c   around what solvers find")
    panel.set(xlim=(0, 1.05 * spread["distance"].max()))


def _ends(rows: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Labels and looks of margin zero and of the highest margin."""
    highest = f"margin {rows['margin'].max():.3f} (maximal)"
    return [("margin 0", {"color": style.VERMILION, "ls": style.DASHED}), (highest, {"color": style.BLUE})]
