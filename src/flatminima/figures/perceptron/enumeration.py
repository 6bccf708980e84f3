"""Theory against an exact count of all solutions of small instances (theory.md 3.4, last line)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.perceptron import selection

LOCAL = "local entropy less that of\nall weights (nats per weight)"
THEORY = "theory for large N"
LOOKS = [{"color": style.BLUE, "marker": "o"}, {"color": style.VERMILION, "marker": "s"}]
LOOKS += [{"color": style.GREEN, "marker": "^"}, {"color": style.GREY, "marker": "D"}]


@style.styled
def enumeration(_measures: pd.DataFrame, curves: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Exact local entropy at the largest size against distance, and exact entropy against N, with theory's values.

    Returns:
        The figure, and its points: panel, alpha, distance or N (x), exact, standard_error and theory.

    Raises:
        EmptyFigureError: if nothing was enumerated.
    """
    local = compared(curves, "exact_local")
    entropy = compared(curves, "exact_entropy").assign(x=lambda rows: rows["size"])
    size = local["size"].max()
    page = style.figure(3.6, message(entropy, claimed), style.NARROW)
    left, right = page.subplots(1, 2, width_ratios=[1.3, 1])
    _draw(left, local, local["alpha"].rank(method="dense"), {"ls": "-"})
    _draw(right, entropy, entropy.groupby("x")["alpha"].rank(method="first"), {"ls": "", "marker": "_", "ms": 22})
    left.set(xlabel=selection.DISTANCE, ylabel=LOCAL, title=f"Around solutions of margin 0, N = {size}")
    right.set(xlabel="N (weights)", ylabel=selection.ENTROPY, title=r"How many, at each $\alpha$")
    right.set_xticks(entropy["x"].unique())
    right.margins(x=0.25)
    left.legend(loc="lower left", borderaxespad=0.2)
    return page, pd.concat([local.assign(panel="local entropy"), entropy.assign(panel="entropy")], ignore_index=True)


def compared(curves: pd.DataFrame, name: str) -> pd.DataFrame:
    """A curve that was counted, beside theory's, where there are both.

    Returns:
        Columns size, alpha, x, exact, standard_error and theory.

    Raises:
        EmptyFigureError: if there is none.
    """
    exact, theory = (selection.curves(curves, curve) for curve in (name, f"{name}_theory"))
    exact = exact.rename(columns={"value": "exact", "error_bound": "standard_error"}).drop(columns="curve")
    rows = exact.assign(theory=theory["value"]).rename(columns={"y": "alpha"}).dropna(subset=["exact", "theory"])
    rows = rows.sort_values(["alpha", "x"], ignore_index=True)
    return rows[["size", "alpha", "x", "exact", "standard_error", "theory"]]


def message(entropy: pd.DataFrame, claimed: Claimed) -> str:
    """The figure's one message: how far theory is from what was counted, by the criterion that claim P1 asks."""
    findings = [finding for case in claimed.cases("P1") for finding in case.findings if finding.criterion == 1]
    asked = [finding.worst for finding in findings if finding.worst is not None]
    worst = max(asked, default=(entropy["exact"] - entropy["theory"]).abs().max())
    return f"Theory for large N counts the solutions of small perceptrons to within {worst:.3f} nats per weight"


def _draw(panel: Axes, rows: pd.DataFrame, group: pd.Series, theory: dict[str, Any]) -> None:
    """Draw what was counted, with standard errors, and theory's values, a colour for each group of rows."""
    for (_, line), look in zip(rows.sort_values("x").groupby(group), LOOKS, strict=False):
        panel.plot(line["x"], line["theory"], color=look["color"], lw=1, **theory)
        panel.errorbar(line["x"], line["exact"], line["standard_error"], ls="", capsize=2, **look)
        named = line if theory["ls"] == "" else line.iloc[[len(line) // 2]]
        for alpha, x, y in named[["alpha", "x", "exact"]].to_numpy():
            place = {"textcoords": "offset points", "ha": "center", "color": look["color"]}
            words, right = (selection.shown(alpha), 22) if len(named) == 1 else (f"{alpha:.3g}", 0)
            panel.annotate(words, (x, y), (right, 9), **place)
    panel.errorbar([], [], [], color="0.3", ls="", marker="o", capsize=2, label="counted, standard error")
    panel.plot([], [], color="0.3", lw=1, label=THEORY, **theory | {"ms": 9})
    panel.margins(y=0.12)
