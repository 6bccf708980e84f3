"""Which statistic sees the coupling of layers: path cosine and singular overlap against sharpness (theory I8)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed

BLOCKS = {"linear": selection.LINEAR, "ReLU": ("relu",), "convolutional": ("convolutional",)}
STATISTICS = {"path_cosine": "path cosine", "singular_overlap": "singular overlap"}
LOOKS = {
    "unbalanced control": {"marker": "^", "color": style.VERMILION, "mfc": "none"},
    "trained": {"marker": "o", "color": style.BLUE, "mew": 0},
    "not at a minimum": {"marker": "x", "color": style.GREY},
}


@style.styled
def path_cosine(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Path cosine and singular overlap at the worst interface against relative sharpness, for all final networks.

    Convolutional networks have no singular overlap: their panel of it is empty.

    Returns:
        The figure, and its points: one row per network that did not diverge.

    Raises:
        EmptyFigureError: if no network has both a sharpness ratio and a path cosine.
    """
    plotted = points(measures)
    blocks = [block for block in BLOCKS if (plotted["block"] == block).any()]
    page = style.figure(1.0 + 2.3 * len(blocks), message(plotted))
    axes = page.subplots(len(blocks), len(STATISTICS), squeeze=False, sharex="row", sharey=True)
    for block, row in zip(blocks, axes, strict=True):
        for statistic, panel in zip(STATISTICS, row, strict=True):
            _draw(panel, plotted[plotted["block"] == block], statistic)
        row[0].set_ylabel(f"{block} networks\nat the worst interface")
    for panel in axes[-1]:
        panel.set_xlabel(style.RATIO)
    style.legend_below(page, list(axes.flat), columns=3)
    return page, plotted


def points(measures: pd.DataFrame) -> pd.DataFrame:
    """Every final network that did not diverge and has at least two layers.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.final(selection.networks(measures)).dropna(subset=["sharpness_ratio", "path_cosine"])
    selection.present(rows, "path-cosine", "network of two layers or more", "add depths to config.yaml")
    blocks = {family: block for block, families in BLOCKS.items() for family in families}
    kind = selection.is_control(rows).map({True: "unbalanced control", False: "trained"})
    kind = kind.where(rows["at_minimum"], "not at a minimum")
    rows = rows.assign(kind=kind, block=rows["family"].map(blocks))
    return rows[[*selection.SWEEP, "seed", "block", "kind", "sharpness_ratio", *STATISTICS]].reset_index(drop=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: how closely each statistic follows sharpness among trained networks at a minimum."""
    blocks = blocks_of(plotted[plotted["kind"] == "trained"])
    found = [
        f"{name} {' / '.join(_signed(correlation(rows, statistic)) for _, rows in blocks)}"
        for statistic, name in STATISTICS.items()
    ]
    names = " / ".join(block for block, _ in blocks)
    return f"Rank correlation with sharpness among trained networks, {names}:\n{', '.join(found)}"


def correlation(rows: pd.DataFrame, statistic: str) -> float:
    """Spearman's rank correlation of a statistic with the sharpness ratio; NaN where either is constant."""
    return float(rows["sharpness_ratio"].corr(rows[statistic], method="spearman"))


def blocks_of(plotted: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The kinds of layers that are there, with their rows, in the order of BLOCKS."""
    return [(block, rows) for block in BLOCKS if not (rows := plotted[plotted["block"] == block]).empty]


def _draw(panel: Axes, rows: pd.DataFrame, statistic: str) -> None:
    for kind, look in LOOKS.items():
        chosen = rows[rows["kind"] == kind]
        panel.plot(chosen["sharpness_ratio"], chosen[statistic], ls="", ms=4, alpha=0.5, label=kind, **look)
    ranks = ", ".join(
        f"{name} {_signed(correlation(rows[rows['kind'] == kind], statistic))}"
        for kind, name in (("trained", "trained"), ("unbalanced control", "controls"))
        if (rows["kind"] == kind).any()
    )
    panel.set_title(f"{STATISTICS[statistic]}\nrank correlation: {ranks}")
    panel.set(xscale="log", ylim=(-0.02, 1.03))
    style.plain_log(panel.xaxis)


def _signed(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}".replace("-", "−")
