"""A function in other coordinates is as sharp or as flat as one likes (theory D7)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

DEEPEST = 3
LINES = 4
KINDS = {("radial", ""): "radial", ("weight_normalised", ""): "weight_normalised", ("radial", "rotated"): "rotated"}
GROWTH = ["curvature_growth", "curvature_error", "function_change"]
LOOKS = {
    "radial": (r"$\eta = (\|u\|^2 + b)^a\, u$", {"color": style.BLUE, "marker": "o", "ms": 3.5}),
    "weight_normalised": (
        r"weight normalisation, $v \to b^a v$",
        {"color": style.GREEN, "marker": "s", "ms": 8, "mfc": "none"},
    ),
    "rotated": ("control: rotated coordinates", {"color": style.CONTROL, "marker": "^"}),
}
SHADES = [style.BLUE, style.GREEN, style.ORANGE, style.VERMILION]
STROKES = ["-", style.DASHED, style.DASHDOT, style.DOTTED]


@style.styled
def coordinates(measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Loss along the sharpest direction in coordinate eta, and sharpness relative to the trained network, against b.

    Returns:
        The figure, and its sharpness: one row per network, offset b and kind of coordinates.

    Raises:
        EmptyFigureError: if no network was reparametrised.
    """
    plotted = growths(measures)
    lines = selection.curves(curves, ["radial_loss", "trained_loss"])
    page = style.figure(6.2, message(claimed), style.NARROW)
    left, right = page.subplots(2, 1)
    _draw_losses(left, lines[lines["depth"] == frames.moderate_depth(lines["depth"], DEEPEST)])
    _draw_growths(right, plotted)
    left.legend(loc="upper center", ncols=2)
    right.legend(loc="upper right")
    return page, plotted


def growths(measures: pd.DataFrame) -> pd.DataFrame:
    """Sharpness in other coordinates of all networks, convolutional ones too.

    Raises:
        EmptyFigureError: if there is none.
    """
    kinds = selection.both_families(KINDS)
    return selection.networks(measures, kinds, GROWTH, "offset")


def message(claimed: Claimed) -> str:
    """The figure's one message: whether curvature follows the coordinates' law, and whether the function stays."""
    law, same = (selection.holds(claimed, "D7", name) for name in ("curvature_error", "function_change"))
    follows = "follows the coordinates, by theory's law" if law else "does not follow theory's law for coordinates"
    return f"Curvature {follows}, {'while' if law == same else 'but'} the function {'stays' if same else 'changes'}"


def _draw_losses(panel: Axes, rows: pd.DataFrame) -> None:
    offsets = np.sort(rows.loc[rows["curve"] == "radial_loss", "y"].unique())
    shown = offsets[np.unique(np.linspace(0, len(offsets) - 1, LINES).round().astype(int))]
    for offset, colour, stroke in zip(shown, SHADES, STROKES, strict=False):
        line = rows[(rows["curve"] == "radial_loss") & (rows["y"] == offset)]
        panel.plot(line["x"] / line["x"].max(), line["value"], color=colour, ls=stroke, label=f"$b$ = {offset:g}")
    trained = rows[rows["curve"] == "trained_loss"]
    panel.plot(trained["x"] / trained["x"].max(), trained["value"], color="black", lw=0.8, label="as trained", zorder=1)
    panel.set(xlabel=r"$\eta$ / largest $\eta$ shown", ylabel="training loss")
    panel.locator_params(axis="y", nbins=5)
    panel.set_title(f"Loss along the sharpest direction, one network of depth {rows['depth'].iloc[0]}", loc="left")


def _draw_growths(panel: Axes, rows: pd.DataFrame) -> None:
    for name, (label, look) in LOOKS.items():
        shown = rows[rows["kind"] == name]
        panel.plot(shown["offset"], shown["curvature_growth"], ls="", label=label, **look)
    radial = rows[rows["kind"] == "radial"].dropna(subset=["curvature_growth"]).sort_values("offset")
    power, start = np.polyfit(np.log(radial["offset"]), np.log(radial["curvature_growth"]), 1)
    line = np.exp(start) * radial["offset"] ** power
    panel.plot(
        radial["offset"],
        line,
        color="black",
        lw=1,
        zorder=1,
        label=f"law $b^{{-2a}}$: slope {power:.2f}".replace("-2.", "−2."),
    )
    panel.set(xscale="log", yscale="log", xlabel="offset $b$", ylabel="sharpness / trained network's")
    networks = len(rows[selection.KEY].drop_duplicates())
    panel.set_title(f"Sharpness in other coordinates, n = {networks} networks", loc="left")
