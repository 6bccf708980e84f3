"""Sharpness and path cosine along training, from zero residuals and from other initialisations (M1)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, SymmetricalLogLocator

from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed

COLUMNS = 4
STATISTICS = {"sharpness_ratio": style.RATIO, "path_cosine": "path cosine,\nworst interface"}
EXPERIMENT = ["experiment", "family", "task", "initialisation", "step_fraction", "depth"]
COLOURS = [style.BLUE, style.ORANGE, style.VERMILION, style.PINK, style.BROWN, style.GREY]
LINES = [style.DASHED, style.DOTTED, style.DASHDOT]
MARKERS = "s^vDPX"
FLATTEST = "flattest minimum"


@style.styled
def training(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to its minimum, and path cosine, against the training step; a column per depth.

    Returns:
        The figure, and its curves: per experiment, depth, step and statistic the median and interval over seeds.

    Raises:
        EmptyFigureError: if no experiment kept snapshots.
    """
    plotted = curves(measures)
    depths = selection.spread(plotted["depth"], COLUMNS)
    plotted = plotted[plotted["depth"].isin(depths)].reset_index(drop=True)
    page = style.figure(5.2 if len(depths) > 1 else 3.8, message(plotted))
    several = len(depths) > 1
    shape = (len(STATISTICS), len(depths)) if several else (1, len(STATISTICS))
    axes = page.subplots(*shape, squeeze=False, sharex=True, sharey="row" if several else "none")
    axes = axes.reshape(len(STATISTICS), len(depths))
    for depth, column in zip(depths, axes.T, strict=True):
        for panel in column[:1] if several else column:
            panel.set_title(f"depth {depth}")
        for statistic, panel in zip(STATISTICS, column, strict=True):
            draw(panel, plotted[plotted["depth"] == depth], statistic)
    for panel in axes[-1] if several else axes.flat:
        panel.set_xlabel("training step")
    for label, row in zip(STATISTICS.values(), axes, strict=True):
        row[0].set_ylabel(label)
    style.legend_below(page, list(axes.flat), columns=2, last=(FLATTEST,))
    return page, plotted


def curves(measures: pd.DataFrame) -> pd.DataFrame:
    """Median and interval over seeds along training, for all experiments with snapshots at the most common step size.

    A network that stopped keeps its last value.

    Raises:
        EmptyFigureError: if no experiment kept snapshots.
    """
    rows = selection.along_training(selection.networks(measures)).dropna(subset=["step_fraction"])
    cure = "set `snapshots` of an experiment in config.yaml"
    rows = selection.main_task(selection.present(rows, "training", "network along training", cure))
    rows = rows[rows["step_fraction"].eq(rows["step_fraction"].mode().iloc[0])]
    rows = rows.sort_values([*EXPERIMENT, "seed", "step", "final"]).drop_duplicates(
        [*EXPERIMENT, "seed", "step"], keep="last"
    )
    tables = {}
    for key, replicas in rows.groupby(EXPERIMENT):
        for statistic in STATISTICS:
            values = replicas.pivot(index="step", columns="seed", values=statistic).ffill()  # noqa: PD010
            spread = values.quantile([0.5, selection.LOW, selection.HIGH], axis=1).T
            tables[(*key, statistic)] = spread.set_axis(["median", "low", "high"], axis=1)
    return pd.concat(tables, names=[*EXPERIMENT, "statistic"]).reset_index()


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: where sharpness ends, from zero residuals and from elsewhere."""
    ratio = plotted[plotted["statistic"] == "sharpness_ratio"].sort_values("step")
    ends = ratio.dropna(subset=["median"]).groupby(["experiment", "initialisation", "depth"])["median"].last()
    zero = ends.index.get_level_values("initialisation") == "identity"
    found = [
        f"{name} " + " to ".join(dict.fromkeys(f"{end:#.3g}" for end in (group.min(), group.max())))
        for name, group in (("from zero residuals", ends[zero]), ("from other starts", ends[~zero]))
        if len(group)
    ]
    return (
        f"Sharpness at the end of training, relative to its minimum:\n{', '.join(found)} "
        f"(median over seeds, task {plotted['task'].iloc[0]})"
    )


def draw(panel: Axes, rows: pd.DataFrame, statistic: str) -> None:
    """Draw one statistic along training, a curve per experiment."""
    panel.axhline(1, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=FLATTEST)
    others = sorted(rows.loc[rows["initialisation"] != "identity", "experiment"].unique())
    for experiment, curve in rows[rows["statistic"] == statistic].groupby("experiment"):
        place = others.index(experiment) if experiment in others else None
        look = _look(place)
        panel.fill_between(curve["step"], curve["low"], curve["high"], color=look["color"], alpha=0.15, lw=0)
        panel.plot(curve["step"], curve["median"], label=_label(curve), ms=3.5, **look)
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


def _label(curve: pd.DataFrame) -> str:
    initialisation, family = curve["initialisation"].iloc[0], curve["family"].iloc[0]
    return (
        "zero residuals"
        if initialisation == "identity"
        else f"{initialisation.replace('_', ' ')} ({style.FAMILY_LABEL[family]})"
    )
