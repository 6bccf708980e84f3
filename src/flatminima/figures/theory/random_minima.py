"""Sharpness of random global minima relative to the least, at each depth (theory I2, I3)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIMS = ("I2", "I3")
BOUND = "the least:\nno minimum\nlies left of it"


@style.styled
def random_minima(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Cumulative distribution of sharpness / least sharpness over random minima, a line per depth.

    Returns:
        The figure, and its points: one row per minimum with the share of minima at most as sharp.

    Raises:
        EmptyFigureError: if there is no random minimum.
    """
    plotted = shares(measures, claimed)
    page = style.figure(3.4, message(plotted), style.NARROW)
    axes = style.panels(page, plotted, "inputs", selection.INPUTS, _draw)
    axes[0].set_ylabel("share of random minima\nat most as sharp")
    return page, plotted


def shares(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """Random minima, the control of CLAIMS, in order of sharpness ratio, with the share of their depth's as sharp.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = pd.concat(selection.selected(claimed, measures, claim, "sharpness_ratio") for claim in CLAIMS)
    rows = rows[rows["start"] == "random"].rename(columns={"value": "sharpness_ratio"})
    rows = selection.present(rows, "random minimum")
    rows = rows[["inputs", "depth", "seed", "sharpness_ratio"]].drop_duplicates(["inputs", "depth", "seed"])
    ranks = rows.groupby(["inputs", "depth"])["sharpness_ratio"].rank(method="first", pct=True)
    return rows.assign(share=ranks).sort_values(["inputs", "depth", "share"], ignore_index=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether all are sharper than the least, and whether more so in deeper networks."""
    flattest = plotted["sharpness_ratio"].min()
    if flattest < 1 - selection.ROUNDING:
        return "Some random minima are flatter than theory's least sharpness allows"
    if flattest < 1 + selection.ROUNDING:
        return "Some random minima are as flat as theory's least sharpness allows"
    medians = plotted.groupby("depth")["sharpness_ratio"].median()
    change = "more so" if medians.iloc[-1] > medians.iloc[0] else "not more so"
    deeper = f", and {change} in deeper networks" if len(medians) > 1 else ""
    return f"Random minima are all sharper than the least{deeper}"


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    shades = style.shades(rows["depth"].unique())
    for depth, look in shades:
        line = rows[rows["depth"] == depth]
        ratio = np.append(line["sharpness_ratio"].iloc[0], line["sharpness_ratio"])
        panel.plot(ratio, np.append(0, line["share"]), drawstyle="steps-post", **look)
    for (depth, look), share, side in ((shades[0], 0.75, "right"), (shades[-1], 0.25, "left")):
        line = rows[rows["depth"] == depth]
        at = float(np.interp(share, line["share"], line["sharpness_ratio"]))
        offset, colour = (-6 if side == "right" else 6, 0), style.ink(look["color"])
        panel.annotate(f"{depth} layers", (at, share), offset, textcoords="offset points", ha=side, color=colour)
    panel.axvline(1, color="0.3", lw=1)
    panel.annotate(BOUND, (1, 1), (4, 0), textcoords="offset points", va="top")
    panel.annotate(f"n = {len(rows):,}", (0.97, 0.03), xycoords="axes fraction", ha="right")
    panel.set(xlabel=style.OVER_LEAST, xscale="log", ylim=(-0.02, 1.02))
    style.plain_log(panel.xaxis)
