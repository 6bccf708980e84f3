"""Sharpness and path cosine along training, from zero residuals and from other initialisations (M1)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, SymmetricalLogLocator

from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed

COLUMNS = 2
STATISTICS = {"sharpness_ratio": style.OVER_LEAST, "path_cosine": "path cosine, worst interface"}
STARTS = {
    "identity": "zero residuals",
    "pytorch": "PyTorch's start",
    "xavier_normal": "Xavier's start",
    "kaiming_normal": "Kaiming's start",
    "unbalanced": "unbalanced start",
}
AT_LEAST = 1.01
"""Networks up to this ratio are said to end at the least sharpness."""
EXPERIMENT = ["case", "family", "task", "initialisation", "setting", "depth"]
COLOURS = [style.BLUE, style.ORANGE, style.PINK, style.BROWN, style.VERMILION, style.GREY]
LINES = [style.DASHED, style.DOTTED, style.DASHDOT]
MARKERS = "s^vDPX"
GLYPHS = labels.GLYPHS | {"X": "✖"}


@style.styled
def training(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to its minimum, and path cosine, against the training step; a column per depth.

    Returns:
        The figure, and its curves: per experiment, depth, step and statistic the median and interval over seeds.

    Raises:
        EmptyFigureError: if no experiment kept snapshots.
    """
    plotted = curves(measures)
    depths = frames.spread(plotted["depth"], COLUMNS)
    plotted = plotted[plotted["depth"].isin(depths)].reset_index(drop=True)
    page = style.figure(5.6 if len(depths) > 1 else 3.7, message(plotted), style.NARROW)
    several = len(depths) > 1
    shape = (len(STATISTICS), len(depths)) if several else (1, len(STATISTICS))
    axes = page.subplots(*shape, squeeze=False, sharex=True, sharey="row" if several else "none")
    axes = axes.reshape(len(STATISTICS), len(depths))
    for depth, column in zip(depths, axes.T, strict=True):
        rows = plotted[plotted["depth"] == depth]
        for place, (statistic, panel) in enumerate(zip(STATISTICS, column, strict=True)):
            draw(panel, rows, statistic)
            panel.set(xlabel="training step", ylabel=STATISTICS[statistic])
            first = place == 0 or not several
            lines = _key(rows, place, several) if first else []
            labels.header(panel, f"depth {depth}, {labels.n_of(rows['seeds'])}" if first else "", lines)
    return page, plotted


def _key(rows: pd.DataFrame, place: int, several: bool) -> list[list[tuple[str, labels.Colour]]]:
    """Names of the starts, a line each: half of them over each panel where one depth has two panels."""
    others = _others(rows)
    names = rows.drop_duplicates("case").sort_values("initialisation", key=lambda start: start != "identity")
    words = []
    for _, start in names.iterrows():
        look = _look(others.index(start["case"]) if start["case"] in others else None)
        words.append([(f"{GLYPHS[look['marker']]} {_label(start)}", look["color"])])
    half = -(-len(words) // 2)
    return words if several else (words[half:] + [[]] * (2 * half - len(words)) if place else words[:half])


def curves(measures: pd.DataFrame) -> pd.DataFrame:
    """Median and interval over seeds along training, for all experiments with snapshots at the most common step size.

    A network that stopped keeps its last value.

    Raises:
        EmptyFigureError: if no experiment kept snapshots.
    """
    rows = frames.along_training(frames.networks(measures)).dropna(subset=["setting"])
    cure = "set `snapshots` of an experiment in config.yaml"
    rows = frames.main_task(frames.present(rows, "network along training", cure))
    rows = rows[rows["setting"].eq(rows["setting"].mode().iloc[0])]
    rows = rows.sort_values([*EXPERIMENT, "seed", "step", "final"]).drop_duplicates(
        [*EXPERIMENT, "seed", "step"], keep="last"
    )
    tables = {}
    for key, replicas in rows.groupby(EXPERIMENT):
        for statistic in STATISTICS:
            values = replicas.pivot(index="step", columns="seed", values=statistic).ffill()  # noqa: PD010
            spread = values.quantile([0.5, frames.LOW, frames.HIGH], axis=1).T
            spread = spread.set_axis(["median", "low", "high"], axis=1)
            lost = replicas.loc[replicas["final"] & replicas["diverged"], "seed"].nunique()
            tables[(*key, statistic)] = spread.assign(seeds=len(values.columns), diverged=lost)
    return pd.concat(tables, names=[*EXPERIMENT, "statistic"]).reset_index()


def message(plotted: pd.DataFrame) -> str:
    """The figure's one sentence: where sharpness ends, from zero residuals and from elsewhere."""
    ratio = plotted[plotted["statistic"] == "sharpness_ratio"].sort_values("step")
    ends = ratio.dropna(subset=["median"]).groupby(["case", "initialisation", "depth"])["median"].last()
    zero = ends.index.get_level_values("initialisation") == "identity"
    words = []
    if zero.any():
        words.append(f"zero residuals end {'at' if (ends[zero] <= AT_LEAST).all() else 'above'} the least sharpness")
    if not zero.all():
        above = labels.how_many(int((ends[~zero] > AT_LEAST).sum()), int((~zero).sum()))
        words.append(f"other starts end above {'it' if words else 'the least sharpness'} {above}")
    text = ", ".join(words)
    return text[:1].upper() + text[1:]


def _others(rows: pd.DataFrame) -> list[str]:
    """The experiments that do not start with zero residuals, in the order of their looks."""
    return sorted(rows.loc[rows["initialisation"] != "identity", "case"].unique())


def draw(panel: Axes, rows: pd.DataFrame, statistic: str) -> None:
    """Draw one statistic along training, a curve per experiment."""
    panel.axhline(1, color=style.THEORY, lw=0.8, zorder=0)
    others = _others(rows)
    for experiment, curve in rows[rows["statistic"] == statistic].groupby("case"):
        look = _look(others.index(str(experiment)) if experiment in others else None)
        panel.fill_between(curve["step"], curve["low"], curve["high"], color=look["color"], alpha=0.15, lw=0)
        panel.plot(curve["step"], curve["median"], ms=3.5, **look)
    panel.set_xscale("symlog", linthresh=1)
    panel.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1))
    panel.xaxis.set_major_formatter(
        FuncFormatter(lambda step, _: "0" if step == 0 else f"$10^{{{len(f'{step:.0f}') - 1}}}$")
    )
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(left=0)
    if statistic == "sharpness_ratio":
        panel.set_yscale("log")
        style.plain_log(panel.yaxis)


def _look(place: int | None) -> dict[str, Any]:
    if place is None:
        return {"color": style.GREEN, "ls": "-", "marker": "o", "zorder": 3}
    k = place % len(COLOURS)
    return {"color": COLOURS[k], "ls": LINES[place % len(LINES)], "marker": MARKERS[k]}


def _label(row: pd.Series) -> str:
    start = STARTS.get(row["initialisation"]) or str(row["initialisation"]).replace("_", " ")
    start += "" if row["family"] in frames.LINEAR else f" ({style.FAMILY_LABEL[row['family']]})"
    return start + (f", {row['diverged']} of {row['seeds']} diverged" if row["diverged"] else "")
