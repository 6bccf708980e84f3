"""Sharpness in a small ball is at least that of the best constant function, for a rescaled network (theory D6)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import rescaling_selection, style
from flatminima.figures.claimed import Claimed

KINDS = {"balls": "rescaled", "balls-trained": "trained"}
STATISTICS = ["epsilon_sharpness", "quadratic_sharpness", "constant_sharpness"]
LOOKS = {
    "rescaled": ("rescaled", {"color": style.VERMILION, "marker": "^"}),
    "trained": ("trained", {"color": style.BLUE, "marker": "o"}),
}
CONSTANT = "best constant function"


@style.styled
def balls(measures: pd.DataFrame, _curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Epsilon-sharpness before and after the rescaling against epsilon, by depth.

    Returns:
        The figure, and its values: one row per network, radius and kind (rescaled or trained).

    Raises:
        EmptyFigureError: if no fully connected network was rescaled.
    """
    plotted = rescaling_selection.networks(measures, "balls", KINDS, STATISTICS, "radius")
    page = style.figure(3.9, message(plotted))
    depths = {depth: f"depth {depth}" for depth in sorted(plotted["depth"].unique())}
    axes = style.panels(page, plotted, "depth", depths, _draw)
    axes[0].set_ylabel(r"$\varepsilon$-sharpness")
    style.legend_below(page, axes, columns=3, last=[style.OTHERS])
    return page, plotted


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: the least sharpness of rescaled networks, the best constants', and the trained's."""
    least = plotted.groupby("kind")["epsilon_sharpness"].min()
    constant = plotted["constant_sharpness"]
    return (
        f"In balls of radius {plotted['radius'].min():g} to {plotted['radius'].max():g} the ε-sharpness of rescaled "
        f"networks is at least {least['rescaled']:.3g},\nwhere the best constant function has {constant.min():.2f} to "
        f"{constant.max():.2f} and trained networks go down to {style.scientific(least['trained'])}"
    )


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    for kind, (label, look) in LOOKS.items():
        shown = rows[rows["kind"] == kind]
        style.network_lines(panel, shown, "radius", "epsilon_sharpness", f"{label} (found by search)", look)
        line, colour = shown[shown["detailed"]], {"color": look["color"], "ls": style.DOTTED}
        panel.plot(line["radius"], line["quadratic_sharpness"], label=f"{label}, quadratic estimate", **colour)
    constant = rows.loc[rows["detailed"], "constant_sharpness"].iloc[0]
    panel.axhline(constant, color="black", lw=1, ls=style.DASHDOT, label=CONSTANT)
    panel.set(xlabel=r"radius $\varepsilon$ of the ball", xscale="log", yscale="log")
