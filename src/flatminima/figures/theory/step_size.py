"""Sharpness where zero residuals end, over the least, against step size, for white inputs (M1)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "M1"
COLOURS = {
    "residual": selection.ZERO_RESIDUALS,
    "flow": selection.ZERO_RESIDUALS,
    "default": style.CONTROL,
}
MARKERS = "os^Dv"
FLOOR = 1e-6
"""Smaller distances from the least are drawn here."""
TOP, LIMIT = 3.0, 1e-5
TICKS = (0.05, 0.1, 0.2, 0.5, 1.0)
LABELS = {
    "flow": ((0.02, 0.1), "zero residuals,\ngradient flow"),
    "residual": ((0.5, 0.35), "zero residuals"),
    "default": ((0.02, 0.9), "random start as PyTorch's"),
}
"""Places of the lines' names, in parts of the panel."""
FLOW_STEP, DODGE = 0.5, 1.03
"""Place of gradient flow, relative to the smallest step; and of each depth, relative to the one before."""


@style.styled
def step_size(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Mean sharpness ratio - 1 of the cases of M1 and of their control against step size, a panel for each kind of map.

    Returns:
        The figure, and its points: the findings of the claim, one row per case.

    Raises:
        EmptyFigureError: if there is no run of the claim.
    """
    plotted = ends(measures, claimed)
    kinds = [name for name in selection.MAPS if (plotted["map"] == name).any()]
    page = style.figure(1.4 + 2.6 * len(kinds), message(plotted), style.NARROW)
    axes = list(page.subplots(len(kinds), 1, squeeze=False, sharex=True, sharey=True)[:, 0])
    bound = float(claimed.claim(CLAIM).criteria[0].at_most or 1) - 1
    for panel, name in zip(axes, kinds, strict=True):
        _draw(panel, plotted[plotted["map"] == name], bound)
        panel.set(title=selection.MAPS[name], ylabel="sharpness / least − 1")
    axes[-1].set_xlabel(style.CRITICAL_STEP)
    style.legend_below(page, axes, columns=3)
    return page, plotted


def ends(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The findings of M1 and on its control, see `selection.findings`.

    Raises:
        EmptyFigureError: if there is none.
    """
    return selection.present(selection.findings(claimed, measures, CLAIM), "training run")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: up to which step size zero residuals end at the least sharpness."""
    own = plotted[~plotted["as_control"] & plotted["decided"]]
    flow, steps = own[own["step"].isna()], own.dropna(subset="step").groupby("step")["holds"].all()
    if own.empty:
        return "Too few runs from zero residuals arrive to tell where they end"
    if flow["refutes"].any():
        return "Zero residuals do not end at the least sharpness, not even in gradient flow"
    held = steps.cummin()
    if len(held) and held.all():
        return "Zero residuals end at the least sharpness, whatever the step size"
    if held.any():
        largest = held[held].index.max()
        return f"Zero residuals end at the least sharpness for steps up to {largest:g} of the largest stable one"
    if len(flow) and flow["holds"].all():
        return "Zero residuals end at the least sharpness in gradient flow; at no step size tried was it found"
    return "Zero residuals were not found to end at the least sharpness"


def _draw(panel: Axes, rows: pd.DataFrame, bound: float) -> None:
    least = rows["step"].min()
    markers = dict(zip(sorted(rows["depth"].unique()), MARKERS, strict=False))
    for (start, depth), line in rows.groupby(["start", "depth"]):
        look = {"color": COLOURS[str(start)], "marker": markers[depth], "ms": 4, "lw": 0.8}
        places = line["step"].fillna(FLOW_STEP * least) * DODGE ** (list(markers).index(depth) - (len(markers) - 1) / 2)
        _draw_line(panel, line.assign(place=places).sort_values("place"), look)
    steps = np.geomspace(least, 1 / (1 + FLOOR), 200)
    panel.plot(steps, 1 / steps - 1, color="black", lw=1, ls=style.DOTTED, zorder=0)
    panel.axhline(bound, color="0.3", lw=1, ls=style.DASHDOT, zorder=0)
    panel.set(xscale="log", yscale="log", xlim=(FLOW_STEP * least / 1.3, 1.6), ylim=(FLOOR / 1.6, TOP))
    _ticks(panel, FLOW_STEP * least)
    _labels(panel, rows, bound)
    for depth, marker in markers.items():
        panel.plot([], [], marker, color="0.3", ls="", label=f"{depth} layers")


def _draw_line(panel: Axes, line: pd.DataFrame, look: dict[str, Any]) -> None:
    effect, low, high = (line[name].sub(1).clip(lower=FLOOR).to_numpy() for name in ("effect", "low", "high"))
    bars = np.nan_to_num(np.abs([effect - low, high - effect]))
    panel.errorbar(line["place"], effect, bars, elinewidth=0.7, **look)
    open_ = ~line["decided"].to_numpy()
    panel.plot(line["place"][open_], effect[open_], **look | {"mfc": "white", "ls": "", "zorder": 3})


def _ticks(panel: Axes, flow: float) -> None:
    ticks = {flow: "flow"} | {step: f"{step:g}" for step in TICKS}
    panel.xaxis.set_major_locator(FixedLocator(list(ticks)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, place: list(ticks.values())[place or 0]))
    panel.xaxis.set_minor_locator(NullLocator())


def _labels(panel: Axes, rows: pd.DataFrame, bound: float) -> None:
    """Name the lines, and say how many runs of a case arrived."""
    for start, (place, text) in LABELS.items():
        units = rows.loc[rows["start"] == start, "units"]
        if len(units):
            shown = f"{text} (n = {style.span(units)})"
            panel.annotate(shown, place, xycoords="axes fraction", color=style.ink(COLOURS[start]))
    panel.annotate(f"M1: at most {bound:.2g}", (0.02, bound), (0, 3), panel.get_yaxis_transform(), "offset points")
    panel.annotate("limit of\nstability", (1, LIMIT), (4, 0), va="center", textcoords="offset points")
