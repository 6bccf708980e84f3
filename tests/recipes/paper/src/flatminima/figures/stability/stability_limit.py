"""Distance from the minimum after gradient descent, against the step size (claim S1)."""

import pandas as pd
from matplotlib.figure import Figure

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed


@style.styled
def stability_limit(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Distance at the end over that at the start, a point for each loss and step size.

    Returns:
        The figure, and its runs, one row each.

    Raises:
        EmptyFigureError: if the claim asks about no run.
    """
    plotted = claimed.networks("S1", "distance_ratio")[["seed", "setting", "as_control", "counted", "value"]]
    frames.present(plotted, "run of gradient descent", "run a study of kind stability")
    page = style.figure(3.4, message(plotted), style.NARROW)
    panel = page.subplots()
    for as_control, colour in ((False, style.BLUE), (True, style.CONTROL)):
        rows = plotted[plotted["as_control"] == as_control]
        panel.plot(rows["setting"], rows["value"], "o", color=colour, alpha=0.5)
    panel.axhline(1, color="0.3", lw=1)
    panel.axvline(1, color="0.3", lw=1, ls="--")
    panel.annotate(f"n = {len(plotted)} runs", (0.02, 0.95), xycoords="axes fraction")
    panel.set(yscale="log", xlabel="step size / (2 / sharpness)", ylabel="distance at the end / start")
    return page, plotted


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether the limit separates runs that approach from runs that leave."""
    away = plotted["value"] > 1
    if away.equals(plotted["as_control"]):
        return "Gradient descent leaves a minimum at steps above 2 / sharpness, and at none below"
    return "The limit 2 / sharpness does not separate runs that leave from runs that stay"
