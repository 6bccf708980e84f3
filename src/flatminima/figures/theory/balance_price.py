"""How much sharper than necessary balanced minima are, against the condition of the inputs (theory I3, I6)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import frames, labels, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection

MARKERS = "os^D"
PRICE = "sharpness of balanced minima\n/ least sharpness"


@style.styled
def balance_price(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Price of balance of the dearest problems found, and of random ones, against the condition of Sx.

    Returns:
        The figure, and its problems and searches, one row each.

    Raises:
        EmptyFigureError: if there is none.
    """
    plotted = prices(measures)
    page = style.figure(4.4, message(plotted), style.NARROW)
    _draw(page.subplots(), plotted)
    return page, plotted


def prices(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per random problem (`case` price_random) and per search (price_search).

    Returns:
        Columns case, size, depth, condition, seed, balance_price and price_ceiling.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = selection.of_theory(measures)
    rows = rows[rows["case"].isin(["price_random", "price_search"])]
    key = ["case", "start", "depth", "setting", "seed"]
    table = frames.pivot(rows, ["balance_price", "price_ceiling"], key)
    table = table.rename(columns={"start": "size", "setting": "condition"})
    return selection.present(table, "balance-price", "price of balance")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether the price grows with the condition, and whether any exceeds the bound."""
    dearest = dearest_found(plotted).groupby("depth")["balance_price"]
    grows = bool(
        (dearest.last() > dearest.first()).all() and dearest.apply(lambda price: price.is_monotonic_increasing).all()
    )
    above = (plotted["balance_price"] > plotted["price_ceiling"] * (1 + selection.ROUNDING)).any()
    growth = (
        "keeps growing as inputs get further from white"
        if grows
        else "does not keep growing as inputs get further from white"
    )
    return f"The price of balance {growth}, and {'exceeds' if above else 'never exceeds'} the proved bound"


def dearest_found(plotted: pd.DataFrame) -> pd.DataFrame:
    """The dearest problem that searches found at each depth and condition, with its bound."""
    found = plotted[plotted["case"] == "price_search"]
    return found.groupby(["depth", "condition"])[["balance_price", "price_ceiling"]].max().reset_index()


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    for (depth, found), marker in zip(dearest_found(plotted).groupby("depth"), MARKERS, strict=False):
        panel.plot(found["condition"], found["price_ceiling"], color="0.3", ls=style.DASHDOT, lw=1)
        panel.plot(found["condition"], found["balance_price"], marker, color=selection.ZERO_RESIDUALS)
        end = found["condition"].iloc[-1], found["balance_price"].iloc[-1]
        panel.annotate(
            f"{depth} layers",
            end,
            (7, 0),
            textcoords="offset points",
            va="center",
            color=style.ink(selection.ZERO_RESIDUALS),
        )
    random = plotted[plotted["case"] == "price_random"]
    drawn = frames.quantiles(random, ["condition"], "balance_price")
    bars = np.abs(drawn[["low", "high"]].to_numpy().T - drawn["median"].to_numpy())
    panel.errorbar(drawn["condition"], drawn["median"], bars, fmt="D", color=style.CONTROL, lw=1)
    searches = (plotted["case"] == "price_search").sum()
    texts = {
        f"●■▲ dearest problems found ({searches} searches)": selection.ZERO_RESIDUALS,
        "lines: proved bound, one for each depth": style.THEORY,
        f"◆ random problems (n = {len(random)})": style.CONTROL,
    }
    labels.names(panel, texts)
    panel.set(xscale="log", yscale="log", xlabel="condition of the inputs (1: white)", ylabel=PRICE)
    panel.margins(x=0.22)
    style.plain_log(panel.yaxis)
