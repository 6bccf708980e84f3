"""The volume of low loss around a minimum has no limit (theory D2)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

LAW = "area_law"
AREA = "area"
AREAS = {
    "": ("rectifier", {"color": style.BLUE, "marker": "o"}),
    "tanh": ("tanh in place of the rectifier", {"color": style.CONTROL, "marker": "^"}),
}
"""Labels and looks of areas, by control."""
BOXES = selection.both_families({("boxes", ""): "images of a box"})
RADIUS = 0.35
"""r of the drawn box, whose centre is (1, 1)."""
COPIES = range(-2, 3)


@style.styled
def volume(measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Images of a box in the plane of two weights, drawn from their definition, and areas of low loss as measured.

    Returns:
        The figure, and the areas: columns of the curves.

    Raises:
        EmptyFigureError: if no area was measured.
    """
    plotted = selection.curves(curves, [LAW, AREA])
    boxes = selection.networks(measures, BOXES, ["meeting_boxes", "image_loss_change"])
    page = style.figure(6.4, message(claimed), style.NARROW)
    above, below = page.subplots(2, 1, height_ratios=[1.25, 1])
    _draw_boxes(above, boxes)
    _draw_areas(below, plotted)
    return page, plotted


def message(claimed: Claimed) -> str:
    """The figure's one message: whether areas of low loss grow without end, and whether boxes stay apart."""
    grows = selection.holds(claimed, "D2", "area_error", "area_growth")
    apart = selection.holds(claimed, "D2", "meeting_boxes", "log_volume_step", "image_loss_change")
    return (
        f"The set of low loss {'grows without end' if grows else 'does not grow as theory says'}: images of a box "
        f"{'never meet and hold the same losses' if apart else 'meet, shrink or hold other losses'}"
    )


def _draw_boxes(panel: Axes, boxes: pd.DataFrame) -> None:
    """T_alpha^k of the box, with alpha as in D2, within the band of weights whose product is within the box's.

    The title counts the trained networks whose boxes, in all their dimensions, stay apart.
    """
    low, high = 1 - RADIUS, 1 + RADIUS
    alpha = 2 * high / low
    ends = alpha ** (np.array([COPIES[0], COPIES[-1]]) * 1.35)
    corners = [*zip(ends, low**2 / ends, strict=True), *zip(ends[::-1], high**2 / ends[::-1], strict=True)]
    panel.add_patch(Polygon(corners, color="0.88", lw=0, label=r"$t_1 t_2$ as in the box: loss as low"))
    panel.plot(ends, 1 / ends, color="black", lw=1, ls=style.DASHDOT, label=r"minima, $t_1 t_2 = 1$")
    for copy in COPIES:
        corner, sides = (low * alpha**copy, low / alpha**copy), np.array([alpha**copy, alpha**-copy]) * (high - low)
        look = {"fc": (*style.BLUE, 0.35) if copy == 0 else "none", "ec": style.BLUE, "lw": 1.4}
        label = {0: "a box around a minimum", 1: r"images under $T_\alpha^k$, of equal area"}.get(copy)
        panel.add_patch(Rectangle(corner, *sides, label=label, **look))
    panel.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel=r"$t_1$", ylabel=r"$t_2$")
    apart = (boxes["meeting_boxes"] == 0).sum()
    panel.set_title(f"Drawing, two weights. In trained networks: apart in {apart} of n = {len(boxes)}", loc="left")
    panel.legend(loc="upper right")


def _draw_areas(panel: Axes, areas: pd.DataFrame) -> None:
    law = areas[areas["curve"] == LAW]
    panel.plot(law["x"], law["value"], color="black", ls=style.DASHDOT, lw=1, label=r"closed form, $\propto \log R$")
    for control, (label, look) in AREAS.items():
        rows = areas[(areas["curve"] == AREA) & (areas["control"] == control)]
        panel.errorbar(rows["x"], rows["value"], 2 * rows["error_bound"], ls="", capsize=2.5, lw=1, label=label, **look)
    panel.set(
        xscale="log",
        xlabel=r"$R$ (weights $t_1$ from $1/R$ to $R$)",
        ylabel="area of low loss in $(t_1, t_2)$",
        ylim=(0, None),
    )
    style.plain_log(panel.xaxis)
    panel.legend(loc="upper left")
    panel.set_title("Measured: network of two weights", loc="left")
