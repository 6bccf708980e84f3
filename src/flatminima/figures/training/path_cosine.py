"""Path cosine and singular overlap against sharpness: which of them sees the coupling of layers (theory I8)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.training.compared import BALANCE, GAIN, NETWORK
from flatminima.record import final

STATISTICS = {"path_cosine": "path cosine", "singular_overlap": "singular overlap"}
LOOKS = {
    "at a minimum": {"marker": "o", "color": style.FAMILY_COLOUR["linear"], "mew": 0},
    "unbalanced control": {"marker": "^", "color": style.CONTROL, "mfc": "none"},
    "not counted": {"marker": "x", "color": style.GREY},
}
GLYPHS = dict(zip(LOOKS, "●△×", strict=True))
MINIMUM = next(iter(LOOKS))
EXCESS = "sharpness / least sharpness − 1"
ALIKE = 0.05
"""Rank correlations that differ by less are alike."""


@style.styled
def path_cosine(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Path cosine and singular overlap at the worst interface against relative sharpness less one, of linear networks.

    Networks at a minimum are those that claim M4 counts, under the same conditions as M3.

    Returns:
        The figure, and its points: one row per network that did not diverge.

    Raises:
        EmptyFigureError: if no linear network has both a sharpness ratio and a path cosine.
    """
    plotted = points(measures, claimed)
    page = style.figure(3.9, message(plotted), style.NARROW)
    axes = page.subplots(1, len(STATISTICS), sharex=True, sharey=True)
    for statistic, panel in zip(STATISTICS, axes, strict=True):
        _draw(panel, plotted, statistic)
    return page, plotted


def points(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """Every final linear network that did not diverge and has at least two layers.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = final(frames.networks(measures)).dropna(subset=["sharpness_ratio", "path_cosine"])
    rows = rows[rows["family"] == "linear"]
    frames.present(rows, "linear network of two layers or more", "add one to config.yaml")
    counted = claimed.counted(BALANCE, GAIN)[NETWORK].drop_duplicates()
    at_minimum = rows[NETWORK].merge(counted.assign(found=True), on=NETWORK, how="left")["found"].notna().to_numpy()
    kind = pd.Series("not counted", rows.index).mask(at_minimum, MINIMUM)
    rows = rows.assign(kind=kind.mask(rows["control"] == frames.UNBALANCED, "unbalanced control"))
    rows["excess"] = rows["sharpness_ratio"] - 1
    return rows[[*frames.SWEEP, "seed", "kind", "excess", *STATISTICS]].reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one sentence: which statistic falls more closely as sharpness rises, among networks at a minimum."""
    rows = plotted[plotted["kind"] == MINIMUM]
    cosine, overlap = (correlation(rows, statistic) for statistic in STATISTICS)
    if pd.isna(cosine) or pd.isna(overlap):
        return "Path cosine and singular overlap against sharpness: too few networks at a minimum to compare them"
    if abs(cosine - overlap) < ALIKE:
        return "Path cosine and singular overlap follow sharpness equally closely"
    first, second = STATISTICS.values() if cosine < overlap else reversed(STATISTICS.values())
    return f"The {first} falls more closely with sharpness than the {second} does"


def correlation(rows: pd.DataFrame, statistic: str) -> float:
    """Spearman's rank correlation of a statistic with sharpness; NaN where either is constant."""
    return float(rows["excess"].corr(rows[statistic], method="spearman"))


def _draw(panel: Axes, rows: pd.DataFrame, statistic: str) -> None:
    lines = []
    for kind, look in LOOKS.items():
        chosen = rows[rows["kind"] == kind]
        if chosen.empty:
            continue
        panel.plot(chosen["excess"], chosen[statistic], ls="", ms=4, alpha=0.5, **look)
        rank = correlation(chosen, statistic)
        found = "" if pd.isna(rank) else f": {rank:.2f}".replace("-", "−")
        lines.append([(f"{GLYPHS[kind]} {kind}, n = {len(chosen)}{found}", look["color"])])
    panel.set(xscale="log", ylim=(-0.02, 1.03), xlabel=EXCESS, ylabel=f"{STATISTICS[statistic]}, worst interface")
    style.plain_log(panel.xaxis)
    labels.header(panel, STATISTICS[statistic], [[("rank correlation with sharpness", style.THEORY)], *lines])
