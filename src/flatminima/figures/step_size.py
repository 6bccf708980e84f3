"""Where gradient descent and gradient flow end: sharpness against step size, map, inputs and start (M1, I6, I7)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style, theory_selection
from flatminima.figures.claimed import Claimed

MAPS = {
    "positive": "positive definite maps",
    "turned": "turned maps (det > 0)",
    "reflected": "reflected maps (det < 0)",
    "labels": "digits' label tasks (det > 0)",
}
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "residual": ("zero residuals", {"marker": "o", "color": style.BLUE}),
    "flow": ("zero residuals, gradient flow", {"marker": "*", "ms": 9, "color": style.GREEN}),
    "default": ("default start", {"marker": "^", "color": style.VERMILION}),
}
DASHES = {"white": "-", "coloured": style.DASHED}
LIMIT = "limit of stability, 1 / step"
FLATTEST = "theory's minimum"
FEW = "hollow: under half reached one"
REFERENCES = (FLATTEST, LIMIT, FEW)
RATIO = "sharpness / minimum"
STEP = r"step size ($2\,/\,$minimum)"
FLOW_STEP = 0.5
"""Where gradient flow is drawn, relative to the smallest step."""
DODGE, MARGIN = 1.04, 1.15


@style.styled
def step_size(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to the minimum against step size, and the share of runs on reflected maps that reach one.

    Returns:
        The figure, and its runs, one row each.

    Raises:
        EmptyFigureError: if there is no run.
    """
    plotted = ends(measures)
    kinds, reflected = theory_selection.inputs_of(plotted), plotted[plotted["map"] == "reflected"]
    lines, columns = len(kinds) + (not reflected.empty), max(plotted["map"].nunique(), reflected["depth"].nunique())
    page = style.figure(1.3 + 1.9 * lines, message(plotted))
    axes = page.subplots(lines, columns, squeeze=False, sharey="row")
    for band, inputs in zip(axes, kinds, strict=False):
        _draw_ratios(band, plotted[plotted["inputs"] == inputs])
        band[0].set_ylabel(f"{theory_selection.INPUTS[inputs]}\n{RATIO}")
    if not reflected.empty:
        _draw_shares(axes[-1], reflected)
    for panel in axes.flat:
        panel.set_visible(panel.has_data())
    for panel in axes[-1]:
        panel.set_xlabel(STEP)
    style.legend_below(page, list(axes.flat), columns=2, last=REFERENCES)
    return page, plotted


def ends(measures: pd.DataFrame) -> pd.DataFrame:
    """The runs of every start but the growing step's.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = theory_selection.runs(measures)
    rows = rows[rows["start"].isin(LOOKS)]
    theory_selection.present(rows.dropna(subset="step"), "step-size", "training run with a step size")
    return rows.reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: where runs from zero residuals and from the default start end, by kind of inputs."""
    names = {True: "zero residuals", False: "the default start"}
    rows = plotted[plotted["reached"]]
    found = []
    for inputs in theory_selection.inputs_of(rows):
        groups = rows[rows["inputs"] == inputs].groupby(rows["start"] != "default", sort=False)["sharpness_ratio"]
        low, high = groups.quantile(selection.LOW), groups.quantile(selection.HIGH)
        spans = [f"{low[zero]:.2f}–{high[zero]:.2f} from {names[zero]}" for zero in names if zero in low]
        found.append(f"{theory_selection.INPUTS[inputs]}: {', '.join(spans)}")
    return "Sharpness / minimum at which runs end (5–95 % of those that reach a minimum)\n" + "\n".join(found)


def draw(panel: Axes, rows: pd.DataFrame, top: float) -> None:
    """Draw the median and interval of the sharpness ratio against the step, a line per start, up to a ratio `top`."""
    least = rows["step"].min()
    for side, (start, (label, look)) in enumerate(LOOKS.items(), -1):
        runs = rows[rows["start"] == start]
        places = runs["step"].fillna(FLOW_STEP * least) * DODGE**side
        _draw_start(panel, runs.assign(place=places), label, look)
    panel.axhline(1, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=FLATTEST)
    panel.set(xscale="log", yscale="log", xlim=_range(rows), ylim=(0.97, top))
    steps = np.geomspace(least, 1, 100)
    panel.plot(steps, 1 / steps, color="black", lw=1, ls=style.DOTTED, label=LIMIT, zorder=0)
    style.plain_log(panel.xaxis)
    style.plain_log(panel.yaxis, (1.0, 1.2, 1.5, 2.0, 3.0, 5.0))


def ceiling(rows: pd.DataFrame) -> float:
    """Where the vertical axis ends."""
    return 1.1 * max(1.2, float(rows["sharpness_ratio"].max()))


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    return FLOW_STEP * rows["step"].min() / MARGIN, rows["step"].max() * MARGIN


def _draw_start(panel: Axes, runs: pd.DataFrame, label: str, look: dict[str, Any]) -> None:
    reached = runs.groupby("place")["reached"].mean().reset_index()
    shown = selection.quantiles(runs, ["place"], "sharpness_ratio").merge(reached, on="place").dropna(subset="median")
    bars = np.abs(shown[["low", "high"]].to_numpy().T - shown["median"].to_numpy())
    panel.errorbar(shown["place"], shown["median"], bars, elinewidth=0.7, label=label, **look)
    few = shown[shown["reached"] < 1 / 2]
    panel.plot(few["place"], few["median"], **look | {"mfc": "white", "ls": "", "zorder": 3})
    if not few.empty:
        panel.plot([], [], "o", color="0.3", mfc="white", label=FEW)


def _draw_ratios(band: np.ndarray, rows: pd.DataFrame) -> None:
    maps = [name for name in MAPS if (rows["map"] == name).any()]
    for panel, name in zip(band, maps, strict=False):
        draw(panel, rows[rows["map"] == name], ceiling(rows))
        panel.set_title(MAPS[name])


def _draw_shares(band: np.ndarray, rows: pd.DataFrame) -> None:
    """Draw the share of runs at a minimum against the step, a panel per depth."""
    for panel, (depth, at) in zip(band, rows.groupby("depth"), strict=False):
        for (start, inputs), runs in at.groupby(["start", "inputs"]):
            share = runs.groupby("step", dropna=False)["reached"].mean()
            look = LOOKS[str(start)][1] | {"ls": DASHES[str(inputs)]}
            panel.plot(share.index.fillna(FLOW_STEP * rows["step"].min()), share, **look)
        panel.set(xscale="log", xlim=_range(rows), ylim=(-0.05, 1.05), title=f"reflected maps, depth {depth}")
        style.plain_log(panel.xaxis)
    for inputs, dash in DASHES.items():
        band[0].plot([], [], color="0.3", ls=dash, label=f"bottom row: {theory_selection.INPUTS[inputs]}")
    band[0].set_ylabel("share that reached\na minimum")
