"""Coupling of the layers of a flattest minimum at each interface: not at the first one (M3b, theory I4)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.claims.findings import Case
from flatminima.figures import strips, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "M3b"
STATISTIC = "left_residual"
FLOOR = np.finfo(float).eps
"""Residuals below rounding are drawn here."""
GROUPS = {
    "white": ("white inputs, every interface", style.BLUE, "o"),
    "later": ("inputs not white, interfaces after the first", style.BLUE, "o"),
    "first": ("inputs not white, first interface", style.VERMILION, "o"),
    "control": ("random minima, first interface", style.CONTROL, "^"),
}


@style.styled
def first_interface(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Left residuals of flattest minima at the first interface and after it, a row of points for each kind of inputs.

    Returns:
        The figure, and its points: one row per minimum and interface.

    Raises:
        EmptyFigureError: if there is no flattest minimum on inputs that are not white.
    """
    plotted = residuals(measures, claimed)
    page = style.figure(3.7, message(claimed.cases(CLAIM)), style.NARROW)
    _draw(page.subplots(), plotted, float(claimed.claim(CLAIM).criteria[0].at_most or 0))
    return page, plotted


def residuals(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """Left residuals at every interface of the minima of CLAIM, of its control, and of flattest ones on white inputs.

    Returns:
        Columns group (a key of GROUPS), case, control, depth, seed, layer and residual.

    Raises:
        EmptyFigureError: if there is no flattest minimum on inputs that are not white.
    """
    chosen = selection.selected(claimed, measures, CLAIM, STATISTIC)
    chosen = selection.present(chosen, "flattest minimum on inputs that are not white")
    rows = measures[measures["statistic"].eq(STATISTIC) & measures["layer"].gt(0)]
    key = ["case", "control", "depth", "seed"]
    own = rows.merge(chosen[[*key, "as_control"]], on=key, validate="many_to_one")
    kind = np.where(own["layer"] > 1, "later", "first")
    own = own.assign(group=np.where(own["as_control"], np.where(own["layer"] > 1, "", "control"), kind))
    white = rows[rows["case"] == "flattest_white"].assign(group="white")
    shown = pd.concat([white, own[own["group"] != ""]], ignore_index=True)
    return shown[["group", *key, "layer", "value"]].rename(columns={"value": "residual"})


def message(cases: list[Case]) -> str:
    """The figure's one message: whether the first two layers of a flattest minimum are coupled, whatever the inputs."""
    where = "Where inputs are not white, the first two layers of a flattest minimum are"
    if all(case.holds for case in cases):
        return f"{where} coupled, too"
    if any(case.refutes for case in cases):
        return f"{where} not coupled" if all(case.refutes for case in cases) else f"{where} not always coupled"
    return f"{where} not found to be coupled, nor to be uncoupled"


def _draw(panel: Axes, plotted: pd.DataFrame, limit: float) -> None:
    panel.set(xscale="log", xlim=(FLOOR / 2, 100), xlabel="left residual  |W Wᵀp − s p| / s  (0: coupled)")
    panel.axvline(limit, color="0.3", lw=1, ls=style.DASHDOT, zorder=0)
    panel.annotate(
        f"M3b: below {limit:g}",
        (limit, 1),
        (-3, -2),
        panel.get_xaxis_transform(),
        "offset points",
        ha="right",
        va="top",
    )
    rows = {group: plotted.loc[plotted["group"] == group, "residual"].clip(lower=FLOOR) for group in GROUPS}
    looks = {group: {"marker": m, "color": c, "ms": 3.5, "mew": 0} for group, (_, c, m) in GROUPS.items()}
    names = {group: name for group, (name, *_) in GROUPS.items() if len(rows[group])}
    strips.draw(panel, [strips.Strip.counted(name, rows[group], looks[group]) for group, name in names.items()])
