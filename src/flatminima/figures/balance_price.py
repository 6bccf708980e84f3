"""How much sharper than necessary balanced minima are, against the condition of the inputs (theory I3, I6)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import selection, style, theory_selection
from flatminima.figures.claimed import Claimed

CEILING = "ceiling of any T and Sx (proved)"
RANDOM = "random problems (median, 5–95 %)"
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "size2": ("dearest found, 2 dimensions", {"marker": "o", "color": style.BLUE, "ms": 6}),
    "size3": ("dearest found, 3 dimensions", {"marker": "^", "color": style.VERMILION, "mfc": "white"}),
}
PRICE = "balanced sharpness / minimum"


@style.styled
def balance_price(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Price of balance against the condition of Sx, a panel for each depth.

    Returns:
        The figure, and its problems and searches, one row each.

    Raises:
        EmptyFigureError: if there is none.
    """
    plotted = prices(measures)
    page = style.figure(3.6, message(plotted))
    titles = {depth: panel_title(depth, rows) for depth, rows in plotted.groupby("depth")}
    axes = style.panels(page, plotted, "depth", titles, draw)
    axes[0].set_ylabel(PRICE)
    style.legend_below(page, axes, columns=2, last=[CEILING])
    return page, plotted


def prices(measures: pd.DataFrame) -> pd.DataFrame:
    """One row per random problem (`experiment` price_random) and per search (price_search).

    Returns:
        Columns experiment, size, depth, condition, seed, balance_price and price_ceiling.

    Raises:
        EmptyFigureError: if there is none.
    """
    rows = measures[measures["experiment"].isin(["price_random", "price_search"])]
    key = ["experiment", "initialisation", "depth", "task", "seed"]
    table = selection.pivot(rows, ["condition", "balance_price", "price_ceiling"], key)
    table = table.drop(columns="task").rename(columns={"initialisation": "size"})
    return theory_selection.present(table, "balance-price", "price of balance")


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: balanced minima can be sharper without limit, but none exceeds the ceiling."""
    counts = plotted["experiment"].value_counts()
    above = (plotted["balance_price"] > plotted["price_ceiling"] * (1 + theory_selection.ROUNDING)).sum()
    return (
        "Balanced minima can be sharper than necessary without limit\n"
        f"{above} of {counts.get('price_random', 0)} random problems and {counts.get('price_search', 0)} searches "
        "exceed the proved ceiling"
    )


def panel_title(depth: Any, rows: pd.DataFrame) -> str:
    """The depth, and as which power of the condition the dearest price grows: the slope of a line in logarithms.

    Beside it stands the power of the ceiling for large conditions.
    """
    dearest = rows.groupby("condition")["balance_price"].max()
    if len(dearest) == 1:
        return f"depth {depth}"
    slope = np.polyfit(np.log(dearest.index), np.log(dearest.to_numpy()), 1)[0]
    return f"depth {depth}: power {slope:.2f}, limit {1 - 1 / depth:.2f}"


def draw(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw the ceiling, the dearest problem found in each dimension, and the interval of random problems."""
    ceiling = rows.groupby("condition")["price_ceiling"].first()
    panel.plot(ceiling.index, ceiling, color="0.3", ls=style.DASHDOT, lw=1, zorder=0, label=CEILING)
    for size, (label, look) in LOOKS.items():
        found = rows[(rows["experiment"] == "price_search") & (rows["size"] == size)]
        dearest = found.groupby("condition")["balance_price"].max()
        panel.plot(dearest.index, dearest, ls="", label=label, **look)
    drawn = selection.quantiles(rows[rows["experiment"] == "price_random"], ["condition"], "balance_price")
    bars = np.abs(drawn[["low", "high"]].to_numpy().T - drawn["median"].to_numpy())
    panel.errorbar(drawn["condition"], drawn["median"], bars, fmt="s", color=style.ORANGE, lw=1, label=RANDOM)
    panel.set(xscale="log", yscale="log", xlabel="condition of Sx", xlim=_range(rows["condition"]))
    style.plain_log(panel.yaxis)


def _range(condition: pd.Series) -> tuple[float, float]:
    return condition.min() / 2, condition.max() * 2
