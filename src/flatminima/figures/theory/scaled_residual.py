"""Where linear residual networks with a fixed last projection end: the sweep of Marion & Chizat 2024 (I9)."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "I9"
MARKERS = "osD^v"
STATISTICS = ["start_scale", "sharpness_ratio", "minimal_sharpness", "published_bound"]
DODGE, BOTTOM = 0.012, 0.75
FEW = 0.5
"""Share of the runs below which a marker is hollow."""


@style.styled
def scaled_residual(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to the least against the start's scale, and the share of runs that arrive at a minimum.

    Returns:
        The figure, and its runs, one row each.

    Raises:
        EmptyFigureError: if there is no run.
    """
    plotted = ends(measures, claimed)
    limit = float(claimed.claim(CLAIM).criteria[0].at_least or 0)
    page = style.figure(5.0, message(plotted, limit), style.NARROW)
    ratios, shares = page.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    steps = plotted.groupby("step_size")
    for place, ((_, runs), colour) in enumerate(zip(steps, sns.color_palette("crest", steps.ngroups), strict=True)):
        look = {"color": colour, "marker": MARKERS[place % len(MARKERS)]}
        _draw_step(ratios, shares, runs, DODGE * (place - (steps.ngroups - 1) / 2), look)
    _finish(ratios, shares, plotted)
    style.legend_below(page, [shares], columns=3)
    return page, plotted


def ends(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """One row per run.

    Returns:
        Columns seed, step_size, setting, start_scale, diverged, reached (whether the claim counts it: it arrived
        at a minimum), sharpness_ratio (NaN unless reached), minimal_sharpness and published_bound.

    Raises:
        EmptyFigureError: if there is none.
    """
    known = selection.of_theory(measures)
    asked = claimed.networks(CLAIM, "sharpness_ratio")
    asked = asked[~asked["as_control"]].rename(columns={"counted": "reached"})
    key = ["seed", "start", "setting"]
    rows = known[known["case"] == "scaled_residual"]
    table = frames.pivot(rows, STATISTICS, [*key, "step_size"])
    selection.present(table, "scaled-residual", "run of the residual sweep")
    table = table.merge(asked[[*key, "reached", "diverged"]], on=key, validate="one_to_one")
    table = table.drop(columns="start")
    return table.assign(sharpness_ratio=table["sharpness_ratio"].where(table["reached"]))


def message(plotted: pd.DataFrame, limit: float) -> str:
    """The figure's one message: whether any run ends below the least sharpness.

    Args:
        plotted: as `ends` returns it.
        limit: smallest sharpness ratio that the claim allows.
    """
    runs = "Some runs end" if (plotted["sharpness_ratio"] < limit).any() else "No run ends"
    return f"{runs} below the least sharpness in the sweep of Marion & Chizat"


def _draw_step(ratios: Axes, shares: Axes, runs: pd.DataFrame, shift: float, look: dict[str, Any]) -> None:
    """Draw the runs of one step size, sharpness moved to the side by `shift`; hollow where fewer than FEW arrived."""
    share = runs.groupby("start_scale")["reached"].mean().reset_index()
    shares.plot(share["start_scale"], share["reached"], **look, label=f"step {runs['step_size'].iloc[0]:g}")
    shown = frames.quantiles(runs, ["start_scale"], "sharpness_ratio").merge(share, on="start_scale")
    shown = shown.dropna(subset="median")
    bars = np.abs(shown[["low", "high"]].to_numpy().T - shown["median"].to_numpy())
    ratios.errorbar(shown["start_scale"] + shift, shown["median"], bars, elinewidth=0.7, **look)
    few = shown[shown["reached"] < FEW]
    ratios.plot(few["start_scale"] + shift, few["median"], **look | {"mfc": "white", "ls": "", "zorder": 3})


def _finish(ratios: Axes, shares: Axes, plotted: pd.DataFrame) -> None:
    ratios.axhspan(BOTTOM, 1, color="0.9", lw=0, zorder=0)
    ratios.axhline(1, color="0.3", lw=1, zorder=0)
    ratios.annotate(
        "no minimum is this flat", (0.98, BOTTOM), (0, 3), ratios.get_yaxis_transform(), "offset points", ha="right"
    )
    ratios.annotate(
        f"n = {plotted['reached'].sum():,} of {len(plotted):,} runs", (0.02, 0.95), xycoords="axes fraction"
    )
    ratios.set(yscale="log", ylabel=style.OVER_LEAST, ylim=(BOTTOM, None))
    style.plain_log(ratios.yaxis)
    shares.set(ylim=(-0.08, 1.08), ylabel="share that\narrived", xlabel="scale of the start (0: zero residuals)")
