"""Sharpness in a small ball is at least that of the best constant function, for a rescaled network (theory D6)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

KINDS = {("balls", ""): "rescaled", ("balls", "trained"): "trained"}
STATISTICS = ["epsilon_sharpness", "quadratic_sharpness", "constant_sharpness"]
LOOKS = {
    "rescaled": ("rescaled", {"color": style.VERMILION, "marker": "^"}),
    "trained": ("trained", {"color": style.BLUE, "marker": "o"}),
}
CONSTANT = "best constant function"


@style.styled
def balls(measures: pd.DataFrame, _curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Epsilon-sharpness before and after the rescaling against epsilon, by depth.

    Returns:
        The figure, and its values: one row per network, radius and kind (rescaled or trained).

    Raises:
        EmptyFigureError: if no fully connected network was rescaled.
    """
    plotted = selection.networks(measures, KINDS, STATISTICS, "radius")
    page = style.figure(4.2, message(plotted, claimed), style.NARROW)
    counts = plotted.groupby("depth")["seed"].nunique()
    depths = {depth: f"depth {depth}, n = {count}" for depth, count in counts.items()}
    axes = style.panels(page, plotted, "depth", depths, _draw)
    axes[0].set_ylabel(r"$\varepsilon$-sharpness")
    style.legend_below(page, axes, columns=2, last=[style.OTHERS])
    return page, plotted


def message(plotted: pd.DataFrame, claimed: Claimed) -> str:
    """The figure's one message: whether losses in small balls reach a constant function's, rescaled and as trained."""
    reached = selection.holds(claimed, "D6", "epsilon_sharpness")
    trained = plotted[plotted["kind"] == "trained"]
    before = (trained["epsilon_sharpness"] >= trained["constant_sharpness"]).any()
    rescaled = "losses within every ball rise" if reached else "losses do not rise within every ball"
    return (
        f"After rescaling, {rescaled} to a constant function's and beyond; as trained they "
        f"{'do so in some' if before else 'stay below'}"
    )


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    for kind, (label, look) in LOOKS.items():
        shown = rows[rows["kind"] == kind]
        style.network_lines(panel, shown, "radius", "epsilon_sharpness", f"{label}, by search", look)
        line, colour = shown[shown["detailed"]], {"color": look["color"], "ls": style.DOTTED}
        panel.plot(line["radius"], line["quadratic_sharpness"], label=f"{label}, quadratic", **colour)
    constant = rows.loc[rows["detailed"], "constant_sharpness"].iloc[0]
    panel.axhline(constant, color="black", lw=1, ls=style.DASHDOT, label=CONSTANT)
    panel.set(xlabel=r"radius $\varepsilon$", xscale="log", yscale="log")
