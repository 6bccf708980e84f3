"""Sharpness where gradient flow from zero residuals ends, against the predicted price of balance (I6, M1c)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

CLAIM = "I6"
MARGIN, ROOM = 0.04, 0.2
"""Around the points, and above them for their names, relative to their range."""


@style.styled
def predicted_price(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Sharpness ratio where runs end against the ratio that is predicted before any training.

    Returns:
        The figure, and its points: one row per run.

    Raises:
        EmptyFigureError: if no run of gradient flow arrived.
    """
    plotted = ends(measures, claimed)
    page = style.figure(4.6, message(plotted, selection.settled(claimed.cases(CLAIM))), style.NARROW)
    _draw(page.subplots(), plotted)
    return page, plotted


def ends(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The runs that I6 counts, and those of its control.

    Returns:
        Columns as_control, case, control, depth, setting, seed, balance_price (predicted), sharpness_ratio.

    Raises:
        EmptyFigureError: if no run of gradient flow arrived.
    """
    rows = selection.selected(claimed, measures, CLAIM, "price_error")
    selection.present(rows[~rows["as_control"]], "run of gradient flow that arrived")
    key = ["case", "control", "depth", "setting", "seed"]
    whole = measures[(measures["layer"] == 0) & measures["case"].isin(rows["case"].unique())]
    values = frames.pivot(whole, ["balance_price", "sharpness_ratio"], key)
    return rows[["as_control", *key]].merge(values, on=key, validate="many_to_one")


def message(plotted: pd.DataFrame, predicted: bool | None) -> str:
    """The figure's one message: whether zero residuals end where predicted, and how far above the least that is.

    Args:
        plotted: as `ends` returns it.
        predicted: whether I6 holds; None where that is not decided.
    """
    if predicted is None:
        return "Too few runs from zero residuals arrive to tell whether they end where the price of balance predicts"
    if not predicted:
        return "Zero residuals do not always end where the price of balance predicts"
    dearest = plotted.loc[~plotted["as_control"], "sharpness_ratio"].max()
    above = f"up to {dearest:.2f} times the least sharpness" if dearest > 1.001 else "at the least sharpness"
    return f"Zero residuals end where the price of balance predicts, {above}"


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    flow, control = plotted[~plotted["as_control"]], plotted[plotted["as_control"]]
    right, top = (float(plotted[name].max()) + MARGIN for name in ("balance_price", "sharpness_ratio"))
    panel.plot([1, right], [1, right], color="0.3", lw=1, zorder=1)
    panel.plot(control["balance_price"], control["sharpness_ratio"], "^", color=style.CONTROL, ms=3, alpha=0.4, mew=0)
    panel.plot(flow["balance_price"], flow["sharpness_ratio"], "o", color=selection.ZERO_RESIDUALS, ms=4, mew=0)
    texts = {
        f"● zero residuals, gradient flow (n = {len(flow):,})": selection.ZERO_RESIDUALS,
        "line: as predicted": style.THEORY,
        f"▲ control: random start as PyTorch's (n = {len(control):,})": style.CONTROL,
    }
    labels.names(panel, texts)
    panel.set(xlim=(1 - MARGIN, right), ylim=(1 - MARGIN, top + ROOM * (top - 1)))
    panel.set(xlabel="predicted: price of balance", ylabel=style.OVER_LEAST + "\nwhere training ends")
