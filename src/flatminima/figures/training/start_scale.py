"""Does coupling beyond chance follow sharpness, or the scale of the start (M5)?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.claims.intervals import Interval, mean_interval
from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.training.deviations import CASE
from flatminima.figures.training.excess import excess
from flatminima.record import final

AXES = {"sharpness_ratio": style.OVER_LEAST, "start_scale": "scale of the start"}
DOUBLED = {"sharpness_ratio": "twice the sharpness", "start_scale": "twice the start"}
SIGNS = {"C1": -1, "C2": 1}
"""An effect above zero: small starts couple more (C1), sharp networks do (C2)."""
VERBS = {1: "rises with", -1: "falls with", 0: "changes in some cases with"}
JOINED = {"sharpness_ratio": "start_scale", "start_scale": "setting"}
NAMES = {"start_scale": "start ×", "setting": "step"}


@style.styled
def start_scale(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Excess of the path cosine over the nearest null against sharpness, and against the scale of the start.

    On the left networks of one scale are joined over step sizes, on the right those of one step size over scales.

    Returns:
        The figure, and its points: one row per network.

    Raises:
        EmptyFigureError: if no experiment sets the scale of its start.
    """
    plotted = points(measures)
    page = style.figure(4.2, message(claimed), style.NARROW)
    axes = page.subplots(1, 2, sharey=True)
    for panel, (x, slope) in zip(axes, slopes(plotted).items(), strict=True):
        _draw(panel, plotted, x)
        changed = f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]".replace("-", "−")
        count = f"{len(plotted)} networks, {labels.n_of(pd.Series([plotted['seed'].nunique()]))}"
        lines = [[(f"{DOUBLED[x]}: {changed}", style.THEORY)], [(count, style.THEORY)], *_key(plotted, JOINED[x])]
        labels.header(panel, AXES[x], lines)
    axes[0].set_ylabel("path cosine beyond chance")
    return page, plotted


def points(measures: pd.DataFrame) -> pd.DataFrame:
    """Final networks of experiments that set the scale of their start, those of the depth that most of them have.

    Returns:
        One row per network that did not diverge: CASE, seed, start_scale, sharpness_ratio, and as `excess` has them
        deviation, those of the nulls, and excess.

    Raises:
        EmptyFigureError: if there are none, or of one seed alone.
    """
    scales = frames.trained(final(measures[measures["statistic"] == "start_scale"]))
    frames.present(scales, "network whose start has a scale", "set `start_scale` of experiments")
    scales = scales[[*CASE, "seed", "value"]].rename(columns={"value": "start_scale"})
    rows = excess(measures[measures["case"].isin(scales["case"].unique())])
    rows = rows[rows["statistic"].eq("own_cosine") & rows["depth"].eq(rows["depth"].mode().iloc[0])]
    rows = rows.merge(scales, on=[*CASE, "seed"], validate="one_to_one").dropna(subset=["excess"])
    frames.present(rows[rows["seed"] > rows["seed"].min()], "network of a second seed", "raise `seeds`")
    return rows.drop(columns=["statistic", "diverged"]).sort_values([*CASE, "seed"], ignore_index=True)


def slopes(plotted: pd.DataFrame) -> dict[str, Interval]:
    """Change of the excess when sharpness, or the scale of the start, doubles and the other stays.

    For each seed the slope on log sharpness is that among networks of one scale, all scales together, whatever form the
    scale's own effect has; the slope on log scale is that of what is left. Means over seeds, Student's intervals.
    """
    logs = np.log2(plotted[list(AXES)])
    rows = plotted[["seed", "start_scale", "excess"]].assign(
        sharpness=logs["sharpness_ratio"], scale=logs["start_scale"]
    )
    fits = []
    for _, seed in rows.groupby("seed"):
        within = seed[["sharpness", "excess"]] - seed.groupby("start_scale")[["sharpness", "excess"]].transform("mean")
        sharpness = (within["sharpness"] * within["excess"]).sum() / (within["sharpness"] ** 2).sum()
        fits.append((sharpness, np.polyfit(seed["scale"], seed["excess"] - sharpness * seed["sharpness"], 1)[0]))
    return {name: mean_interval(values) for name, values in zip(AXES, np.transpose(fits), strict=True)}


def message(claimed: Claimed) -> str:
    """The figure's one sentence: what the start's scale does to coupling beyond chance (C1), and sharpness (C2)."""
    trends = {claim: _trend(claimed, claim, sign) for claim, sign in SIGNS.items()}
    if None in trends.values():
        return "Coupling beyond chance, against sharpness and the scale of the start"
    scale, sharpness = trends.values()
    return f"Coupling beyond chance {scale} the scale of the start; it {sharpness} sharpness"


def _trend(claimed: Claimed, claim: str, sign: int) -> str | None:
    """A verb for what the cases of a claim find, an effect above zero being a rise times the sign; None without any."""
    findings = [finding for case in claimed.cases(claim) for finding in case.findings]
    ends = [(f.low, f.high) for f in findings if f.low is not None and f.high is not None]
    signs = [sign * ((low > 0) - (high < 0)) for low, high in ends]
    if not signs:
        return None
    if any(signs):
        return VERBS[signs[0] if len(set(signs)) == 1 else 0]
    return "was not seen to change with"


def _key(plotted: pd.DataFrame, joined: str) -> list[list[tuple[str, labels.Colour]]]:
    """Names of the lines, in two rows."""
    looks = style.looks(plotted[joined])
    words = [(f"{labels.GLYPHS[look['marker']]} {value:g}", look["color"]) for value, look in looks.items()]
    first = [(NAMES[joined], style.THEORY), *words[:3]]
    return [first, words[3:]] if len(words) > 3 else [[], first]


def _draw(panel: Axes, plotted: pd.DataFrame, x: str) -> None:
    """Networks as dots, their means over seeds joined."""
    panel.axhline(0, color=style.THEORY, lw=1, zorder=0)
    joined = JOINED[x]
    other = "setting" if joined == "start_scale" else "start_scale"
    for value, look in style.looks(plotted[joined]).items():
        rows = plotted[plotted[joined] == value]
        panel.plot(rows[x], rows["excess"], **look | {"ls": ""}, ms=2.5, mew=0, alpha=0.4)
        means = rows.groupby(other)[[x, "excess"]].mean()
        panel.plot(means[x], means["excess"], **look, ms=4)
    panel.set(xscale="log", xlabel=AXES[x])
    style.plain_log(panel.xaxis)
