"""Success of solvers on random instances, by size, beside published estimates of where they must fail (P7)."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.claims.intervals import share_interval
from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.labels import n_of
from flatminima.figures.perceptron import attempts, selection, success

COLUMNS = 3
SOLID: dict[str, Any] = {"color": "0.45", "lw": 0.8, "zorder": 0}
BAND: dict[str, Any] = {"color": "0.85", "lw": 0, "zorder": -1}


@style.styled
def solvers(measures: pd.DataFrame, _curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Share of instances solved against alpha, a panel for each solver, the one that gets farthest first.

    Returns:
        The figure, and its points: solver, size, alpha, instances, solved, share, and low and high, the bounds of the
        share's 95 % interval (Clopper & Pearson).

    Raises:
        EmptyFigureError: if there was no attempt, no instance was solved, or thresholds were not computed.
    """
    counts = success.counts(measures)
    plotted, halves, known = shares(counts), success.halves(counts), success.estimates(measures)
    farthest = halves.assign(reach=halves["half_solved_median"].fillna(halves["half_solved_low"]))
    names = list(farthest.groupby("solver")["reach"].max().sort_values(ascending=False, kind="stable").index)
    lines = len(names) // COLUMNS + 1
    page = style.figure(0.8 + 1.9 * lines, message(plotted, claimed), style.NARROW)
    axes = list(page.subplots(lines, COLUMNS, sharex=True, sharey=True).flat)
    looks = sizes(plotted)
    for panel, name in zip(axes, names, strict=False):
        draw(panel, plotted[plotted["solver"] == name], halves[halves["solver"] == name], looks)
        mark(panel, known)
        panel.set_title(attempts.SOLVERS[name].label)
    for panel in axes[: len(names) : COLUMNS]:
        panel.set_ylabel("share solved")
    for place, panel in enumerate(axes[: len(names)]):
        if place + COLUMNS >= len(names):
            panel.set_xlabel(selection.ALPHA)
            panel.tick_params(labelbottom=True)
    _explain(axes[len(names)], known, plotted)
    for panel in axes[len(names) :]:
        panel.axis("off")
    first = axes[0]
    for size, look in looks.items():
        first.plot([], [], label=f"N = {size}", **look)
    first.plot([], [], color="black", lw=2, marker="D", mec="white", label="half solved, 95 % interval")
    style.legend_below(page, [first], columns=3)
    return page, plotted


def shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Share of instances solved by solver, size and alpha, with its confidence interval, from `success.counts`."""
    pairs = zip(counts["solved"], counts["instances"], strict=True)
    found = pd.DataFrame([share_interval(int(k), int(n)) for k, n in pairs])
    rows = counts[["solver", "size", "alpha", "instances", "solved"]]
    return rows.assign(share=found["value"], low=found["low"], high=found["high"])


def message(plotted: pd.DataFrame, claimed: Claimed) -> str:
    """The figure's one message: whether solvers fail beyond the overlap gap, and how far the best one gets."""
    solvers = plotted["solver"].nunique()
    beyond = attempts.tally(claimed, "P7", 0)
    if not beyond.decided:
        return f"Share of random instances that {solvers} solvers solve within their steps"
    extent = {beyond.decided: "every solver tested fails", 0: "no solver is seen to fail"}
    fails = extent.get(beyond.held, "some solvers, not all, are seen to fail")
    cases = [case for case in claimed.cases("P7") for f in case.findings if f.criterion == 1 and f.holds]
    below = "is not seen to solve most of them below it"
    if cases:
        below = f"still solves most of them up to α = {max(case.setting or 0.0 for case in cases):g}"
    return f"Within its steps {fails} on most instances beyond the overlap gap; reinforced BP {below}"


def sizes(plotted: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """The look of every size."""
    looks = style.shades(plotted["size"].unique())
    return {int(size): look | {"marker": marker} for (size, look), marker in zip(looks, "os^DvP", strict=False)}


def draw(panel: Axes, rows: pd.DataFrame, halves: pd.DataFrame, looks: dict[int, dict[str, Any]]) -> None:
    """Draw a solver's shares with their intervals, a line for each size, and where half of the instances are solved."""
    for size, look in looks.items():
        line = rows[rows["size"] == size]
        panel.vlines(line["alpha"], line["low"], line["high"], color=look["color"], alpha=0.35, lw=1.2, zorder=0)
        panel.plot(line["alpha"], line["share"], **look | {"ms": 3.5})
    left, right = rows["alpha"].min(), rows["alpha"].max()
    for place, (_, half) in enumerate(halves.iterrows()):
        value, low, high = (half[f"half_solved_{end}"] for end in success.ENDS)
        height = 0.5 - 0.07 * place
        panel.plot([max(low, left), min(high, right)], [height] * 2, color="black", lw=2, zorder=3)
        panel.plot(value, height, ls="", marker="D", ms=4.5, color="black", mec="white", mew=0.6, zorder=4)
    panel.set(ylim=(-0.06, 1.06))


def mark(panel: Axes, known: Sequence[success.Estimate]) -> None:
    """Draw published estimates: lines, and a band for a range."""
    for estimate in known:
        if estimate.low == estimate.high:
            panel.axvline(estimate.low, **SOLID)
        else:
            panel.axvspan(estimate.low, estimate.high, **BAND)


def _explain(panel: Axes, known: Sequence[success.Estimate], plotted: pd.DataFrame) -> None:
    """Write the number of instances of each load, and the lines' names from left to right, in a cell of its own."""
    words = [n_of(plotted["instances"], "instance"), "lines, from the left:"]
    words += [f"{estimate.text} {estimate.name}" for estimate in known]
    panel.text(0, 0.5, "\n".join(words), transform=panel.transAxes, va="center", size=8).set_in_layout(False)
