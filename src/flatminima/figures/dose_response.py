"""How far linear networks stray from what the paper says of flattest minima, against their sharpness (M2, M3, M4)."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.claims.intervals import mean_interval
from flatminima.figures import selection, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.deviations import CASE, worst_deviations
from flatminima.figures.envelope import cosine_envelope, gain_envelope

STATISTICS = {
    "path_gain": "gain along the path, |log|",
    "product_norm": "largest gain, |log|",
    "path_cosine": "1 − path cosine",
    "left_residual": "left residual",
    "right_residual": "right residual",
}
NAMES = {name: name.replace("_", " ") for name in STATISTICS} | {"product_norm": "largest gain"}
ENVELOPES = {"path_gain": gain_envelope, "path_cosine": cosine_envelope}
COLUMNS = 3
EXCESS = r"$\lambda_{\max}$ / minimum − 1"
LEAST = 1e-3
"""Left and lower edge: what lies beyond is drawn there."""
ROUNDING = 1e-9


@style.styled
def dose_response(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Deviations in the worst layer against relative sharpness less one, of all linear networks at a minimum.

    Where theory says how far a global minimum of that sharpness can stray, it is drawn: a line per depth.

    Returns:
        The figure, and its points: one row per network.

    Raises:
        EmptyFigureError: if no linear network is at a minimum.
    """
    plotted = points(measures)
    shown = [name for name in STATISTICS if plotted[name].notna().any()]
    page = style.figure(1.1 + 2.3 * -(-len(shown) // COLUMNS), message(plotted))
    axes = page.subplots(-(-len(shown) // COLUMNS), COLUMNS, squeeze=False, sharex=True).flat
    for name, panel in zip(shown, axes, strict=False):
        _draw(panel, plotted, name)
        panel.set(title=STATISTICS[name], xlabel=EXCESS)
        panel.tick_params(labelbottom=True)
    for panel in axes:
        panel.axis("off")
    style.legend_below(page, page.axes, columns=2)
    return page, plotted


def points(measures: pd.DataFrame) -> pd.DataFrame:
    """Linear networks at a minimum, with their worst layers' deviations; not those measured along training.

    Returns:
        One row per network: CASE, seed, excess (sharpness ratio less one), STATISTICS, and for each of ENVELOPES a
        column `<statistic>_envelope`: how far a global minimum of that sharpness can stray at most.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.judged(selection.networks(measures))
    rows = rows[rows["family"].eq("linear") & rows["at_minimum"]]
    rows = rows.assign(excess=rows["sharpness_ratio"] - 1)[[*CASE, "seed", "excess"]]
    rows = rows.merge(worst_deviations(measures, list(STATISTICS)), on=[*CASE, "seed"], validate="one_to_one")
    selection.present(rows, "dose-response", "linear network of two layers or more at a minimum", "take more steps")
    for statistic, envelope in ENVELOPES.items():
        for depth in rows["depth"].unique():
            here = rows["depth"] == depth
            allowed = envelope(rows.loc[here, "excess"].clip(lower=0).to_numpy(), int(depth))
            rows.loc[here, f"{statistic}_envelope"] = allowed
    return rows.sort_values([*CASE, "seed"], ignore_index=True)


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: in how many cases each deviation falls, and how many networks break the envelope."""
    falls = []
    for statistic, name in NAMES.items():
        cases = [mean_interval(change) for change in changes(plotted, statistic) if len(change) > 1]
        if cases:
            falls.append(f"{name}\u00a0{sum(case.low > 0 for case in cases)}/{len(cases)}")
    outside = np.any([plotted[name] > plotted[f"{name}_envelope"] + ROUNDING for name in ENVELOPES], axis=0).sum()
    fall = "Cases where the deviation falls from each seed's sharpest minimum to its flattest (95\u00a0% intervals)"
    first = textwrap.fill(f"{fall}: {', '.join(falls)}" if falls else "Linear networks of one seed", 84)
    return f"{first}\nBeyond theory's limit: {outside} of {len(plotted)} networks"


def changes(plotted: pd.DataFrame, statistic: str) -> list[np.ndarray]:
    """By experiment and depth: of each seed, the deviation at its sharpest minimum less that at its flattest."""
    found = []
    for _, case in plotted.dropna(subset=[statistic]).groupby(["experiment", "depth"]):
        seeds = [seed.sort_values("excess")[statistic] for _, seed in case.groupby("seed") if len(seed) > 1]
        found.append(np.array([seed.iloc[-1] - seed.iloc[0] for seed in seeds]))
    return found


def _draw(panel: Axes, plotted: pd.DataFrame, statistic: str) -> None:
    excess = np.geomspace(plotted["excess"].clip(lower=LEAST).min() / 1.3, plotted["excess"].max() * 1.3, 100)
    for depth, look in style.looks(plotted["depth"]).items():
        rows = plotted[plotted["depth"] == depth].sort_values("excess")
        edged = rows[["experiment", "seed"]].join(rows[["excess", statistic]].clip(lower=LEAST))
        for _, seed in edged.groupby(["experiment", "seed"]):
            panel.plot(seed["excess"], seed[statistic], color=look["color"], lw=0.4, alpha=0.4, zorder=1)
        panel.plot(edged["excess"], edged[statistic], **look | {"ls": ""}, ms=3, alpha=0.6, mew=0)
        if statistic in ENVELOPES:
            panel.plot(excess, ENVELOPES[statistic](excess, int(depth)), **look | {"marker": ""}, lw=1.2)
        panel.plot([], [], **look, lw=1.2, label=f"depth {depth:.0f}; line: theory's limit")
    panel.set(xscale="log", yscale="log")
    for axis in (panel.xaxis, panel.yaxis):
        style.plain_log(axis)
