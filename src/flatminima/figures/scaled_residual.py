"""Where linear residual networks with a fixed last projection end: the sweep of Marion & Chizat 2024 (theory I3)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style, theory_selection
from flatminima.figures.claimed import Claimed

LOOKS: list[dict[str, Any]] = [
    {"marker": "o", "color": style.BLUE},
    {"marker": "D", "color": style.GREEN},
    {"marker": "^", "color": style.ORANGE},
    {"marker": "s", "color": style.VERMILION},
    {"marker": "v", "color": style.PINK},
]
FLATTEST = "theory's minimum (I3)"
PUBLISHED = "published bound (median)"
FEW = "hollow: under half reached one"
STATISTICS = ["start_scale", "diverged", "arrived", "sharpness_ratio", "minimal_sharpness", "published_bound"]
DODGE = 0.02


@style.styled
def scaled_residual(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to the minimum against the start's scale, and the share of runs that reach a minimum.

    Returns:
        The figure, and its runs, one row each.

    Raises:
        EmptyFigureError: if there is no run.
    """
    plotted = ends(measures)
    page = style.figure(4.2, message(plotted))
    ratios, shares = page.subplots(1, 2, width_ratios=[3, 2])
    looks = dict(zip(sorted(plotted["step_size"].unique()), LOOKS, strict=False))
    for place, (step, look) in enumerate(looks.items()):
        runs = plotted[plotted["step_size"] == step]
        share = runs.groupby("start_scale")["reached"].mean()
        shares.plot(share.index, share, label=f"step {step:g}", **look)
        _draw_ratios(ratios, runs, DODGE * (place - (len(looks) - 1) / 2), look)
    ratios.axhline(1, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=FLATTEST)
    ratios.axhline(1 / _excess(plotted).median(), color="black", lw=1, ls=style.DOTTED, zorder=0, label=PUBLISHED)
    ratios.set(yscale="log", ylabel=style.RATIO, title="sharpness of those at a minimum")
    style.plain_log(ratios.yaxis)
    shares.set(ylim=(-0.05, 1.05), title="share of runs at a minimum")
    for panel in (ratios, shares):
        panel.set_xlabel("scale of the start")
    style.legend_below(page, [shares, ratios], columns=3, last=[FLATTEST, PUBLISHED, FEW])
    return page, plotted


def ends(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per run.

    Returns:
        Columns seed, step_size, start_scale, diverged, reached, sharpness_ratio (NaN unless the run reached a minimum),
        minimal_sharpness and published_bound.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = measures[measures["experiment"] == "scaled_residual"]
    table = selection.pivot(rows, STATISTICS, ["seed", "initialisation", "step_size"]).drop(columns="initialisation")
    reached = table.pop("arrived") == 1
    ratio = table["sharpness_ratio"].where(reached)
    table = table.assign(diverged=table["diverged"] == 1, reached=reached, sharpness_ratio=ratio)
    return theory_selection.present(table, "scaled-residual", "run of the residual sweep")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how many minima lie below either bound, and where runs from zero residuals end."""
    at, excess = plotted[plotted["reached"]], _excess(plotted)
    low = 1 - theory_selection.ROUNDING
    below = (at["sharpness_ratio"] < low).sum()
    under = (at["sharpness_ratio"] * at["minimal_sharpness"] / at["published_bound"] < low).sum()
    zero = at[(at["start_scale"] == 0) & (at["step_size"] == plotted["step_size"].min())]["sharpness_ratio"]
    lines = [
        f"{below} of {len(at)} minima are flatter than theory's minimum, {under} than the published bound\n"
        f"({len(plotted)} runs on {len(excess)} problems)",
        f"theory's minimum / published bound: median {excess.median():.3f}, largest {excess.max():.3f}",
    ]
    ended = f"zero residuals, smallest step: {zero.median():.2f} times theory's minimum (median of {len(zero)})"
    return "\n".join([*lines, ended] if len(zero) else lines)


def _excess(plotted: pd.DataFrame) -> pd.Series:
    """Theory's minimum over the published bound, one for each problem."""
    problems = plotted.drop_duplicates("seed")
    ratio: pd.Series = problems["minimal_sharpness"] / problems["published_bound"]
    return ratio


def _draw_ratios(panel: Axes, runs: pd.DataFrame, shift: float, look: dict[str, Any]) -> None:
    share = runs.groupby("start_scale")["reached"].mean().reset_index()
    shown = selection.quantiles(runs, ["start_scale"], "sharpness_ratio").merge(share, on="start_scale")
    shown = shown.dropna(subset="median")
    bars = np.abs(shown[["low", "high"]].to_numpy().T - shown["median"].to_numpy())
    panel.errorbar(shown["start_scale"] + shift, shown["median"], bars, elinewidth=0.7, **look)
    few = shown[shown["reached"] < 1 / 2]
    panel.plot(few["start_scale"] + shift, few["median"], **look | {"mfc": "white", "ls": "", "zorder": 3})
    if not few.empty:
        panel.plot([], [], "o", color="0.3", mfc="white", label=FEW)
