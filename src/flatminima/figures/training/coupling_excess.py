"""Coupling and evenness of trained networks beyond chance, as claim M5 takes them (M5)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flatminima.claims.cases import FEWEST
from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.training.deviations import CASE

CLAIM = "M5"
STATISTICS = {"own_cosine": "path cosine", "own_gain": "path gain"}
COLOURS = {"own_cosine": style.BLUE, "own_gain": style.VERMILION}
LINEAR_UP_TO = 0.3
TICKS = (-1, -0.3, 0, 0.3, 1)
ROW = 0.165
"""Height of a row in inches."""


@style.styled
def coupling_excess(_measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Excess of path cosine and gain over the nearest null: a row for each experiment and depth of claim M5.

    The step size of least training loss has a marker with its interval, hollow where seeds are too few for one; other
    step sizes are dots.

    Returns:
        The figure, and its points: one row per experiment, depth, step size and statistic.

    Raises:
        EmptyFigureError: if no network has nulls.
    """
    plotted = points(claimed)
    rows = list(_rows(plotted))
    page = style.figure(1.5 + ROW * len(rows), message(plotted), style.NARROW)
    axes = page.subplots(1, len(STATISTICS), sharey=True, sharex=True)
    for (statistic, name), panel in zip(STATISTICS.items(), axes, strict=True):
        _draw(panel, plotted[plotted["statistic"] == statistic], rows, COLOURS[statistic])
        labels.header(panel, name)
    axes[0].set_yticks(range(len(rows)), [text for _, text in rows])
    for label, (key, _) in zip(axes[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if key is None else "normal")
    page.supxlabel("excess over the nearest of three nulls; 0 is chance", size=style.RC["axes.labelsize"])
    return page, plotted


def points(claimed: Claimed) -> pd.DataFrame:
    """The cases of claim M5: means over seeds, and intervals as its verdict takes them.

    Returns:
        One row per case and statistic: CASE, statistic, excess, low, high (NaN below FEWEST survivors), survivors,
        diverged, best (whether it is the step of least training loss, which decides), beyond (whether the verdict takes
        it for beyond chance).

    Raises:
        EmptyFigureError: if no network has nulls.
    """
    criteria = claimed.claim(CLAIM).criteria
    found = [
        {
            "case": case.case,
            "depth": case.shape,
            "setting": case.setting,
            "statistic": criteria[finding.criterion].statistic,
            "excess": finding.effect,
            "low": finding.low,
            "high": finding.high,
            "survivors": finding.units,
            "diverged": finding.diverged,
            "best": case.counted,
            "beyond": finding.holds is True,
        }
        for case in claimed.cases(CLAIM)
        for finding in case.findings
    ]
    rows = pd.DataFrame(found)
    rows = rows[rows["excess"].notna() | (rows["diverged"] > 0)] if found else rows
    cure = "measure experiments of two layers or more"
    frames.present(rows[rows["excess"].notna()] if found else rows, "network with nulls", cure)
    names = claimed.measures[["case", "family", "task", "optimiser"]].drop_duplicates("case")
    rows = rows.merge(names, on="case")
    order = rows["family"].map(list(style.FAMILY_LABEL).index)
    rows = rows.assign(order=order).sort_values(["order", "case", "depth", "setting", "statistic"])
    return rows[[*CASE, *[name for name in found[0] if name not in CASE]]].reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one sentence: in how many cases coupling and evenness are beyond chance where training went best."""
    best = plotted[plotted["best"] & (plotted["survivors"] >= FEWEST)]
    if best.empty:
        return "Coupling beyond chance, against chance: too few seeds to tell"
    words = []
    for statistic, name in (("own_cosine", "coupling"), ("own_gain", "evenness")):
        beyond = best.loc[best["statistic"] == statistic, "beyond"]
        words.append(f"{name} {labels.how_many(int(beyond.sum()), len(beyond))}")
    return f"Detected beyond chance, at the step size of least loss: {words[0]}, {words[1]}"


def _rows(plotted: pd.DataFrame) -> Iterator[tuple[tuple[str, int] | None, str]]:
    """Rows from top to bottom: a heading for each experiment, without a key, and its depths with their numbers."""
    for experiment, own in plotted.groupby("case", sort=False):
        first = own.iloc[0]
        yield None, f"{style.FAMILY_LABEL[first['family']]}, {_optimiser(first)}task {first['task']}"
        for depth, rows in own.groupby("depth"):
            best = rows[rows["best"]]
            count = f", n = {best['survivors'].iloc[0]}" if len(best) else ""
            yield (str(experiment), int(str(depth))), f"depth {depth}{count}"


def _optimiser(row: pd.Series) -> str:
    return "Adam, " if row["optimiser"] == "adam" else ""


def _draw(
    panel: Axes, plotted: pd.DataFrame, rows: list[tuple[tuple[str, int] | None, str]], colour: labels.Colour
) -> None:
    panel.axvline(0, color=style.THEORY, lw=1, zorder=0)
    for height, (key, _) in enumerate(rows):
        if key is None:
            continue
        own = plotted[(plotted["case"] == key[0]) & (plotted["depth"] == key[1])]
        others, best = own[~own["best"]], own[own["best"]]
        panel.plot(others["excess"], np.full(len(others), height), ".", color=style.GREY, ms=3, zorder=1)
        for _, case in best.iterrows():
            known = pd.notna(case["low"])
            panel.plot(case["excess"], height, "o", color=colour, ms=4, mfc=colour if known else "white", zorder=3)
            if known:
                panel.plot([case["low"], case["high"]], [height, height], color=colour, lw=1.2, zorder=2)
    panel.set_xscale("symlog", linthresh=LINEAR_UP_TO)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.xaxis.set_major_locator(FixedLocator(TICKS))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.tick_params(axis="y", length=0)
