"""How sharp random global minima are relative to theory's minimum, at each depth (theory I3)."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style, theory_selection
from flatminima.figures.claimed import Claimed

BOUND = "theory's minimum: no minimum lies to its left"


@style.styled
def random_minima(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Cumulative distribution of sharpness / minimum over random minima, a line per depth.

    Returns:
        The figure, and its points: one row per minimum with the share of minima at most as sharp.

    Raises:
        EmptyFigureError: if there is no random minimum.
    """
    plotted = shares(measures)
    page = style.figure(3.4, message(plotted))
    axes = style.panels(page, plotted, "inputs", theory_selection.INPUTS, _draw)
    axes[0].set_ylabel("share of random minima")
    style.legend_below(page, axes, columns=3, last=[BOUND])
    return page, plotted


def shares(measures: pd.DataFrame) -> pd.DataFrame:
    """Random minima in order of sharpness ratio, with the share of their depth's minima at most as sharp.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = theory_selection.constructed(measures)
    rows = theory_selection.present(rows[rows["construction"] == "random"], "random-minima", "random minimum")
    ranks = rows.groupby(["inputs", "depth"])["sharpness_ratio"].rank(method="first", pct=True)
    rows = rows.assign(share=ranks)[["inputs", "depth", "seed", "sharpness_ratio", "share"]]
    return rows.sort_values(["inputs", "depth", "share"], ignore_index=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how close the flattest random minimum comes, and where the median lies at each end."""
    medians = plotted.groupby("depth")["sharpness_ratio"].median()
    first, last = medians.index[0], medians.index[-1]
    return (
        f"The flattest of {len(plotted):,} random minima is {plotted['sharpness_ratio'].min():.2f} times as sharp as "
        f"theory's minimum;\nthe median is {medians[first]:.1f} times at depth {first}, "
        f"{medians[last]:.1f} at depth {last}"
    )


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    depths = sorted(rows["depth"].unique())
    for place, (depth, colour) in enumerate(zip(depths, sns.color_palette("crest", len(depths)), strict=True)):
        line = rows[rows["depth"] == depth]
        start = line["sharpness_ratio"].iloc[0]
        ratio, share = np.append(start, line["sharpness_ratio"]), np.append(0, line["share"])
        look = style.LINES[place % len(style.LINES)]
        panel.plot(ratio, share, drawstyle="steps-post", color=colour, ls=look, label=f"depth {depth}")
    panel.axvline(1, color="0.3", lw=1, ls=style.DASHDOT, label=BOUND)
    panel.set(xlabel=style.RATIO, xscale="log", ylim=(-0.02, 1.02))
    style.plain_log(panel.xaxis)
