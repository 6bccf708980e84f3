"""Sharpness over all rescalings of the layers of one network: convex in logarithms, with one minimum (theory B1)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import minimum_filter

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

Array = NDArray[np.float64]
SHARPNESS = r"$\lambda_{\max}$ (Gauss–Newton)"
FACTORS = {"factor_1": "factor of hidden layer 1", "factor_2": "factor of hidden layer 2"}
SHADES = 24
FINER = 8
"""Points drawn for each one computed, along an axis: the contours are those of a spline through the computed ones."""
STATISTICS = ["gauss_newton_sharpness", "orbit_minimum"]
FLATTEST: dict[str, Any] = {"marker": "o", "ms": 6, "color": "white", "mec": "black", "ls": "", "label": "flattest"}


@style.styled
def landscape(measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Contours of sharpness over the factors of both hidden layers of a network of three layers, and sections.

    Returns:
        The figure, and its points: factors of both hidden layers, and sharpness.

    Raises:
        EmptyFigureError: if no network of three layers was measured.
    """
    rows = selection.curves(curves, ["landscape"])
    plotted = pd.DataFrame({"factor_1": 10 ** rows["x"], "factor_2": 10 ** rows["y"], "sharpness": rows["value"]})
    orbit = selection.networks(measures, {("orbit_layers", ""): "layers"}, STATISTICS)
    orbit = orbit[(orbit["depth"] == rows["depth"].iloc[0]) & (orbit["seed"] == rows["seed"].iloc[0])]
    least = selection.present(orbit, "minimised orbit of the network").iloc[0]
    page = style.figure(6.4, message(plotted, least, claimed), style.NARROW)
    above, below = page.subplots(2, 1, height_ratios=[1.5, 1])
    _draw_contours(page, above, plotted)
    _draw_sections(below, plotted, least)
    return page, plotted


def message(plotted: pd.DataFrame, orbit: pd.Series, claimed: Claimed) -> str:
    """The figure's one message: how many minima sharpness has over all rescalings, and where training ended."""
    grid = _grid(plotted).to_numpy()
    one = int((minimum_filter(grid, 3, mode="nearest") == grid).sum()) == 1
    certified = selection.holds(claimed, "B1", "orbit_gap")
    near = orbit["gauss_newton_sharpness"] < 2 * orbit["orbit_minimum"]
    return (
        f"Over all rescalings sharpness has {'one minimum' if one else 'several minima'}"
        f"{', certified,' if one and certified else ''} and training ended at "
        f"{'less' if near else 'more'} than twice the least"
    )


def _grid(plotted: pd.DataFrame) -> pd.DataFrame:
    """Logarithms of sharpness to base 10, over the factors of layer 2 (rows) and layer 1."""
    powers = plotted.assign(power=np.log10(plotted["sharpness"]))
    return powers.pivot(index="factor_2", columns="factor_1", values="power")  # noqa: PD010


def _flattest(plotted: pd.DataFrame) -> pd.Series:
    return plotted.iloc[int(plotted["sharpness"].to_numpy().argmin())]


def _finer(grid: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Factors of both layers and logarithms of sharpness between the points of a grid, by a bicubic spline."""
    across, up = (np.log(np.asarray(axis, float)) for axis in (grid.columns, grid.index))
    fine = [np.linspace(axis[0], axis[-1], FINER * (len(axis) - 1) + 1) for axis in (across, up)]
    degree = min(3, len(across) - 1)
    spline = RectBivariateSpline(up, across, grid.to_numpy(), kx=degree, ky=degree)
    return np.exp(fine[0]), np.exp(fine[1]), spline(fine[1], fine[0])


def _draw_contours(page: Figure, panel: Axes, plotted: pd.DataFrame) -> None:
    panel.set(xscale="log", yscale="log", xlabel=FACTORS["factor_1"], ylabel=FACTORS["factor_2"])
    flattest, surface = _flattest(plotted), _finer(_grid(plotted))
    shades = np.linspace(surface[2].min(), surface[2].max(), SHADES)
    filled = panel.contourf(*surface, levels=shades, cmap="viridis")
    decades = np.arange(np.ceil(shades[0]), shades[-1])
    lines = panel.contour(*surface, levels=decades, colors="white", linewidths=0.8)
    panel.clabel(lines, fmt=_power, fontsize=8)
    page.colorbar(filled, ax=panel, label=SHARPNESS, ticks=decades, format=_power)
    marked = ((flattest["factor_1"], flattest["factor_2"], FLATTEST, "bottom"), (1, 1, style.TRAINED, "top"))
    for x, y, look, side in marked:
        panel.plot(x, y, **look)
        panel.annotate(look["label"], (x, y), (-9, 0), textcoords="offset points", ha="right", va=side, color="white")
    panel.set_title("All rescalings of three layers, n = 1 network", loc="left")


def _power(decade: float, _place: int = 0) -> str:
    return f"$10^{{{decade:.0f}}}$"


def _draw_sections(panel: Axes, plotted: pd.DataFrame, orbit: pd.Series) -> None:
    flattest = _flattest(plotted)
    looks: dict[str, dict[str, Any]] = {
        "factor_1": {"color": style.BLUE},
        "factor_2": {"color": style.ORANGE, "ls": style.DASHED},
    }
    for (factor, look), fixed in zip(looks.items(), ("factor_2", "factor_1"), strict=True):
        line = plotted[plotted[fixed] == flattest[fixed]].sort_values(factor)
        panel.plot(line[factor], line["sharpness"], label=FACTORS[factor], **look)
    panel.axhline(orbit["orbit_minimum"], color="black", lw=1, ls=style.DASHDOT, label="certified minimum", zorder=0)
    panel.set(xscale="log", yscale="log", xlabel="one factor, the other as in the flattest", ylabel=SHARPNESS)
    panel.legend(loc="upper center")
    panel.set_title("Sections through the flattest", loc="left")
