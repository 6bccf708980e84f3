"""Overlaps of the singular vectors of consecutive layers, in the flattest networks and in their controls (M3, I8)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from flatminima.errors import UserError
from flatminima.figures import selection, style

DEEPEST = 4
REPLICA = ["experiment", "depth", "step_fraction", "seed"]
KINDS = {False: "trained", True: "control"}
BLOCKS = {"linear": "linear", "residual_linear": "linear", "relu": "ReLU"}


@style.styled
def coupling(measures: pd.DataFrame, overlaps: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Heat maps of the overlaps: a row per interface, columns for linear and ReLU networks, trained beside control.

    Returns:
        The figure, and its cells: the chosen networks' rows of the overlaps, with sharpness ratio.

    Raises:
        UserError: if no network at a minimum has overlaps both as trained and as a control.
    """
    plotted = pairs(measures, overlaps)
    columns = [
        plotted[(plotted["block"] == block) & (plotted["control"] == control)]
        for block in dict.fromkeys(BLOCKS.values())
        for control in KINDS
        if (plotted["block"] == block).any()
    ]
    layers = sorted(plotted["layer"].unique())
    page = style.figure(1.1 + 5.9 * len(layers) / len(columns), message(plotted))
    axes = page.subplots(len(layers), len(columns), squeeze=False, sharex=True, sharey=True)
    for cells, column in zip(columns, axes.T, strict=True):
        column[0].set_title(_title(cells.iloc[0]))
        column[-1].set_xlabel("right vector\nof layer k + 1")
        for layer, panel in zip(layers, column, strict=True):
            image = _heat_map(panel, cells[cells["layer"] == layer])
    for layer, row in zip(layers, axes, strict=True):
        row[0].set_ylabel(f"k = {layer}\nleft vector of layer k")
    page.colorbar(image, ax=axes, label="overlap of two singular vectors", aspect=30)
    return page, plotted


def pairs(measures: pd.DataFrame, overlaps: pd.DataFrame) -> pd.DataFrame:
    """Overlaps of the flattest linear and ReLU network of the largest depth up to DEEPEST, and of their controls.

    Raises:
        UserError: if no network at a minimum has overlaps both as trained and as a control.
    """
    rows = selection.final(selection.networks(measures))
    rows = rows[rows["at_minimum"]]
    rows = rows.merge(overlaps[REPLICA].drop_duplicates(), on=REPLICA)
    rows = rows.assign(control=selection.is_control(rows), base=selection.without_control(rows))
    replica = ["base", "depth", "step_fraction", "seed"]
    rows = rows[rows.groupby(replica, dropna=False)["control"].transform("nunique") == len(KINDS)]
    if rows.empty:
        raise UserError(
            "figure coupling: no network at a minimum has a control; set `unbalance` of an experiment, or more steps"
        )
    rows = selection.main_task(rows).assign(block=lambda table: table["family"].map(BLOCKS))
    rows = rows[rows["depth"] == selection.moderate_depth(rows["depth"], DEEPEST)]
    flattest = selection.flattest_first(rows).drop_duplicates("block")
    chosen = rows.merge(flattest[replica], on=replica)[[*REPLICA, "block", "control", "task", "sharpness_ratio"]]
    return chosen.merge(overlaps.drop(columns="study"), on=REPLICA).sort_values(
        ["block", "control", "layer", "left", "right"]
    )


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how close the closest pair of singular vectors is, at the worst interface."""
    closest = plotted.groupby(["block", "control", "layer"])["overlap"].max().groupby(["block", "control"]).min()
    found = "; ".join(
        f"{block} {closest[block, False]:.2f} trained, {closest[block, True]:.2f} control"
        for block in dict.fromkeys(BLOCKS.values())
        if block in closest.index.unique("block")
    )
    return (
        "Largest overlap of singular vectors of neighbouring layers, worst interface:\n"
        f"{found} (depth {plotted['depth'].iloc[0]}, task {plotted['task'].iloc[0]})"
    )


def _title(cell: pd.Series) -> str:
    return f"{cell['block']}, {KINDS[cell['control']]}\n$\\lambda_{{\\max}}$ {cell['sharpness_ratio']:#.3g} × minimum"


def _heat_map(panel: Axes, cells: pd.DataFrame) -> AxesImage:
    grid = cells.pivot(index="left", columns="right", values="overlap")  # noqa: PD010
    size = len(grid)
    ticks = np.linspace(1, size, 3).round().astype(int)
    panel.set(xticks=ticks, yticks=ticks)
    panel.spines[:].set_visible(True)
    edges = (0.5, size + 0.5, size + 0.5, 0.5)
    return panel.imshow(grid, cmap="cividis", vmin=0, vmax=1, extent=edges, interpolation="none")
