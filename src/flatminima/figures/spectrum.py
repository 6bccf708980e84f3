"""Hessian spectra of a network before and after a rescaling that sharpens most directions (theory D5)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import rescaling_selection, style
from flatminima.figures.claimed import Claimed

COUNTS = ["large_eigenvalues", "promised_eigenvalues", "parameters"]
LOOKS = {
    "spectrum_trained": ("trained", {"color": style.BLUE}),
    "spectrum_rescaled": ("rescaled", {"color": style.VERMILION, "lw": 2.4}),
}
LEVEL = "largest of the trained network"
PROMISED = "number promised by theory"
LOWEST = 1e-6
"""Relative to the trained network's largest eigenvalue, what is drawn."""


@style.styled
def spectrum(measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Eigenvalues in order, relative to the largest of the trained network, by depth.

    Negative eigenvalues are shown by their absolute values; those below what matrix_rank takes for rounding are not.

    Returns:
        The figure, and the eigenvalues: rank (from 1, the largest) and ratio to the trained network's largest, by
        spectrum and depth.

    Raises:
        EmptyFigureError: if no spectrum was measured.
    """
    counts = rescaling_selection.networks(measures, "spectrum", {"many_directions": "rescaled"}, COUNTS)
    plotted = eigenvalues(curves)
    page = style.figure(3.9, message(counts))
    titles = {int(row["depth"]): _title(row) for _, row in counts.iterrows()}
    axes = style.panels(page, plotted, "depth", titles, _draw)
    for panel, promised in zip(axes, counts["promised_eigenvalues"], strict=True):
        panel.axvline(promised, color="0.3", lw=1, ls=style.DOTTED, label=PROMISED)
    axes[0].set_ylabel("eigenvalue / largest when trained")
    style.legend_below(page, axes, columns=3, last=[LEVEL, PROMISED])
    return page, plotted


def eigenvalues(curves: pd.DataFrame) -> pd.DataFrame:
    """Both spectra of each depth.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = rescaling_selection.curves(curves, "spectrum", list(LOOKS)).rename(columns={"experiment": "spectrum"})
    level = rows[rows["spectrum"] == "spectrum_trained"].groupby(["depth", "seed"])["value"].max().rename("level")
    rows = rows.merge(level.reset_index(), on=["depth", "seed"], validate="many_to_one")
    rows = rows.assign(rank=rows["x"].astype(int) + 1, ratio=rows["value"] / rows["level"])
    return rows[["spectrum", "depth", "seed", "rank", "ratio"]]


def message(counts: pd.DataFrame) -> str:
    """The figure's one message: what share of all directions becomes sharper than the sharpest was."""
    shares = 100 * counts["large_eigenvalues"] / counts["parameters"]
    return (
        f"One rescaling raises {_span(shares)} % of all eigenvalues above the largest of the trained network,\n"
        f"{_span(counts['large_eigenvalues'] / counts['promised_eigenvalues'], 2)} times as many as theory promises"
    )


def _span(values: pd.Series, digits: int = 0) -> str:
    ends = [f"{value:.{digits}f}" for value in (values.min(), values.max())]
    return "–".join(dict.fromkeys(ends))


def _title(counts: pd.Series) -> str:
    large, promised, parameters = (int(counts[name]) for name in COUNTS)
    return f"depth {counts['depth']}: {large:,} of {parameters:,} above\n({promised:,} promised)"


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    for name, (label, look) in LOOKS.items():
        shown = rows[rows["spectrum"] == name]
        shown = shown[shown["ratio"].abs() > len(shown) * np.finfo(float).eps * shown["ratio"].abs().max()]
        for sign, line, ending in ((1, "-", ""), (-1, style.DASHED, ": −λ of negative ones")):
            part = shown[(sign * shown["ratio"] > LOWEST)]
            panel.plot(part["rank"], sign * part["ratio"], ls=line, label=f"{label}{ending}", **look)
    panel.axhline(1, color="black", lw=1, ls=style.DASHDOT, label=LEVEL)
    panel.set(xlabel="rank of the eigenvalue", yscale="log")
