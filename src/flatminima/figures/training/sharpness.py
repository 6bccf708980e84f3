"""Sharpness of trained networks against step size: the figure the paper states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.training import sweeps

COLUMNS = 2
AT_LEAST = 1.01
"""Networks up to this ratio are said to end at the least sharpness."""
NAMES = {
    "linear": "● linear",
    "residual_linear": "◆ zero residuals",
    "relu": "▲ ReLU",
    "fully_convolutional": "■ convolutional",
}
MARKERS = dict(zip(NAMES, "oD^s", strict=True))


@style.styled
def sharpness(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness over the least, at the end of training, against step size: a panel per depth, Adam's apart.

    Adam's step sizes mean something else than those of gradient descent, and 2/step is not its limit of stability.

    Returns:
        The figure, and its networks: one row per network, with median, 5-95 % interval and counts of its step size.

    Raises:
        EmptyFigureError: if no trained network has a step size.
    """
    plotted = swept(measures)
    groups = [group for _, group in plotted.groupby("adam")]
    lines = [-(-group["depth"].nunique() // COLUMNS) for group in groups]
    page = style.figure(0.5 + 2.6 * sum(lines), message(plotted), style.NARROW)
    axes = page.subplots(sum(lines), COLUMNS, squeeze=False)
    for group, band in zip(groups, np.split(axes, np.cumsum(lines)[:-1]), strict=True):
        _draw_group(list(band.flat), group)
    return page, plotted


def swept(measures: pd.DataFrame) -> pd.DataFrame:
    """The networks of the sweeps of the task with most networks, in the order of the panels.

    Raises:
        EmptyFigureError: if there are none.
    """
    rows = sweeps.sweeps(measures)
    frames.present(rows, "trained network with a step size", "add an experiment with step_sizes")
    rows = frames.main_task(rows)
    rows = rows.assign(adam=rows["optimiser"] == "adam").merge(sweeps.summary(rows), on=sweeps.PLACE)
    return rows.sort_values(["adam", *sweeps.PLACE[1::-1], "x", "seed"], ignore_index=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one sentence: what a large step does to sharpness, and where zero residuals end."""
    sound = plotted[~plotted["adam"] & ~plotted["diverged"]]
    cases = slopes(sound[sound["family"] != "residual_linear"])
    falling = sum(max(powers) < 0 for powers in cases)
    trend = f"Once the step is large, sharpness {'falls' if falling else 'was not seen to fall'} as the step grows"
    if 0 < falling < len(cases):
        trend += f", in {'most' if 2 * falling > len(cases) else 'some'} cases"
    zero = sound.loc[(sound["family"] == "residual_linear") & sound["at_minimum"], "sharpness_ratio"]
    if zero.empty:
        return trend if cases else "Sharpness where training ends"
    where = f"zero residuals end {'at' if (zero <= AT_LEAST).all() else 'above'} the least sharpness"
    return f"{trend}; {where}" if cases else where.capitalize()


def slopes(rows: pd.DataFrame) -> list[list[float]]:
    """Exponents of sharpness in the step where it is large: by experiment and depth, one for each seed.

    That is in the upper half of the range of steps that networks survived, on a logarithmic scale. A slope of log
    sharpness on log step for each seed that has two such steps.
    """
    found = []
    for _, case in rows.groupby(["case", "depth"]):
        large = case[case["x"] >= np.sqrt(case["x"].min() * case["x"].max())]
        seeds = [seed for _, seed in large.groupby("seed") if len(seed) > 1]
        found.append([float(np.polyfit(np.log(seed["x"]), np.log(seed["sharpness_ratio"]), 1)[0]) for seed in seeds])
    return [powers for powers in found if powers]


def _draw_group(panels: Sequence[Axes], rows: pd.DataFrame) -> None:
    """One depth per panel, on common scales; the names of lines stand in the first panel."""
    adam, low, high = bool(rows["adam"].iloc[0]), *_range(rows["sharpness_ratio"])
    steps = rows["x"].min() / 1.6, rows["x"].max() * 1.6
    key = _key(rows, adam)
    for place, (panel, (depth, at)) in enumerate(zip(panels, rows.groupby("depth"), strict=False)):
        panel.set(xscale="log", yscale="log", xlim=steps, ylim=(low, high), ylabel=style.OVER_LEAST)
        panel.set_xlabel("Adam's step size" if adam else style.CRITICAL_STEP)
        for (family, _), line in at.groupby(["family", "case"]):
            colour = style.FAMILY_COLOUR[str(family)]
            sweeps.draw_line(panel, line.drop_duplicates("x"), colour, MARKERS[str(family)])
            panel.plot(line["x"], line["sharpness_ratio"], ".", color=colour, alpha=0.35, ms=3, zorder=1)
        if not adam:
            sweeps.draw_limit(panel, named=False)
        for axis in (panel.xaxis, panel.yaxis):
            style.plain_log(axis)
        strip = labels.diverged_strip(panel, at, "x", "family", style.FAMILY_COLOUR)
        count = labels.n_of(at["replicas"])
        labels.header(panel, f"depth {depth}, {count}", [] if place else key, rows=strip)
    for panel in panels[rows["depth"].nunique() :]:
        panel.axis("off")


def _key(rows: pd.DataFrame, adam: bool) -> list[list[tuple[str, labels.Colour]]]:
    """Names of the families, two in a line, and of the limit of stability."""
    words = [(NAMES[family], style.FAMILY_COLOUR[family]) for family in NAMES if (rows["family"] == family).any()]
    limit = [] if adam else [[("dashed: limit of stability, 2/step", style.THEORY)]]
    return [words[k : k + 2] for k in range(0, len(words), 2)] + limit


def _range(values: pd.Series) -> tuple[float, float]:
    return (values.min() / 1.2, values.max() * 1.2) if values.notna().any() else (0.5, 2.0)
