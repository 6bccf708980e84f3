"""How close searches come to minima that break what theory says of all of them (theory I2 to I5)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from flatminima.figures import style, theory_selection
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory_selection import CONTROL, STATEMENTS

COLUMNS = 3
LOOKS: dict[bool, tuple[str, dict[str, Any]]] = {
    False: ("closest approach", {"marker": "o", "color": style.BLUE}),
    True: ("control: false statement near it", {"marker": "^", "color": style.VERMILION, "mfc": "white"}),
}
BROKEN = "shaded: a violation"
TICKS = {-1: "−1", -1e-5: "−10⁻⁵", 0: "0", 1e-5: "10⁻⁵"}
DODGE = 0.18
APPROACH = "left side / right side − 1"


@style.styled
def attacks(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """The closest approach to a violation, a panel per statement and a line per condition.

    Returns:
        The figure, and its points: one row per statement, planted or not, and condition.

    Raises:
        EmptyFigureError: if there is no attempt to break a statement.
    """
    plotted = closest(measures)
    names = [name for name in STATEMENTS if (plotted["statement"] == name).any()]
    conditions = {name: name.replace("_", " ") for name in sorted(plotted["condition"].unique())}
    lines = -(-len(names) // COLUMNS)
    page = style.figure(1.0 + 2.3 * lines, message(plotted))
    axes = page.subplots(lines, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for panel in axes.flat[len(names) :]:
        panel.set_visible(False)
    for panel, name in zip(axes.flat, names, strict=False):
        draw(panel, plotted[plotted["statement"] == name], "condition", conditions)
        panel.set_title(STATEMENTS[name])
        panel.set_xlabel(APPROACH)
        panel.xaxis.set_tick_params(labelbottom=True)
    style.legend_below(page, list(axes.flat), columns=2, last=[BROKEN])
    return page, plotted


def closest(measures: pd.DataFrame) -> pd.DataFrame:
    """The searches by statement, planted or not, and condition.

    Raises:
        EmptyFigureError: if there is none.
    """
    return theory_selection.present(theory_selection.searches(measures), "attacks", "attempt to break a statement")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how many attempts broke true statements, and how many of the false ones broke."""
    true = plotted[~plotted["planted"] & (plotted["statement"] != CONTROL)]
    false, planted = plotted[~plotted["planted"] & (plotted["statement"] == CONTROL)], plotted[plotted["planted"]]
    broken, nearby = (f"{(rows['violations'] > 0).sum()} of {len(rows)}" for rows in (false, planted))
    return (
        f"{true['violations'].sum()} of {true['attempts'].sum():,} attempts break a statement of theory\n"
        f"(controls that break: I2 misapplied in {broken} conditions, false statements nearby in {nearby})"
    )


def draw(panel: Axes, rows: pd.DataFrame, by: str, names: dict[str, str]) -> None:
    """Draw the closest approach of every group of searches on a line of its own, violations in the shade.

    Args:
        panel: where to draw.
        rows: searches.
        by: the column whose values have a line each.
        names: the lines from top to bottom, and what they are called.
    """
    lines = {name: line for line, name in enumerate(names)}
    for planted, (label, look) in LOOKS.items():
        shown = rows[rows["planted"] == planted]
        panel.plot(shown["closest"], shown[by].map(lines) + (DODGE if planted else -DODGE), ls="", label=label, **look)
    panel.axvspan(-10, -theory_selection.ROUNDING, color="0.93", lw=0, zorder=0, label=BROKEN)
    panel.axvline(0, color="0.3", lw=1, ls=style.DASHDOT, zorder=0)
    panel.set_xscale("symlog", linthresh=theory_selection.ROUNDING)
    panel.set(xlim=(-5, 0.1), ylim=(len(names) - 0.5, -0.5), xticks=list(TICKS))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: TICKS.get(value, "")))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_yticks(range(len(names)), list(names.values()))
