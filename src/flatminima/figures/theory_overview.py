"""The picture of the theory study for README.md: the bound, where training ends, the growing step, the attacks."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.figures import attacks, catapult, least_sharpness, selection, step_size, style, theory_selection
from flatminima.figures.claimed import Claimed
from flatminima.figures.overview import Drawing, Table, available

DEEPEST = 3


@style.styled
def theory_overview(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """One panel per result of the theory study; panels without data are left out.

    Returns:
        The figure, and what its panels show: rows of the other figures' tables behind a column `panel`.

    Raises:
        EmptyFigureError: if there is nothing to draw in any panel.
    """
    shown = available(measures, PANELS)
    columns, lines = min(2, len(shown)), -(-len(shown) // 2)
    page = style.figure(0.5 + 3.2 * lines, message(measures))
    axes = page.subplots(lines, columns, squeeze=False)
    for panel in axes.flat[len(shown) :]:
        panel.set_visible(False)
    for panel, (name, rows) in zip(axes.flat, shown.items(), strict=False):
        PANELS[name][1](panel, rows)
        panel.set_title(", ".join([name, *_only_inputs(rows)]))
        style.legend_under(panel)
    return page, pd.concat([rows.assign(panel=name) for name, rows in shown.items()], ignore_index=True)


def message(measures: pd.DataFrame) -> str:
    """What the picture stands on, and how much of it violates theory."""
    minima, attempts = theory_selection.constructed(measures), theory_selection.attempts(measures)
    attempts = attempts[~attempts["planted"] & (attempts["statement"] != theory_selection.CONTROL)]
    excess = pd.concat([minima["sharpness_ratio"] - 1, attempts["approach"]])
    violations = (excess < -theory_selection.ROUNDING).sum()
    runs = len(theory_selection.runs(measures))
    return (
        f"Theory of flat minima: {violations} violations in {len(minima):,} constructed minima\n"
        f"and in {len(attempts):,} attempts to break it; {runs:,} training runs"
    )


def _only_inputs(rows: pd.DataFrame) -> list[str]:
    kinds = theory_selection.inputs_of(rows) if "inputs" in rows else []
    return [theory_selection.INPUTS[inputs] for inputs in kinds if len(kinds) == 1]


def _minima(measures: pd.DataFrame) -> pd.DataFrame:
    rows = least_sharpness.minima(measures)
    return rows[rows["inputs"] == theory_selection.inputs_of(rows)[-1]]


def _draw_minima(panel: Axes, rows: pd.DataFrame) -> None:
    least_sharpness.draw(panel, rows)
    panel.set_ylabel(style.SHARPNESS)


def _steps(measures: pd.DataFrame) -> pd.DataFrame:
    rows = _moderate(step_size.ends(measures))
    rows = rows[(rows["map"] != "reflected") & (rows["inputs"] == theory_selection.inputs_of(rows)[0])]
    return theory_selection.present(rows, "theory-overview", "training run on maps that are not reflected")


def _draw_steps(panel: Axes, rows: pd.DataFrame) -> None:
    step_size.draw(panel, rows, step_size.ceiling(rows))
    panel.set(xlabel=step_size.STEP, ylabel=style.RATIO)


def _descents(measures: pd.DataFrame) -> pd.DataFrame:
    return _moderate(catapult.descents(measures))


def _draw_descents(panel: Axes, rows: pd.DataFrame) -> None:
    catapult.draw(panel, rows)
    panel.set(xlabel=step_size.STEP, ylabel=style.RATIO)
    style.plain_log(panel.xaxis)


def _draw_attacks(panel: Axes, rows: pd.DataFrame) -> None:
    names = {name: label for name, label in theory_selection.STATEMENTS.items() if (rows["statement"] == name).any()}
    attacks.draw(panel, rows, "statement", names)
    panel.set_xlabel(attacks.APPROACH)


def _moderate(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["depth"] == selection.moderate_depth(rows["depth"], DEEPEST)]


PANELS: dict[str, tuple[Table, Drawing]] = {
    "Sharpness of minima": (_minima, _draw_minima),
    "Where training ends": (_steps, _draw_steps),
    "Sharpness under a growing step": (_descents, _draw_descents),
    "Attempts to break theory": (attacks.closest, _draw_attacks),
}
