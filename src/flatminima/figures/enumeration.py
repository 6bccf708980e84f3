"""Theory against an exact count of all solutions of small instances (theory.md 3.4, last line)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import perceptron_selection, style
from flatminima.figures.claimed import Claimed

NAME = "enumeration"
LOCAL = "local entropy less that of\nall weights (nats per weight)"
THEORY = "theory for large N"
LOOKS = [{"color": style.BLUE, "marker": "o"}, {"color": style.VERMILION, "marker": "s"}]
LOOKS += [{"color": style.GREEN, "marker": "^"}, {"color": style.GREY, "marker": "D"}]


@style.styled
def enumeration(_measures: pd.DataFrame, curves: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Exact local entropy at the largest size against distance, and exact entropy against 1 / N, with theory's values.

    Returns:
        The figure, and its points: panel, alpha, distance or 1 / N (x), exact, standard_error and theory.

    Raises:
        EmptyFigureError: if nothing was enumerated.
    """
    local, entropy = compared(curves, "exact_local"), compared(curves, "exact_entropy")
    size = round(1 / entropy["x"].min())
    page = style.figure(4.0, message(local, entropy, size))
    left, right = page.subplots(1, 2)
    _draw(left, local, local["alpha"].rank(method="dense"), {"ls": "-"})
    _draw(right, entropy, entropy.groupby("x")["alpha"].rank(method="first"), {"ls": "", "marker": "_", "ms": 16})
    left.set(xlabel=perceptron_selection.DISTANCE, ylabel=LOCAL, title=f"Around solutions of margin 0, N = {size}")
    right.set(xlabel="1 / N (N weights)", ylabel=perceptron_selection.ENTROPY, title="Number of solutions")
    right.set(xlim=(0, 1.1 * entropy["x"].max()))
    for panel in (left, right):
        style.legend_under(panel, last=[THEORY])
    return page, pd.concat([local.assign(panel="local entropy"), entropy.assign(panel="entropy")], ignore_index=True)


def compared(curves: pd.DataFrame, name: str) -> pd.DataFrame:
    """A curve that was counted, beside theory's, where there are both.

    Returns:
        Columns alpha, x, exact, standard_error and theory.

    Raises:
        EmptyFigureError: if there is none.
    """
    exact, theory = (perceptron_selection.curves(curves, NAME, curve) for curve in (name, f"{name}_theory"))
    exact = exact.rename(columns={"value": "exact", "error_bound": "standard_error"}).drop(columns="curve")
    rows = exact.assign(theory=theory["value"]).rename(columns={"y": "alpha"}).dropna(subset=["exact", "theory"])
    rows = rows.sort_values(["alpha", "x"], ignore_index=True)
    return rows[["alpha", "x", "exact", "standard_error", "theory"]]


def message(local: pd.DataFrame, entropy: pd.DataFrame, size: int) -> str:
    """The figure's one message: how far theory is from what was counted."""
    worst, rough = ((rows["exact"] - rows["theory"]).abs().max() for rows in (entropy, local))
    return (
        f"All solutions of up to {size} weights counted: replica theory gives their number to within {worst:.3f} nats\n"
        f"per weight, and how many surround a solution to within {rough:.3f}"
    )


def _draw(panel: Axes, rows: pd.DataFrame, group: pd.Series, theory: dict[str, Any]) -> None:
    """Draw what was counted, with standard errors, and theory's values, a colour for each group of rows."""
    for (_, line), look in zip(rows.sort_values("x").groupby(group), LOOKS, strict=False):
        loads = " / ".join(f"{alpha:.3g}" for alpha in dict.fromkeys(line["alpha"]))
        panel.plot(line["x"], line["theory"], color=look["color"], lw=1, label="_theory", **theory)
        panel.errorbar(
            line["x"],
            line["exact"],
            line["standard_error"],
            ls="",
            capsize=2,
            label=rf"counted, $\alpha$ = {loads}",
            **look,
        )
    panel.plot([], [], color="0.3", lw=1, label=THEORY, **theory)
