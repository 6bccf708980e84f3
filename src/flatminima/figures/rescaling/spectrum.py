"""Hessian spectra of a network before and after a rescaling that sharpens most directions (theory D5)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.rescaling import selection

COUNTS = ["large_eigenvalues", "promised_eigenvalues", "parameters"]
LOOKS = {
    "spectrum_trained": ("trained", {"color": style.BLUE}),
    "spectrum_rescaled": ("rescaled", {"color": style.VERMILION, "lw": 2.4}),
}
LEVEL = "largest of the trained network"
PROMISED = "promised by theory"
LOWEST = 1e-6
"""Relative to the trained network's largest eigenvalue, what is drawn."""


@style.styled
def spectrum(measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Eigenvalues in order, relative to the largest of the trained network, of one network of each depth.

    Negative eigenvalues are shown by their absolute values; those below what matrix_rank takes for rounding are not.

    Returns:
        The figure, and the eigenvalues: rank (from 1, the largest) and ratio to the trained network's largest, by
        spectrum and depth.

    Raises:
        EmptyFigureError: if no spectrum was measured.
    """
    counts = selection.networks(measures, {("many_directions", ""): "rescaled"}, COUNTS)
    plotted = eigenvalues(curves)
    counts = counts.merge(with_curvature(plotted), on=["depth", "seed"], validate="one_to_one")
    page = style.figure(4.4, message(counts, claimed), style.NARROW)
    titles = {int(row["depth"]): _title(row) for _, row in counts.iterrows()}
    axes = style.panels(page, plotted, "depth", titles, _draw)
    for panel, promised in zip(axes, counts["promised_eigenvalues"], strict=True):
        panel.axvline(promised, color="0.3", lw=1, ls=style.DOTTED, label=PROMISED)
    axes[0].set_ylabel("eigenvalue / largest when trained")
    style.legend_below(page, axes, columns=2, last=[LEVEL, PROMISED])
    return page, plotted


def eigenvalues(curves: pd.DataFrame) -> pd.DataFrame:
    """Spectra of each depth, before and after rescaling.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.curves(curves, list(LOOKS)).rename(columns={"curve": "spectrum"})
    level = rows[rows["spectrum"] == "spectrum_trained"].groupby(["depth", "seed"])["value"].max().rename("level")
    rows = rows.merge(level.reset_index(), on=["depth", "seed"], validate="many_to_one")
    rows = rows.assign(rank=rows["x"].astype(int) + 1, ratio=rows["value"] / rows["level"])
    return rows[["spectrum", "depth", "seed", "rank", "ratio"]]


def with_curvature(eigenvalues: pd.DataFrame) -> pd.DataFrame:
    """Count the eigenvalues of each trained network that are not zero, in column `nonzero`, by depth and seed."""
    trained = eigenvalues[eigenvalues["spectrum"] == "spectrum_trained"]
    counts = trained.groupby(["depth", "seed"])["ratio"].agg(lambda ratios: _nonzero(ratios).sum())
    return counts.rename("nonzero").reset_index()


def message(counts: pd.DataFrame, claimed: Claimed) -> str:
    """The figure's one message: what part of the directions with curvature becomes sharper than the sharpest was."""
    shares = counts["large_eigenvalues"] / counts["nonzero"]
    part = "most" if (shares > 0.5).all() else "few" if (shares < 0.5).all() else "many"
    kept = selection.holds(claimed, "D5", "large_eigenvalues")
    return (
        f"One rescaling makes {part} of the directions that have curvature sharper than the sharpest was, "
        f"{'no fewer' if kept else 'fewer'} than theory promises"
    )


def _nonzero(values: pd.Series) -> pd.Series:
    """Mask of eigenvalues that can be told from zero in double precision, by numpy's criterion of rank."""
    return values.abs().gt(len(values) * np.finfo(float).eps * values.abs().max())


def _title(counts: pd.Series) -> str:
    large, nonzero, promised = (int(counts[name]) for name in ("large_eigenvalues", "nonzero", "promised_eigenvalues"))
    return f"depth {counts['depth']}:\n{large:,} of {nonzero:,} lifted\n({promised:,} promised)"


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    for name, (label, look) in LOOKS.items():
        shown = rows[rows["spectrum"] == name]
        shown = shown[_nonzero(shown["ratio"])]
        for sign, line, ending in ((1, "-", ""), (-1, style.DASHED, ": −λ of negative ones")):
            part = shown[(sign * shown["ratio"] > LOWEST)]
            panel.plot(part["rank"], sign * part["ratio"], ls=line, label=f"{label}{ending}", **look)
    panel.axhline(1, color="black", lw=1, ls=style.DASHDOT, label=LEVEL)
    panel.set(xlabel="rank", yscale="log")
