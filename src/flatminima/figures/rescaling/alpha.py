"""Sharpness and test error of one network along T_alpha, which rescales its first two layers (theory D1, D3, D4)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

KINDS = {("two_layers", ""): "rectifier", ("two_layers", "tanh"): "tanh"}
GROWTHS = {
    "sharpness_growth": ("largest eigenvalue", {"color": style.BLUE, "marker": "o"}),
    "trace_growth": ("trace", {"color": style.PINK, "marker": "D", "ls": style.DASHED}),
}
ERRORS = {
    "rectifier": ("test error, rectifier", {"color": style.GREEN, "marker": "s"}),
    "tanh": (
        "test error, tanh",
        {"color": style.CONTROL, "marker": "^", "ls": style.DASHED},
    ),
}
ASYMPTOTES = r"$\propto \alpha^{-2}$ and $\propto \alpha^{2}$"
FACTOR = r"$\alpha$ (factor of layer 1)"


@style.styled
def alpha(measures: pd.DataFrame, _curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Largest eigenvalue and trace relative to the trained network, and test error, against alpha, by depth.

    Returns:
        The figure, and its values: one row per network, alpha and kind (rectifier or tanh).

    Raises:
        EmptyFigureError: if no fully connected network was rescaled.
    """
    plotted = along_alpha(measures)
    depths = plotted.groupby("depth")
    page = style.figure(5.0, message(claimed), style.NARROW)
    axes = page.subplots(2, depths.ngroups, squeeze=False, sharex=True, sharey="row", height_ratios=[3, 2])
    for (above, below), (depth, rows) in zip(axes.T, depths, strict=True):
        draw_growths(above, rows[rows["kind"] == "rectifier"])
        _draw_errors(below, rows)
        above.set_title(f"depth {depth}, n = {rows['seed'].nunique()}")
    axes[0, 0].set_ylabel("relative to trained")
    axes[1, 0].set_ylabel("test error [%]")
    style.legend_below(page, list(axes.flat), columns=2, last=[style.OTHERS])
    return page, plotted


def along_alpha(measures: pd.DataFrame) -> pd.DataFrame:
    """Growth of sharpness and trace and the test error of every network along T_alpha, with controls.

    Raises:
        EmptyFigureError: if there is none.
    """
    statistics = [*GROWTHS, "test_error", "test_error_change"]
    return selection.networks(measures, KINDS, statistics, "alpha")


def message(claimed: Claimed) -> str:
    """The figure's one message: whether sharpness grows as theory says, and whether test errors stay."""
    grows, stays = (
        selection.holds(claimed, "D4", *statistics)
        for statistics in (("sharpness_growth", "growth_exponent"), ("test_error_change",))
    )
    growth = "grows as the square of the factor" if grows else "does not grow as the square of the factor"
    return f"Sharpness {growth}, {'while' if grows == stays else 'but'} test error {'stays' if stays else 'changes'}"


def draw_growths(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw the growth of sharpness and trace over alpha, with their asymptotes."""
    trained = pd.DataFrame([{"alpha": 1.0, "detailed": True} | dict.fromkeys(GROWTHS, 1.0)])
    through = pd.concat([rows, trained]).sort_values("alpha")
    for statistic, (label, look) in GROWTHS.items():
        style.network_lines(panel, through, "alpha", statistic, label, look)
    panel.plot(1, 1, **style.TRAINED)
    ends = rows.loc[rows["detailed"], ["alpha", "sharpness_growth"]].sort_values("alpha").to_numpy()
    for (start, growth), power in ((ends[0], -2), (ends[-1], 2)):
        reach = np.array([start, start * growth ** (-1 / power)])
        panel.plot(reach, growth * (reach / start) ** power, color="black", ls=style.DOTTED, lw=1, label=ASYMPTOTES)
    panel.set(xscale="log", yscale="log")


def _draw_errors(panel: Axes, rows: pd.DataFrame) -> None:
    percent = rows.assign(test_error=100 * rows["test_error"])
    for kind, (label, look) in ERRORS.items():
        style.network_lines(panel, percent[percent["kind"] == kind], "alpha", "test_error", label, look)
    panel.set(xlabel=FACTOR, ylim=(-4, 104))
