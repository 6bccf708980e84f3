"""Closest approach of searches to minima that would break theory's statements (theory I2 to I5)."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import strips, style
from flatminima.figures.claimed import Claimed
from flatminima.figures.theory import selection


class Search(NamedTuple):
    """Searches of one case or of its control: the claim that they attack, or whose control they are, and its words."""

    claim: str
    as_control: bool
    case: str
    control: str
    name: str


SEARCHES = (
    Search("I2", False, "attack_white", "", "I2: sharpness ≥ the least for white inputs"),
    Search("I2", True, "attack_white", "planted", "false: I2 with the Frobenius norm"),
    Search("I2", True, "attack_coloured", "", "false: I2 where inputs are not white"),
    Search("I3", False, "attack_bound", "", "I3: sharpness ≥ the least for any inputs"),
    Search("I3", True, "attack_bound", "planted", "false: I3 with each factor at its own best"),
    Search("I4", False, "attack_path", "", "I4: sharpness ≥ the mean along the path"),
    Search("I4", True, "attack_path", "planted", "false: I4 with the largest term"),
    Search("I5", False, "attack_band", "", "I5: band ≥ largest gain"),
    Search("I5", True, "attack_band", "planted", "false: I5 with the band of white inputs"),
)
"""Statements that searches attack, in the order of the figure."""


@style.styled
def attacks(measures: pd.DataFrame, _details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Every attempt to break a statement of theory, or a false one near it: a row of points for each statement.

    Returns:
        The figure, and its points: one row per attempt.

    Raises:
        EmptyFigureError: if there is no attempt to break a statement.
    """
    plotted = attempts(measures, claimed)
    page = style.figure(5.4, message(plotted), style.NARROW)
    _draw(page.subplots(), plotted)
    return page, plotted


def attempts(measures: pd.DataFrame, claimed: Claimed) -> pd.DataFrame:
    """The attempts that the claims of SEARCHES count.

    Returns:
        Columns claim, as_control, case, control, condition, start, depth, seed, approach (left side / right side at its
        least) and broken (whether that is below one by more than rounding).

    Raises:
        EmptyFigureError: if there is none.
    """
    claims = dict.fromkeys(search.claim for search in SEARCHES)
    chosen = {claim: selection.selected(claimed, measures, claim, "inequality_ratio") for claim in claims}
    rows = pd.concat([rows.assign(claim=claim) for claim, rows in chosen.items()], ignore_index=True)
    rows = selection.present(rows, "attempt to break a statement")
    rows = rows.rename(columns={"value": "approach"})
    rows = rows.assign(broken=rows["approach"] < 1 - selection.ROUNDING)
    network = ["case", "control", "condition", "start", "depth", "seed"]
    return rows[["claim", "as_control", *network, "approach", "broken"]]


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: whether any search breaks a statement, and whether each false one is broken."""
    true, false = plotted[~plotted["as_control"]], plotted[plotted["as_control"]]
    broken = sorted(true.loc[true["broken"], "claim"].unique())
    if broken:
        return f"Searches break what theory states: {', '.join(broken)}"
    caught = false.groupby(["claim", "case", "control"])["broken"].any().all()
    controls = "each false statement beside it is broken" if caught else "not each false statement beside it is broken"
    return f"No search breaks what theory states, and {controls}"


def _draw(panel: Axes, plotted: pd.DataFrame) -> None:
    rows = []
    for search in SEARCHES:
        own = (plotted["case"] == search.case) & (plotted["control"] == search.control)
        shown = plotted[(plotted["claim"] == search.claim) & own]
        colour, marker = (style.CONTROL, "^") if search.as_control else (style.BLUE, "o")
        if len(shown):
            look = {"marker": marker, "color": colour, "ms": 2.5, "mew": 0, "alpha": 0.7}
            rows.append(strips.Strip(f"{search.name}: {_share(shown['broken'])} broken", shown["approach"], look))
    panel.set(xlim=(0, 1.3), xlabel="left side / right side at the closest approach of each attempt")
    panel.axvspan(0, 1, color="0.93", lw=0, zorder=0)
    panel.axvline(1, color="0.3", lw=1, zorder=0)
    strips.draw(panel, rows)


def _share(broken: pd.Series) -> str:
    return f"{broken.sum():,} of {len(broken):,}"
