"""Counts of solutions a few flips from those that solvers find, against typical and planted ones (P6)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.labels import n_of
from flatminima.figures.perceptron import attempts, selection, success

FEWEST = 5
"""Solutions from which on a median is drawn as a filled marker: as many as a verdict takes."""
GROUP = ["solver", "size", "alpha", "flips"]
TYPICAL: dict[str, Any] = {"lw": 1.3, "ls": style.DOTTED, "zorder": 1}
ABOVE = 3.0
"""Room for the label of one size above the counts, as a factor."""
PLANTED: dict[str, Any] = {"lw": 1.0, "ls": style.DASHED, "zorder": 1}
EVENTS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "half_solved": ("instances are solved", 0.15, {"color": style.BLUE, "marker": "o"}),
    "half_near": ("solutions have a neighbour", -0.15, {"color": style.VERMILION, "marker": "D"}),
}
"""Those of `success`: label, place and look."""


@style.styled
def neighbours(measures: pd.DataFrame, _curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Counts at one flip by size and by solver, at two and three flips, and where they and the solvers end.

    Returns:
        The figure, and its points: panel, solver (`planted` too), size, alpha, flips, median, low and high (quartiles),
        expected (around typical solutions) and solutions (how many); of loads, those of `success.halves`.

    Raises:
        EmptyFigureError: if no instance was solved, or none planted.
    """
    rows, ends = medians(measures, claimed), success.halves(success.counts(measures))
    solver = followed(rows)
    largest = rows["size"] == rows.loc[rows["solver"] == solver, "size"].max()
    both, one = rows["solver"].isin([solver, attempts.PLANTED]), rows["flips"] == 1
    shown = {
        "a": rows[both & one],
        "b": of_all_solvers(rows),
        "c": rows[both & largest & ~one],
        "d": ends[ends["solver"] == solver],
    }
    page = style.figure(6.8, message(claimed), style.NARROW)
    axes = list(page.subplots(2, 2).flat)
    for panel, draw_, table in zip(axes, (_by_size, _by_solver, _further, _ends), shown.values(), strict=True):
        draw_(panel, table)
        panel.set_xlabel(selection.ALPHA)
    style.legend_below(page, [axes[1]], columns=3)
    tables = [table.assign(panel=name) for name, table in shown.items()]
    return page, pd.concat(tables, ignore_index=True)


def medians(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """Median and quartiles of counts around the solutions that claim P6 takes, and around planted ones.

    Returns:
        Columns GROUP, median, low, high, expected and solutions.

    Raises:
        EmptyFigureError: if no instance was solved, or none planted.
    """
    rows = attempts.neighbours(measures)
    asked = attempts.claimed_attempts(claimed, "P6", "log_neighbours")
    planted = rows["solver"] == attempts.PLANTED
    found = rows[~planted].merge(asked, on=attempts.INSTANCE, validate="many_to_one")
    groups = pd.concat([found, rows[planted]]).groupby(GROUP)
    counts = groups["neighbours"]
    table = pd.DataFrame({"median": counts.median(), "low": counts.quantile(0.25), "high": counts.quantile(0.75)})
    return table.assign(expected=groups["expected_neighbours"].mean(), solutions=counts.size()).reset_index()


def of_all_solvers(rows: pd.DataFrame) -> pd.DataFrame:
    """Counts at one flip, of the size that most solvers have."""
    rows = rows[rows["flips"] == 1]
    return rows[rows["size"] == attempts.common_size(rows[rows["solver"] != attempts.PLANTED])]


def followed(rows: pd.DataFrame) -> str:
    """The solver with the most sizes, the first in the order of SOLVERS of several."""
    sizes = rows.groupby("solver")["size"].nunique()
    return max((name for name in attempts.SOLVERS if name in sizes), key=lambda name: sizes[name])


def message(claimed: Claimed) -> str:
    """The figure's one message: whether solutions found have more others nearby than planted ones."""
    cases = attempts.tally(claimed, "P6", 0).words
    return f"Around solutions that solvers find, more others lie within three flips than around planted ones {cases}"


def scale(panel: Axes, top: float) -> None:
    """A vertical axis of counts: logarithmic from one up, with room for none and for means below one."""
    panel.axhspan(0, 1, color="0.93", lw=0, zorder=-2)
    panel.set_yscale("symlog", linthresh=1, linscale=0.6)
    powers = 10.0 ** np.arange(0, np.ceil(np.log10(max(top, 10))) + 1)
    panel.yaxis.set_major_locator(FixedLocator([0, *powers[:: 1 if len(powers) < 6 else 2]]))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _in_words(value)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(-0.08, 5 * max(top, 10))


def draw(panel: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw medians and quartiles over solutions, hollow where these are fewer than FEWEST."""
    rows = rows.sort_values("alpha")
    panel.vlines(rows["alpha"], rows["low"], rows["high"], color=look["color"], lw=2.5, alpha=0.3)
    panel.plot(rows["alpha"], rows["median"], **look | {"marker": ""})
    few = rows["solutions"] < FEWEST
    for part, fill in ((rows[~few], look["color"]), (rows[few], "white")):
        panel.plot(part["alpha"], part["median"], **look | {"ls": "", "mfc": fill})


def _in_words(value: float) -> str:
    if value > 10:
        return style.scientific(value)
    return "none" if value == 0 else f"{value:g}"


def _by_size(panel: Axes, rows: pd.DataFrame) -> None:
    found, planted = _apart(rows)
    shades = style.shades(found["size"].unique())
    scale(panel, found["high"].max() * ABOVE ** len(shades))
    for place, ((size, look), marker) in enumerate(zip(shades, "osD^", strict=False)):
        line = found[found["size"] == size].sort_values("alpha")
        draw(panel, line, look | {"marker": marker})
        height = 0.97 - 0.07 * (len(shades) - 1 - place)
        panel.text(
            0.97, height, f"N = {size:.0f}", transform=panel.transAxes, ha="right", va="top", color=look["color"]
        )
    largest = planted[planted["size"] == found["size"].max()]
    references(panel, largest, "0.3")
    panel.plot([], [], color="0.3", label="planted, counted", **PLANTED)
    panel.plot([], [], color="0.3", label="typical, expected", **TYPICAL)
    panel.legend(loc="lower left", bbox_to_anchor=(0, 0.12), handlelength=2, borderaxespad=0)
    label(panel, float(np.unique(rows["alpha"])[1]), 1, "fewer than one", below=True)
    solver = attempts.SOLVERS[found["solver"].iloc[0]].label
    panel.set(ylabel="solutions at one flip", title=f"a   {solver}, {n_of(found['solutions'], 'solution')}")


def draw_solvers(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw medians around the solutions of each solver, and around planted and typical ones."""
    found, planted = _apart(rows)
    scale(panel, found["high"].max())
    for name, (words, look) in attempts.SOLVERS.items():
        line = found[found["solver"] == name].sort_values("alpha")
        if len(line):
            panel.plot(line["alpha"], line["median"], label=words, **look)
    references(panel, planted, "0.3")


def _by_solver(panel: Axes, rows: pd.DataFrame) -> None:
    draw_solvers(panel, rows)
    panel.set(title=f"b   all solvers, N = {rows['size'].iloc[0]:.0f}")


def _further(panel: Axes, rows: pd.DataFrame) -> None:
    found, planted = _apart(rows)
    scale(panel, found["high"].max())
    for flips, colour in ((2, style.BLUE), (3, style.GREEN)):
        line = found[found["flips"] == flips].sort_values("alpha")
        draw(panel, line, {"color": colour, "marker": "os"[flips - 2]})
        label(panel, line["alpha"].iloc[1], line["high"].iloc[1], f"{flips} flips", colour=colour)
        references(panel, planted[planted["flips"] == flips], colour)
    panel.set(ylabel="solutions at these flips", title=f"c   two and three flips, N = {rows['size'].iloc[0]:.0f}")


def references(panel: Axes, planted: pd.DataFrame, colour: Any) -> None:
    """Draw medians around planted solutions, and what is expected around typical ones."""
    rows = planted.sort_values("alpha")
    panel.plot(rows["alpha"], rows["median"], color=colour, **PLANTED)
    panel.plot(rows["alpha"], rows["expected"], color=colour, **TYPICAL)


def _ends(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw the loads of `success.EVENTS` with their intervals, a line for each size."""
    ordered = rows.sort_values("size", ignore_index=True)
    for event, (words, shift, look) in EVENTS.items():
        value, low, high = (ordered[f"{event}_{end}"].replace([-np.inf, np.inf], np.nan) for end in success.ENDS)
        panel.hlines(ordered.index + shift, low, high, color=look["color"], lw=1.6)
        panel.plot(value, ordered.index + shift, ls="", **look)
        label(panel, low.iloc[-1], len(ordered) - 1 + shift, words, below=shift < 0, colour=look["color"])
    panel.set_yticks(ordered.index, [f"N = {size:.0f}" for size in ordered["size"]])
    panel.margins(x=0.3)
    panel.locator_params(axis="x", nbins=4)
    panel.set(ylim=(-0.6, len(ordered) - 0.3), title="d   loads at which half of the ...")


def label(panel: Axes, x: float, y: float, text: str, *, below: bool = False, colour: Any = "0.3") -> None:
    """Write something above or below a point, from there to the right."""
    look = {"va": "top" if below else "bottom", "color": colour}
    panel.annotate(text, (x, y), (0, -3 if below else 3), textcoords="offset points", **look)


def _apart(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    planted = rows["solver"] == attempts.PLANTED
    return rows[~planted], rows[planted]
