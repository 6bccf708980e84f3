"""The picture of README.md: sharpness, gains, training and coupling, one panel each."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatminima.errors import EmptyFigureError
from flatminima.figures import gains, path_cosine, selection, sharpness, style, training
from flatminima.figures.claimed import Claimed

DEEPEST = 4
Table = Callable[[pd.DataFrame], pd.DataFrame]
Drawing = Callable[[Axes, pd.DataFrame], None]


@style.styled
def overview(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """One panel per property of flat minima, all at the largest depth up to DEEPEST; panels without data are left out.

    Returns:
        The figure, and what its panels show: the rows of the other figures' tables behind a column `panel`.

    Raises:
        EmptyFigureError: if there is nothing to draw in any panel.
    """
    depth = selection.moderate_depth(measures["depth"], DEEPEST)
    shown = available(measures[measures["depth"] == depth], PANELS)
    names = list(shown)
    grid: list[list[Any]] = [[names[k], names[min(k + 1, len(names) - 1)]] for k in range(0, len(names), 2)]
    page = style.figure(0.4 + 3.5 * len(grid), message(measures, depth))
    for name, panel in page.subplot_mosaic(grid).items():
        rows = shown[name]
        PANELS[name][1](panel, rows)
        panel.set_title(name)
        style.legend_under(panel, last=sharpness.REFERENCES)
    return page, pd.concat([rows.assign(panel=name) for name, rows in shown.items()], ignore_index=True)


def message(measures: pd.DataFrame, depth: int) -> str:
    """What the picture is about, and how many networks it stands on."""
    rows = selection.final(selection.networks(measures[measures["depth"] == depth]))
    controls = int(selection.is_control(rows).sum())
    return f"Flat minima at depth {depth}: {len(rows) - controls} trained networks and {controls} unbalanced controls"


def available(measures: pd.DataFrame, panels: dict[str, tuple[Table, Drawing]]) -> dict[str, pd.DataFrame]:
    """The tables of those panels for which there are data.

    Raises:
        EmptyFigureError: if there are none for any.
    """
    shown, missing = {}, []
    for name, (table, _) in panels.items():
        try:
            shown[name] = table(measures)
        except EmptyFigureError as error:
            missing.append(error)
    if not shown:
        raise missing[0]
    return shown


def _sweep(measures: pd.DataFrame) -> pd.DataFrame:
    rows = sharpness.sweeps(measures).dropna(subset=["step_size"])
    rows = rows[rows["optimiser"] != "adam"]
    selection.present(
        rows, "overview", "step sizes but those of Adam, which have no scale", "add an experiment with sgd"
    )
    return rows[rows["experiment"].isin(rows.drop_duplicates("family")["experiment"])]


def _draw_sweep(panel: Axes, rows: pd.DataFrame) -> None:
    sharpness.draw([panel], rows, style.series(rows))
    panel.set_ylabel(style.SHARPNESS)


def _path_gains(measures: pd.DataFrame) -> pd.DataFrame:
    rows = gains.profiles(measures)
    return rows[(rows["statistic"] == "path_gain") & rows["experiment"].eq(rows["experiment"].iloc[0])]


def _draw_gains(panel: Axes, rows: pd.DataFrame) -> None:
    gains.draw(panel, rows)
    panel.set(xlabel="layer k / m", ylabel="path gain, relative")


def _ratio(measures: pd.DataFrame) -> pd.DataFrame:
    rows = training.curves(measures)
    return rows[rows["statistic"] == "sharpness_ratio"]


def _draw_ratio(panel: Axes, rows: pd.DataFrame) -> None:
    training.draw(panel, rows, "sharpness_ratio")
    panel.set(xlabel="training step", ylabel=style.RATIO)


def _draw_cosines(panel: Axes, rows: pd.DataFrame) -> None:
    groups = [(block, kind) for block, _ in path_cosine.blocks_of(rows) for kind in ("trained", "unbalanced control")]
    for place, (block, kind) in enumerate(groups):
        values = rows.loc[(rows["block"] == block) & (rows["kind"] == kind), "path_cosine"]
        colour = path_cosine.LOOKS[kind]["color"]
        panel.boxplot(
            [values],
            positions=[place],
            widths=0.6,
            whis=(5, 95),
            showfliers=False,
            orientation="horizontal",
            patch_artist=True,
            boxprops={"facecolor": colour, "alpha": 0.6},
            medianprops={"color": "black"},
            tick_labels=[f"{block},\n{kind.removeprefix('unbalanced ')}"],
        )
    panel.axvline(1, color="0.3", lw=1, ls=style.DASHDOT, zorder=0, label=training.FLATTEST)
    panel.invert_yaxis()
    panel.set(xlabel="path cosine, worst interface", xlim=(0, 1.03))


PANELS: dict[str, tuple[Table, Drawing]] = {
    "Sharpness against step size": (_sweep, _draw_sweep),
    "Gain from input to layer k": (_path_gains, _draw_gains),
    "Sharpness along training": (_ratio, _draw_ratio),
    "Coupling of neighbouring layers": (path_cosine.points, _draw_cosines),
}
