"""Sharpness over all rescalings of the layers of one network: convex in logarithms, with one minimum (theory B1)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import minimum_filter

from flatminima.figures import rescaling_selection, style
from flatminima.figures.claimed import Claimed

SHARPNESS = r"$\lambda_{\max}$ (Gauss–Newton matrix)"
FACTORS = (r"$h_1$ (factor of hidden layer 1)", r"$h_2$ (factor of hidden layer 2)")
SHADES = 24
STATISTICS = ["gauss_newton_sharpness", "orbit_minimum"]
FLATTEST: dict[str, Any] = {"marker": "o", "ms": 6, "color": "white", "mec": "black", "ls": "", "label": "flattest"}


@style.styled
def landscape(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Contours of sharpness over the factors of both hidden layers of a network of three layers, and sections.

    Returns:
        The figure, and its points: factors h_1 and h_2, and sharpness.

    Raises:
        EmptyFigureError: if no network of three layers was measured.
    """
    rows = rescaling_selection.curves(curves, "landscape", ["landscape"])
    plotted = pd.DataFrame({"h_1": 10 ** rows["x"], "h_2": 10 ** rows["y"], "sharpness": rows["value"]})
    orbit = rescaling_selection.networks(measures, "landscape", {"orbit_layers": "layers"}, STATISTICS)
    orbit = orbit[(orbit["depth"] == rows["depth"].iloc[0]) & (orbit["seed"] == rows["seed"].iloc[0])]
    least = rescaling_selection.present(orbit, "landscape", "minimised orbit of the network").iloc[0]
    page = style.figure(4.1, message(plotted, least))
    left, right = page.subplots(1, 2, width_ratios=[1.25, 1])
    _draw_contours(page, left, plotted)
    _draw_sections(right, plotted, least)
    style.legend_under(left)
    style.legend_under(right)
    return page, plotted


def message(plotted: pd.DataFrame, orbit: pd.Series) -> str:
    """The figure's one message: how many minima there are, and how close to it training ends."""
    trained, least = (orbit[name] for name in STATISTICS)
    grid = _grid(plotted).to_numpy()
    minima = int((minimum_filter(grid, 3, mode="nearest") == grid).sum())
    return (
        f"The same function at sharpness {least:.3g} to {style.scientific(plotted['sharpness'].max())}; "
        f"local minima on the grid: {minima}.\n"
        f"Training ended at {trained:.3g}, {100 * (trained / least - 1):.0f} % above the flattest"
    )


def _grid(plotted: pd.DataFrame) -> pd.DataFrame:
    """Logarithms of sharpness to base 10, over h_2 (rows) and h_1."""
    return plotted.assign(power=np.log10(plotted["sharpness"])).pivot(index="h_2", columns="h_1", values="power")  # noqa: PD010


def _flattest(plotted: pd.DataFrame) -> pd.Series:
    return plotted.iloc[int(plotted["sharpness"].to_numpy().argmin())]


def _draw_contours(page: Figure, panel: Axes, plotted: pd.DataFrame) -> None:
    panel.set(xscale="log", yscale="log", xlabel=FACTORS[0], ylabel=FACTORS[1])
    grid, flattest = _grid(plotted), _flattest(plotted)
    shades = np.linspace(grid.to_numpy().min(), grid.to_numpy().max(), SHADES)
    filled = panel.contourf(grid.columns, grid.index, grid, levels=shades, cmap="viridis")
    decades = np.arange(np.ceil(shades[0]), shades[-1])
    lines = panel.contour(grid.columns, grid.index, grid, levels=decades, colors="white", linewidths=0.8)
    panel.clabel(lines, fmt=_power, fontsize=8)
    page.colorbar(filled, ax=panel, label=r"$\lambda_{\max}$", ticks=decades, format=_power)
    panel.plot(flattest["h_1"], flattest["h_2"], **FLATTEST)
    panel.plot(1, 1, **style.TRAINED)
    panel.set_title("All rescalings of three layers")


def _power(decade: float, _place: int = 0) -> str:
    return f"$10^{{{decade:.0f}}}$"


def _draw_sections(panel: Axes, plotted: pd.DataFrame, orbit: pd.Series) -> None:
    flattest = _flattest(plotted)
    looks: dict[str, dict[str, Any]] = {
        "h_1": {"color": style.BLUE},
        "h_2": {"color": style.ORANGE, "ls": style.DASHED},
    }
    for (factor, look), fixed in zip(looks.items(), ("h_2", "h_1"), strict=True):
        line = plotted[plotted[fixed] == flattest[fixed]].sort_values(factor)
        panel.plot(line[factor], line["sharpness"], label=f"along ${factor}$", **look)
    panel.axhline(orbit["orbit_minimum"], color="black", lw=1, ls=style.DASHDOT, label="certified minimum", zorder=0)
    panel.set(xscale="log", yscale="log", xlabel="$h_1$ or $h_2$", ylabel=SHARPNESS)
    panel.set_title("Sections through the flattest")
