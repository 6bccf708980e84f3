"""The picture of the theory study for README.md: how flat a minimum can be, and which training ends there."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import strips, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

GROUPS = {
    "random": ("minima drawn at random", style.CONTROL, "^"),
    "closed": ("minima in closed form", style.BLUE, "o"),
    "white-default": ("white inputs, trained from a random start as PyTorch's", style.CONTROL, "^"),
    "white-flow": ("white inputs, trained from zero residuals", selection.ZERO_RESIDUALS, "o"),
    "coloured-default": ("other inputs, trained from a random start as PyTorch's", style.CONTROL, "^"),
    "coloured-flow": ("other inputs, trained from zero residuals", selection.ZERO_RESIDUALS, "o"),
}
"""Rows from top to bottom: made minima, where training on white inputs ends, and where training on others ends."""
ENDS: dict[tuple[bool | None, bool | None], str] = {
    (True, False): "zero residuals end there for white inputs only",
    (True, True): "zero residuals end there, whatever the inputs",
    (False, True): "zero residuals end there unless inputs are white",
    (False, False): "zero residuals need not end there",
}
"""Title's words on training, by whether gradient flow reaches the least for white inputs, and for others."""
UNDECIDED = "no minimum was found to be flatter"
LEFT = 0.75
"""Lower end of the axis: smaller values are drawn there."""


@style.styled
def theory_overview(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness relative to the least of all minima that claims I2, I3, M1 and M1c count: a row of points each group.

    Returns:
        The figure, and its points: one row per minimum.

    Raises:
        EmptyFigureError: if there is no minimum.
    """
    plotted = minima(measures, claimed)
    page = style.figure(4.6, message(plotted, claimed), style.NARROW)
    _draw(page.subplots(), plotted)
    return page, plotted


def minima(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The minima of each of GROUPS: constructed ones, and where gradient flow and its controls end.

    Returns:
        Columns group, case, control, depth, setting, seed, sharpness_ratio.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = pd.concat(
        [selection.selected(claimed, measures, name, "sharpness_ratio") for name in ("I2", "I3", "M1", "M1c")]
    )
    groups = rows["start"].map({"random": "random", "flattest": "closed"})
    trained = rows["start"].isin(["flow", "default"])
    groups = groups.where(~trained, rows["inputs"] + "-" + rows["start"])
    rows = rows.assign(group=groups, sharpness_ratio=rows["value"]).dropna(subset="group")
    columns = ["group", "case", "control", "depth", "setting", "seed", "sharpness_ratio"]
    rows = rows[columns].drop_duplicates(columns[1:-1])
    return selection.present(rows, "minimum").reset_index(drop=True)


def message(plotted: pd.DataFrame, claimed: Claimed) -> str:
    """The picture's one message: whether any minimum is flatter than the least, and where zero residuals reach it."""
    if (plotted["sharpness_ratio"] < 1 - selection.ROUNDING).any():
        return "Some minima are flatter than theory's least sharpness allows"
    flow = [case for case in claimed.cases("M1") if case.counted and case.setting is None]
    reached = selection.settled(flow), selection.settled(claimed.cases("M1c"))
    return f"Theory says how flat a minimum can be, and {ENDS.get(reached, UNDECIDED)}"


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    panel.set(xscale="log", xlim=(LEFT, 1.1 * plotted["sharpness_ratio"].max()), xlabel=style.OVER_LEAST)
    panel.axvspan(LEFT, 1, color="0.9", lw=0, zorder=0)
    panel.axvline(1, color="0.3", lw=1, zorder=0)
    panel.annotate(
        "no minimum is this flat",
        (LEFT, 0.5),
        (8, 0),
        panel.get_xaxis_transform(),
        "offset points",
        rotation=90,
        va="center",
    )
    style.plain_log(panel.xaxis)
    rows = {group: plotted.loc[plotted["group"] == group, "sharpness_ratio"] for group in GROUPS}
    looks = {group: {"marker": m, "color": c, "ms": 3, "mew": 0, "alpha": 0.7} for group, (_, c, m) in GROUPS.items()}
    names = {group: name for group, (name, *_) in GROUPS.items() if len(rows[group])}
    strips.draw(panel, [strips.Strip.counted(name, rows[group], looks[group]) for group, name in names.items()], 1)
