"""Overlaps of the singular vectors of consecutive layers, in the flattest networks and in their controls (M3, I8)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed

DEEPEST = 4
REPLICA = ["experiment", "depth", "step_fraction", "seed"]
FAMILIES = {"linear": "linear", "residual_linear": "residual", "relu": "ReLU"}
KINDS = {False: "trained", True: "control"}


@style.styled
def coupling(measures: pd.DataFrame, overlaps: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Heat maps of the overlaps: a row per interface, columns for each family, trained beside control.

    Returns:
        The figure, and its cells: the chosen networks' rows of the overlaps, with sharpness ratio.

    Raises:
        EmptyFigureError: if no network at a minimum has overlaps both as trained and as a control.
    """
    plotted = pairs(measures, overlaps)
    columns = [
        plotted[(plotted["family"] == family) & (plotted["control"] == control)]
        for family in FAMILIES
        for control in KINDS
        if (plotted["family"] == family).any()
    ]
    layers = sorted(plotted["layer"].unique())
    page = style.figure(1.3 + 6.1 * len(layers) / len(columns), message(plotted))
    axes = page.subplots(len(layers), len(columns), squeeze=False, sharex=True, sharey=True)
    for cells, column in zip(columns, axes.T, strict=True):
        column[0].set_title(_title(cells.iloc[0]))
        for layer, panel in zip(layers, column, strict=True):
            image = _heat_map(panel, cells[cells["layer"] == layer])
    for layer, row in zip(layers, axes, strict=True):
        row[0].set_ylabel(f"k = {layer}")
    page.supxlabel("right singular vector of layer k + 1", size=style.RC["axes.labelsize"])
    page.supylabel("left singular vector of layer k", size=style.RC["axes.labelsize"])
    page.colorbar(image, ax=axes, label="overlap of two singular vectors", aspect=30)
    return page, plotted


def pairs(measures: pd.DataFrame, overlaps: pd.DataFrame) -> pd.DataFrame:
    """Overlaps of each family's flattest network of the largest depth up to DEEPEST, and of its control.

    Raises:
        EmptyFigureError: if no network at a minimum has overlaps both as trained and as a control.
    """
    rows = selection.final(selection.networks(measures))
    rows = rows[rows["at_minimum"]]
    rows = rows.merge(overlaps[REPLICA].drop_duplicates(), on=REPLICA)
    rows = rows.assign(control=selection.is_control(rows), base=selection.base(rows))
    replica = ["base", "depth", "step_fraction", "seed"]
    rows = rows[rows.groupby(replica, dropna=False)["control"].transform("nunique") == len(KINDS)]
    cure = "set `unbalance` of an experiment, or more steps"
    rows = selection.main_task(selection.present(rows, "coupling", "network at a minimum with a control", cure))
    rows = rows[rows["depth"] == selection.moderate_depth(rows["depth"], DEEPEST)]
    flattest = selection.flattest_first(rows).drop_duplicates("family")
    chosen = rows.merge(flattest[replica], on=replica)[[*REPLICA, "control", "task", "sharpness_ratio"]]
    return chosen.merge(overlaps.drop(columns="study"), on=REPLICA).sort_values(
        ["family", "control", "layer", "left", "right"]
    )


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how close the closest pair of singular vectors is, at the worst interface."""
    closest = plotted.groupby(["family", "control", "layer"])["overlap"].max().groupby(["family", "control"]).min()
    found = ", ".join(
        f"{label} {closest[family, False]:.2f} / {closest[family, True]:.2f}"
        for family, label in FAMILIES.items()
        if family in closest.index.unique("family")
    )
    return (
        f"Largest overlap of neighbouring layers' singular vectors, worst interface (task {plotted['task'].iloc[0]}, "
        f"depth {plotted['depth'].iloc[0]})\ntrained / control: {found}"
    )


def _title(cell: pd.Series) -> str:
    return f"{FAMILIES[cell['family']]}\n{KINDS[cell['control']]}\n{cell['sharpness_ratio']:#.3g} × min."


def _heat_map(panel: Axes, cells: pd.DataFrame) -> AxesImage:
    grid = cells.pivot(index="left", columns="right", values="overlap")  # noqa: PD010
    size = len(grid)
    ticks = np.linspace(1, size, 3).round().astype(int)
    panel.set(xticks=ticks, yticks=ticks)
    panel.spines[:].set_visible(True)
    edges = (0.5, size + 0.5, size + 0.5, 0.5)
    return panel.imshow(grid, cmap="cividis", vmin=0, vmax=1, extent=edges, interpolation="none")
