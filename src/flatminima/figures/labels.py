"""Texts beside data: numbers of networks and of diverged ones, titles and keys of panels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.transforms import Transform, blended_transform_factory, offset_copy

from flatminima.figures import style

Colour = tuple[float, float, float]
SIZE = 8
GLYPHS = dict(zip("os^vDP", "●■▲▼◆✚", strict=True))
"""Markers as letters, for keys."""
LINE = 12
"""Height of a line of text above a panel, in points."""
SPACING = 12.5
"""Distance between lines of text inside a panel, in points."""
NEAR = 0.17
"""Crosses nearer than this share of the panel's width have one count."""


def n_of(units: pd.Series, what: str = "seed") -> str:
    """`n = 5 seeds`, `n = 3 to 5 seeds`: how many units stand behind each point.

    Args:
        units: the number of units of every point.
        what: one unit.
    """
    counts = list(dict.fromkeys(int(count) for count in (units.min(), units.max())))
    return f"n = {' to '.join(map(str, counts))} {what}{'s' * (counts != [1])}"


def how_many(count: int, cases: int) -> str:
    """`in all cases`, `in most cases`, `in some cases`, `in no case`."""
    if count == cases:
        return "in all cases"
    return "in most cases" if 2 * count > cases else "in some cases" if count else "in no case"


def header(panel: Axes, title: str, lines: Sequence[Sequence[tuple[str, Colour]]] = (), rows: int = 0) -> None:
    """A panel's title at the left, lines of coloured words under it, and room for the rows of a strip.

    Args:
        panel: the panel.
        title: its title.
        lines: words side by side, with their colours.
        rows: of the strip below them.
    """
    for line, words in enumerate(reversed(lines)):
        place, shift = (0.0, 1.0), (0.0, 2.0 + LINE * (rows + line))
        anchor: str | Artist = "axes fraction"
        for text, colour in words:
            look: dict[str, Any] = {"color": style.ink(colour), "size": SIZE, "va": "bottom", "annotation_clip": False}
            word = panel.annotate(text, place, shift, xycoords=anchor, textcoords="offset points", **look)
            anchor, place, shift = word, (1.0, 0.0), (10.0, 0.0)
    panel.set_title(title, loc="left", weight="bold", pad=5 + LINE * (rows + len(lines)))


def names(panel: Axes, texts: Mapping[str, Colour]) -> None:
    """Name what a panel shows, line by line from its top left corner, in darker shades of its colours."""
    for line, (text, colour) in enumerate(texts.items()):
        place = (4, -2 - line * SPACING)
        panel.annotate(text, (0, 1), place, "axes fraction", "offset points", color=style.ink(colour), va="top")


def diverged_strip(panel: Axes, networks: pd.DataFrame, x: str, by: str, colours: Mapping[str, Colour]) -> int:
    """Crosses in a strip above a panel, one at each step size where networks diverged, with counts such as 4/5.

    Args:
        panel: its horizontal axis has its final limits.
        networks: one row per network, with a boolean column `diverged`.
        x: column of the step size.
        by: column that says whose they are; each has a row of the strip.
        colours: of its values.

    Returns:
        The number of rows that the strip has.
    """
    lost = networks.groupby([by, x])["diverged"].agg(["sum", "size"]).reset_index()
    lost = lost[lost["sum"] > 0]
    names = [name for name in colours if name in set(lost[by])]
    for row, name in enumerate(names):
        own, colour = lost[lost[by] == name], style.ink(colours[name])
        steps, texts = own[x].to_numpy(), (own["sum"].astype(str) + "/" + own["size"].astype(str)).tolist()
        look: dict[str, Any] = {"color": colour, "transform": _above(panel, row), "clip_on": False}
        panel.plot(steps, np.ones(len(steps)), "x", ms=4, **look)
        for place, text in _merged(panel, steps, texts):
            look = {"color": colour, "size": SIZE, "ha": "right", "va": "center"}
            panel.text(place, 1, text, transform=_above(panel, row, -5), **look)
    if names:
        panel.annotate("diverged:", (0, 1), (0, LINE / 2), xycoords="axes fraction", textcoords="offset points",
                       size=SIZE, color="0.3", va="center")  # fmt: skip
    return len(names)


def _above(panel: Axes, row: int, left: float = 0.0) -> Transform:
    """Steps of the panel, and heights from its top edge to a row above."""
    across = blended_transform_factory(panel.transData, panel.transAxes)
    return offset_copy(across, panel.get_figure(root=True), x=left, y=LINE * (row + 0.5), units="points")


def _merged(panel: Axes, steps: np.ndarray, texts: Sequence[str]) -> list[tuple[float, str]]:
    """Counts and where they stand: one for neighbouring crosses, all of them where they differ."""
    shares = panel.transAxes.inverted().transform(panel.transData.transform([(step, 0.1) for step in steps]))[:, 0]
    groups: list[list[int]] = []
    for k in range(len(steps)):
        if groups and shares[k] - shares[groups[-1][-1]] < NEAR:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [(float(steps[group[0]]), ", ".join(dict.fromkeys(texts[k] for k in group))) for group in groups]
