"""Sharpness of trained networks against step size: the figure the paper states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory, offset_copy

from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed

COLUMNS = 4
MINIMUM = "theoretical minimum of a linear network"
LIMIT = "limit of stability, 2 / step size"
DIVERGED = "diverged replicas, and how many"
AWAY = "hollow: not at a minimum"
REFERENCES = (MINIMUM, LIMIT, DIVERGED, AWAY)
NAMES = {
    "Linear networks at a minimum": selection.LINEAR,
    "ReLU networks": ("relu",),
    "Convolutional networks": ("convolutional",),
}
GROUP = ["experiment", "depth", "step_size", "step_fraction"]


@style.styled
def sharpness(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Largest Hessian eigenvalue at the end of training against step size, a panel per depth.

    Adam's step sizes mean something else than those of gradient descent, and 2/step is not its limit of stability: it
    has panels of its own.

    Returns:
        The figure, and its networks: one row per replica with the median and interval of its step size.

    Raises:
        EmptyFigureError: if no trained network has a step size.
    """
    plotted = sweeps(measures)
    groups = [group for _, group in plotted.groupby(plotted["optimiser"] == "adam")]
    columns = min(COLUMNS, max(group["depth"].nunique() for group in groups))
    lines = [-(-group["depth"].nunique() // columns) for group in groups]
    page = style.figure(0.9 + 2.3 * sum(lines), message(plotted))
    axes = page.subplots(sum(lines), columns, squeeze=False)
    for group, band in zip(groups, np.split(axes, np.cumsum(lines)[:-1]), strict=True):
        _draw_group(band, group, style.series(plotted))
    page.supylabel(style.SHARPNESS, size=style.RC["axes.labelsize"])
    style.legend_below(page, list(axes.flat), columns=2, last=REFERENCES)
    return page, plotted


def sweeps(measures: pd.DataFrame) -> pd.DataFrame:
    """The trained networks of every step-size sweep of one task, with median, interval and counts of their replicas.

    Raises:
        EmptyFigureError: if there are none.
    """
    rows = selection.trained(selection.final(selection.networks(measures)))
    snapshots = rows["experiment"].isin(selection.along_training(measures)["experiment"])
    several = rows.groupby("experiment")["step_fraction"].transform("nunique") > 1
    rows = rows[several | ~snapshots]
    selection.present(
        rows.dropna(subset="step_size"),
        "sharpness",
        "trained network with a step size",
        "add an experiment with step_sizes",
    )
    rows = selection.main_task(rows)
    replicas = rows.groupby(GROUP, dropna=False).agg(
        replicas=("seed", "size"), diverged_replicas=("diverged", "sum"), at_minimum_replicas=("at_minimum", "sum")
    )
    rows = rows.merge(selection.quantiles(rows, GROUP, "sharpness"), on=GROUP).merge(replicas.reset_index(), on=GROUP)
    shown = [
        "seed",
        "diverged",
        "at_minimum",
        "sharpness",
        "median",
        "low",
        "high",
        "replicas",
        "diverged_replicas",
        "at_minimum_replicas",
    ]
    return rows[[*selection.SWEEP, *shown, "minimal_sharpness"]].sort_values([*GROUP, "seed"], ignore_index=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how far from the theoretical minimum networks at a minimum ended."""
    found = []
    for name, families in NAMES.items():
        rows = plotted[plotted["at_minimum"] & plotted["family"].isin(families)]
        if not rows.empty:
            low, high = (rows["sharpness"] / rows["minimal_sharpness"]).quantile([selection.LOW, selection.HIGH])
            found.append(f"{name} end at {low:.2f} to {high:.2f} times the theoretical minimum")
    task, diverged = plotted["task"].iloc[0], plotted["diverged"].sum()
    found.append(f"(5–95 % of networks, task {task}; {diverged} of {len(plotted)} diverged)")
    return "\n".join(found)


def draw(panels: Sequence[Axes], rows: pd.DataFrame, series: dict[str, style.Series]) -> None:
    """Draw one depth per panel on a common vertical scale, diverged replicas as crosses above the data."""
    low, high = _range(pd.concat([rows["sharpness"], rows["minimal_sharpness"]]))
    unstable = sorted(rows.loc[rows["diverged"], "experiment"].unique())
    ceiling = high * (high / low) ** (0.15 * len(unstable))
    unit = 10 ** np.floor(np.log10(rows["step_size"].min() * rows["step_size"].max()) / 2)
    for panel, (depth, at) in zip(panels, rows.groupby("depth"), strict=False):
        positions = at.assign(position=at["step_size"].fillna(at["step_size"].min() / 2).fillna(1.0))
        for experiment, replicas in positions.groupby("experiment"):
            _draw_experiment(panel, replicas, series[str(experiment)])
        for line, experiment in enumerate(unstable):
            diverged = positions[positions["diverged"] & (positions["experiment"] == experiment)]
            _draw_diverged(panel, diverged, series[experiment], height=0.95 - 0.1 * line)
        panel.axhline(at["minimal_sharpness"].median(), color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=MINIMUM)
        panel.set(xscale="log", yscale="log", ylim=(low, ceiling), title=f"depth {depth}")
        panel.set_xlabel(f"{_step(rows)} ($10^{{{np.log10(unit):.0f}}}$)")
        _draw_limit(panel, at)
        style.plain_log(panel.xaxis, (1.0, 3.0), unit)
        style.plain_log(panel.yaxis)


def _range(values: pd.Series) -> tuple[float, float]:
    return (values.min() / 1.15, values.max() * 1.15) if values.notna().any() else (1.0, 10.0)


def _step(rows: pd.DataFrame) -> str:
    return "Adam step size" if rows["optimiser"].iloc[0] == "adam" else r"step size $\eta$"


def _draw_group(band: np.ndarray, rows: pd.DataFrame, series: dict[str, style.Series]) -> None:
    draw(list(band.flat), rows, series)
    for place, panel in enumerate(band.flat):
        panel.set_visible(place < rows["depth"].nunique())
    for panel in band[:, 1:].flat:
        panel.tick_params(labelleft=False)


def _draw_experiment(panel: Axes, replicas: pd.DataFrame, series: style.Series) -> None:
    median = replicas.drop_duplicates("position").dropna(subset=["median"])
    label = f"{series.label} (step size → 0)" if replicas["step_size"].isna().all() else series.label
    panel.fill_between(median["position"], median["low"], median["high"], color=series.colour, alpha=0.15, lw=0)
    panel.plot(median["position"], median["median"], label=label, **series.line)
    away = median[2 * median["at_minimum_replicas"] <= median["replicas"] - median["diverged_replicas"]]
    hollow = {**series.line, "ls": "", "mfc": "white"}
    panel.plot(away["position"], away["median"], **hollow)
    if not away.empty:
        panel.plot([], [], "o", color="0.3", mfc="white", label=AWAY)
    panel.plot(replicas["position"], replicas["sharpness"], ".", color=series.colour, alpha=0.35, ms=3, zorder=1)


def _draw_diverged(panel: Axes, diverged: pd.DataFrame, series: style.Series, height: float) -> None:
    if diverged.empty:
        return
    across = blended_transform_factory(panel.transData, panel.transAxes)
    steps = np.sort(diverged["position"].unique())
    panel.plot(steps, np.full(len(steps), height), "x", color=series.colour, transform=across)
    panel.plot([], [], "kx", label=DIVERGED)
    before = offset_copy(across, panel.get_figure(root=True), x=-24, units="points")
    panel.plot(steps[:1], [height], marker=series.line["marker"], color=series.colour, transform=before)
    panel.annotate(
        f"{len(diverged)}",
        (steps.min(), height),
        xycoords=across,
        xytext=(-5, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=series.colour,
    )


def _draw_limit(panel: Axes, rows: pd.DataFrame) -> None:
    if rows["optimiser"].iloc[0] == "adam" or rows["step_size"].isna().all():
        return
    panel.autoscale(False)
    steps = np.array([rows["step_size"].min() / 2, rows["step_size"].max() * 2])
    panel.plot(steps, 2 / steps, color="black", lw=1, ls=style.DOTTED, label=LIMIT, zorder=0)
