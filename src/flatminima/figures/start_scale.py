"""Does coupling beyond chance follow sharpness, or the scale of the start (M5)?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.claims.intervals import Interval, mean_interval
from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.deviations import CASE
from flatminima.figures.excess import excess

CHANCE = "chance: the nearest of three nulls"
AXES = {"sharpness_ratio": style.RATIO, "start_scale": "scale of the start"}
NAMES = {"start_scale": "start × {:g}", "step_fraction": "step size {:g}"}


@style.styled
def start_scale(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Excess of the path cosine over the nearest null against sharpness, and against the scale of the start.

    On the left networks of one scale are joined over step sizes, on the right those of one step size over scales.

    Returns:
        The figure, and its points: one row per network.

    Raises:
        EmptyFigureError: if no experiment sets the scale of its start.
    """
    plotted = points(measures)
    page = style.figure(3.9, message(plotted))
    axes = page.subplots(1, 2, sharey=True)
    for panel, x, joined in zip(axes, AXES, ("start_scale", "step_fraction"), strict=True):
        _draw(panel, plotted, x, joined)
        panel.set_xlabel(AXES[x])
        style.legend_under(panel, last=(CHANCE,))
    axes[0].set_ylabel("excess of the path cosine")
    return page, plotted


def points(measures: pd.DataFrame) -> pd.DataFrame:
    """Final networks of experiments that set the scale of their start, those of the depth that most of them have.

    Returns:
        One row per network that did not diverge: CASE, seed, start_scale, sharpness_ratio, and as `excess` has them
        deviation, those of the nulls, and excess.

    Raises:
        EmptyFigureError: if there are none, or of one seed alone.
    """
    scales = measures[measures["final"] & (measures["statistic"] == "start_scale")]
    selection.present(scales, "start-scale", "network whose start has a scale", "set `start_scale` of experiments")
    scales = scales[[*CASE, "seed", "value"]].rename(columns={"value": "start_scale"})
    rows = excess(measures[selection.base(measures).isin(scales["experiment"])], "start-scale")
    rows = rows[rows["statistic"].eq("own_cosine") & rows["depth"].eq(rows["depth"].mode().iloc[0])]
    rows = rows.merge(scales, on=[*CASE, "seed"], validate="one_to_one").dropna(subset=["excess"])
    selection.present(
        rows[rows["seed"] > rows["seed"].min()], "start-scale", "network of a second seed", "raise `seeds`"
    )
    return rows.drop(columns=["statistic", "diverged"]).sort_values([*CASE, "seed"], ignore_index=True)


def slopes(plotted: pd.DataFrame) -> dict[str, Interval]:
    """By how much the excess changes when sharpness, or the scale of the start, doubles and the other stays.

    For each seed the slope on log sharpness is that among networks of one scale, all scales together, whatever form the
    scale's own effect has; the slope on log scale is that of what is left. Means over seeds, Student's intervals.
    """
    logs = np.log2(plotted[list(AXES)])
    rows = plotted[["seed", "start_scale", "excess"]].assign(
        sharpness=logs["sharpness_ratio"], scale=logs["start_scale"]
    )
    fits = []
    for _, seed in rows.groupby("seed"):
        within = seed[["sharpness", "excess"]] - seed.groupby("start_scale")[["sharpness", "excess"]].transform("mean")
        sharpness = (within["sharpness"] * within["excess"]).sum() / (within["sharpness"] ** 2).sum()
        fits.append((sharpness, np.polyfit(seed["scale"], seed["excess"] - sharpness * seed["sharpness"], 1)[0]))
    return {name: mean_interval(values) for name, values in zip(AXES, np.transpose(fits), strict=True)}


def message(plotted: pd.DataFrame) -> str:
    """The figure's one sentence: both slopes, and how many networks and seeds they stand on."""
    sharpness, scale = (
        f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]".replace("-", "−")
        for slope in slopes(plotted).values()
    )
    return (
        f"Twice the sharpness from the same start changes excess coupling by {sharpness},\n"
        f"twice the start at the same sharpness by {scale}\n"
        f"({len(plotted)} networks, {plotted['seed'].nunique()} seeds, 95 % intervals)"
    )


def _draw(panel: Axes, plotted: pd.DataFrame, x: str, joined: str) -> None:
    """Networks as dots, their means over seeds joined."""
    panel.axhline(0, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=CHANCE)
    other = "step_fraction" if joined == "start_scale" else "start_scale"
    for value, look in style.looks(plotted[joined]).items():
        rows = plotted[plotted[joined] == value]
        panel.plot(rows[x], rows["excess"], **look | {"ls": ""}, ms=2.5, mew=0, alpha=0.4)
        means = rows.groupby(other)[[x, "excess"]].mean()
        panel.plot(means[x], means["excess"], **look, ms=4, label=NAMES[joined].format(value))
    panel.set_xscale("log")
    style.plain_log(panel.xaxis)
