"""The volume of low loss around a minimum has no limit (theory D2)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from flatminima.figures import rescaling_selection, style
from flatminima.figures.claimed import Claimed

LAW = "area_law"
AREAS = {
    "area": ("rectifier", {"color": style.BLUE, "marker": "o"}),
    "area-tanh": ("tanh in place of the rectifier", {"color": style.VERMILION, "marker": "^"}),
}
BOXES = rescaling_selection.both_families({"boxes": "images of a box"})
RADIUS = 0.35
"""r of the drawn box, whose centre is (1, 1)."""
COPIES = range(-2, 3)


@style.styled
def volume(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Images of a box in the plane of two weights, drawn from their definition, and areas of low loss as measured.

    Returns:
        The figure, and the areas: columns of the curves.

    Raises:
        EmptyFigureError: if no area was measured.
    """
    plotted = rescaling_selection.curves(curves, "volume", [LAW, *AREAS])
    boxes = rescaling_selection.networks(measures, "volume", BOXES, ["meeting_boxes", "image_loss_change"])
    page = style.figure(3.7, message(plotted, boxes))
    left, right = page.subplots(1, 2)
    _draw_boxes(left)
    _draw_areas(right, plotted)
    style.legend_under(left)
    style.legend_under(right)
    return page, plotted


def message(areas: pd.DataFrame, boxes: pd.DataFrame) -> str:
    """The figure's one message: how much areas grow, and in how many networks boxes stay apart."""
    growths = areas.sort_values("x").groupby("experiment")["value"].agg(lambda values: values.iloc[-1] / values.iloc[0])
    apart = (boxes["meeting_boxes"] == 0).sum()
    return (
        f"From R = {areas['x'].min():g} to {areas['x'].max():g} the area of low loss grows {growths['area']:.2f} times "
        f"(closed form {growths[LAW]:.2f}), with tanh {growths.get('area-tanh', np.nan):.2f} times;\n"
        f"images of a box stay apart in {apart} of {len(boxes)} trained networks"
    )


def _draw_boxes(panel: Axes) -> None:
    """T_alpha^k of the box, with alpha as in D2, within the band of weights whose product is within the box's."""
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
    panel.set_title(r"Images of a box for $y = t_2\,\mathrm{relu}(t_1 x)$ (drawing)")
    panel.set_aspect("equal")


def _draw_areas(panel: Axes, areas: pd.DataFrame) -> None:
    law = areas[areas["experiment"] == LAW]
    panel.plot(law["x"], law["value"], color="black", ls=style.DASHDOT, lw=1, label=r"closed form, $\propto \log R$")
    for name, (label, look) in AREAS.items():
        rows = areas[areas["experiment"] == name]
        panel.errorbar(rows["x"], rows["value"], 2 * rows["error_bound"], ls="", capsize=2.5, lw=1, label=label, **look)
    panel.set(
        xscale="log",
        xlabel=r"$R$ (weights $t_1$ from $1/R$ to $R$)",
        ylabel="area of low loss in $(t_1, t_2)$",
        ylim=(0, None),
    )
    style.plain_log(panel.xaxis)
    panel.set_title("Area of the set of low loss (measured)")
