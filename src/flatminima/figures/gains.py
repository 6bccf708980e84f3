"""Gain from the input to every layer: trained networks against the same functions with unbalanced layers (I4, I5)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed

COLUMNS = 4
NAMES = {"path_gain": "path gain", "product_norm": "largest gain"}
SAMPLES = ["_q05", "_q95"]
LOOK: dict[bool, dict[str, Any]] = {
    True: {"color": style.VERMILION, "ls": style.DASHED, "marker": "^", "label": "unbalanced control"},
    False: {"color": style.BLUE, "ls": "-", "marker": "o", "label": "trained network"},
}
ALLOWED = "largest gain allowed to a flattest minimum"
CASE = ["experiment", "family", "task", "optimiser", "depth", "step_fraction"]


@style.styled
def gains(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Relative gain against relative layer k/m: rows of path gain and of largest gain, a column per depth.

    One experiment with linear layers, one with ReLU and one with convolutions are drawn, a thin line per network; where
    networks are not linear the line is the median over samples and the shade holds 5-95 % of them.

    Returns:
        The figure, and its points: one row per network, layer and statistic.

    Raises:
        EmptyFigureError: if no network at a minimum has a control.
    """
    plotted = profiles(measures)
    depths = selection.spread(plotted["depth"], COLUMNS)
    plotted = plotted[plotted["depth"].isin(depths)].reset_index(drop=True)
    rows = [(experiment, statistic) for experiment in plotted["experiment"].unique() for statistic in NAMES]
    names = style.series(plotted)
    page = style.figure(1.0 + 1.75 * len(rows), message(plotted))
    axes = page.subplots(len(rows), len(depths), squeeze=False, sharex=True, sharey="row")
    for (experiment, statistic), line in zip(rows, axes, strict=True):
        shown = plotted[(plotted["experiment"] == experiment) & (plotted["statistic"] == statistic)]
        for depth, panel in zip(depths, line, strict=True):
            network = shown[shown["depth"] == depth]
            if network.empty:
                panel.axis("off")
            else:
                draw(panel, network)
        line[0].set_ylabel(f"{names[experiment].label}\n{NAMES[statistic]}")
    for depth, top, bottom in zip(depths, axes[0], axes[-1], strict=True):
        top.set_title(f"depth m = {depth}")
        bottom.set_xlabel("layer k / m")
    style.legend_below(page, list(axes.flat), columns=2)
    return page, plotted


def profiles(measures: pd.DataFrame) -> pd.DataFrame:
    """Gains by layer of the flattest trained networks of one experiment for each kind of layer, and of their controls.

    Per experiment and depth, all networks at a minimum that were trained with one step size are shown, and the controls
    made from them.

    Raises:
        EmptyFigureError: if no network at a minimum has a control.
    """
    rows = selection.without_nulls(measures[measures["final"] & (measures["layer"] > 0)])
    rows = rows.assign(control=selection.is_control(rows), experiment=selection.base(rows))
    rows = rows.merge(flattest(measures), on=["experiment", "depth", "step_fraction"])
    cure = "set `unbalance` of an experiment, or more steps"
    rows = selection.main_task(selection.present(rows, "gains", "network at a minimum with a control", cure))
    rows = rows[rows["experiment"].isin(_one_of_each(rows))]
    wanted = [*NAMES, "band_upper", *(name + quantile for name in NAMES for quantile in SAMPLES)]
    wide = selection.pivot(rows, wanted, [*CASE, "control", "seed", "layer"])
    points = pd.concat([_points(wide, statistic) for statistic in NAMES])
    return points.dropna(subset=["value"]).sort_values([*CASE, "control", "seed", "statistic", "layer"])


def flattest(measures: pd.DataFrame) -> pd.DataFrame:
    """The step size that best shows flat minima, of each depth of the experiments that have a control.

    It is the one whose median rank is smallest; see flatminima.figures.selection.flattest_first.

    Returns:
        Columns experiment, depth, step_fraction.
    """
    rows = selection.final(selection.networks(measures))
    controls = rows[selection.is_control(rows)]
    key = ["experiment", "depth", "step_fraction"]
    rows = rows.merge(controls.assign(experiment=selection.base(controls))[key].drop_duplicates(), on=key)
    medians = selection.flattest_first(rows).groupby(key, dropna=False)["rank"].median().reset_index()
    return medians.sort_values("rank", kind="stable").drop_duplicates(["experiment", "depth"])[key]


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how far the path gain strays from equal steps at the worst layer."""
    path = plotted[plotted["statistic"] == "path_gain"]
    stray = path["value"].where(path["value"] > 1, 1 / path["value"])
    worst = stray.groupby([path["control"], path["experiment"], path["depth"], path["seed"]]).max()
    median = worst.groupby("control").median().reindex([False, True])
    return (
        f"Gains along the path stay within a factor {median[False]:.2f} of equal steps in trained networks,\n"
        f"{median[True]:.2f} in their unbalanced controls (median of the worst layer, task {path['task'].iloc[0]})"
    )


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw one statistic's profile of every network of one experiment at one depth."""
    panel.axhline(1, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label="path gain of a flattest minimum")
    allowed = rows[rows["statistic"] == "product_norm"].drop_duplicates("layer").sort_values("layer")
    if not allowed.empty:
        width = 1 / allowed["depth"].iloc[0]
        height = allowed["allowed"] - 1
        panel.bar(allowed["relative_layer"], height, width, bottom=1, color="0.85", lw=0, zorder=0, label=ALLOWED)
    for (control, _), network in rows.groupby(["control", "seed"], sort=True):
        look = LOOK[bool(control)]
        panel.fill_between(
            network["relative_layer"], network["low"], network["high"], color=look["color"], alpha=0.1, lw=0
        )
        panel.plot(network["relative_layer"], network["value"], **look, lw=0.9, ms=3.5, alpha=0.8)
    panel.set(yscale="log", xlim=(0, 1.05))
    style.plain_log(panel.yaxis)


def _one_of_each(rows: pd.DataFrame) -> list[str]:
    """The first experiment with plain linear layers, else with residual ones, with ReLU, and with convolutions."""
    first = rows.sort_values("experiment").drop_duplicates("family").set_index("family")["experiment"]
    linear = [family for family in ("linear", "residual_linear") if family in first][:1]
    return [first[family] for family in [*linear, "relu", "convolutional"] if family in first]


def _points(wide: pd.DataFrame, statistic: str) -> pd.DataFrame:
    low, high = (wide[statistic + quantile] for quantile in SAMPLES)
    return wide[[*CASE, "control", "seed", "layer"]].assign(
        relative_layer=wide["layer"] / wide["depth"],
        statistic=statistic,
        value=wide[statistic],
        low=low,
        high=high,
        allowed=wide["band_upper"] if statistic == "product_norm" else 1.0,
    )
