"""Deviations of linear networks from the paper's properties of flattest minima, against sharpness (M2, M3, M4)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.training.compared import NETWORK
from flatminima.figures.training.deviations import CASE, worst_deviations
from flatminima.figures.training.envelope import cosine_envelope, gain_envelope

CLAIMS = {"path_gain": "M4", "product_norm": "M2", "left_residual": "M3", "right_residual": "M3"}
"""Whose criteria compare each statistic at the sharpest minimum of a seed with that at its flattest."""
STATISTICS = {
    "path_gain": "gain along the path, |log|",
    "product_norm": "largest gain, |log|",
    "path_cosine": "1 − path cosine",
    "left_residual": "left residual",
    "right_residual": "right residual",
}
ENVELOPES = {"path_gain": gain_envelope, "path_cosine": cosine_envelope}
COLUMNS = 2
EXCESS = "sharpness / least sharpness − 1"
LEAST = 1e-3
"""Left and lower edge: what lies beyond is drawn there."""
ROUNDING = 1e-9


@style.styled
def dose_response(_measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Deviations in the worst layer against relative sharpness less one, of the linear networks that claim M4 counts.

    Where theory says how far a global minimum of that sharpness can stray, it is drawn: a line per depth.

    Returns:
        The figure, and its points: one row per network.

    Raises:
        EmptyFigureError: if the claim counts no network.
    """
    plotted = points(claimed)
    shown = [name for name in STATISTICS if plotted[name].notna().any()]
    lines = -(-len(shown) // COLUMNS)
    page = style.figure(0.9 + 2.3 * lines, message(claimed), style.NARROW)
    axes = list(page.subplots(lines, COLUMNS, squeeze=False, sharex=True).flat)
    for place, (name, panel) in enumerate(zip(shown, axes, strict=False)):
        _draw(panel, plotted, name)
        panel.set_xlabel(EXCESS)
        panel.tick_params(labelbottom=True)
        outcome = (_outcome(plotted, claimed, name), style.THEORY)
        labels.header(panel, STATISTICS[name], [*_key(plotted, place), [outcome]])
    for panel in axes[len(shown) :]:
        panel.axis("off")
    return page, plotted


def points(claimed: Claimed) -> pd.DataFrame:
    """The networks that claim M4 counts where it compares minima of different sharpness, with their deviations.

    Returns:
        One row per network: CASE, seed, excess (sharpness ratio less one), STATISTICS in the worst layer, and for each
        of ENVELOPES a column `<statistic>_envelope`: how far a global minimum of that sharpness can stray at most.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = claimed.counted(CLAIMS["path_gain"], "path_gain").dropna(subset=["dose"])
    cure = "add linear networks of two layers or more, or more steps"
    frames.present(rows, "linear network at a minimum", cure)
    rows = rows.assign(excess=rows["dose"] - 1)[[*NETWORK, "excess"]]
    worst = frames.trained(worst_deviations(claimed.measures, list(STATISTICS))).drop(columns="control")
    rows = rows.merge(worst, on=NETWORK, validate="one_to_one")
    for statistic, envelope in ENVELOPES.items():
        for depth in rows["depth"].unique():
            here = rows["depth"] == depth
            allowed = envelope(rows.loc[here, "excess"].clip(lower=0).to_numpy(), int(depth))
            rows.loc[here, f"{statistic}_envelope"] = allowed
    envelopes = [f"{statistic}_envelope" for statistic in ENVELOPES]
    return rows[[*CASE, "seed", "excess", *STATISTICS, *envelopes]].sort_values([*CASE, "seed"], ignore_index=True)


def message(claimed: Claimed) -> str:
    """The figure's one sentence: in how many cases a seed's flattest minimum strays less than its sharpest."""
    found = [change for statistic in CLAIMS for change in changes(claimed, statistic)]
    falling = sum(low > 0 for low, _ in found)
    if not found:
        return "Deviations from a flattest minimum, against sharpness; too few seeds to compare"
    if not falling:
        return "Flatter minima were not seen to be more balanced or coupled"
    return f"{labels.how_many(falling, len(found)).capitalize()}, flatter minima are more balanced and coupled"


def changes(claimed: Claimed, statistic: str) -> list[tuple[float, float]]:
    """Ends of the intervals by which a deviation falls from the sharpest minimum of a seed to its flattest, by case."""
    claim = claimed.claim(CLAIMS[statistic])
    return [
        (finding.low, finding.high)
        for case in claimed.cases(claim.id)
        for finding in case.findings
        if claim.criteria[finding.criterion].statistic == statistic
        and claim.criteria[finding.criterion].contrast is not None
        and finding.low is not None
        and finding.high is not None
    ]


def _outcome(plotted: pd.DataFrame, claimed: Claimed, statistic: str) -> str:
    """Count the cases in which a deviation falls, and the networks beyond theory's limit."""
    found = changes(claimed, statistic) if statistic in CLAIMS else []
    words = [f"falls in {sum(low > 0 for low, _ in found)}/{len(found)} cases"] if found else []
    if statistic in ENVELOPES:
        outside = (plotted[statistic] > plotted[f"{statistic}_envelope"] + ROUNDING).sum()
        words.append(f"above the limit: {outside}/{len(plotted)}")
    return "; ".join(words)


def _key(plotted: pd.DataFrame, place: int) -> list[list[tuple[str, labels.Colour]]]:
    """Names of the depths over the first panel, the number of seeds over the second."""
    if place == 1:
        cases = plotted.groupby(["case", "depth"])["seed"].nunique()
        return [[(f"{len(plotted)} networks, {labels.n_of(cases)}", style.THEORY)]]
    looks = style.looks(plotted["depth"])
    words = [(f"{labels.GLYPHS[look['marker']]} {depth:.0f}", look["color"]) for depth, look in looks.items()]
    return [[("depth", style.THEORY), *words]] if place == 0 else []


def _draw(panel: Axes, plotted: pd.DataFrame, statistic: str) -> None:
    excess = np.geomspace(plotted["excess"].clip(lower=LEAST).min() / 1.3, plotted["excess"].max() * 1.3, 100)
    for depth, look in style.looks(plotted["depth"]).items():
        rows = plotted[plotted["depth"] == depth].sort_values("excess")
        edged = rows[["case", "seed"]].join(rows[["excess", statistic]].clip(lower=LEAST))
        for _, seed in edged.groupby(["case", "seed"]):
            panel.plot(seed["excess"], seed[statistic], color=look["color"], lw=0.4, alpha=0.4, zorder=1)
        panel.plot(edged["excess"], edged[statistic], **look | {"ls": ""}, ms=3, alpha=0.6, mew=0)
        if statistic in ENVELOPES:
            panel.plot(excess, ENVELOPES[statistic](excess, int(depth)), **look | {"marker": ""}, lw=1.2)
    panel.set(xscale="log", yscale="log")
    for axis in (panel.xaxis, panel.yaxis):
        style.plain_log(axis)
    if statistic in ENVELOPES:
        panel.text(0.03, 0.97, "lines: theory's limit", transform=panel.transAxes, size=labels.SIZE, va="top")
