"""Rows of points along one axis, each under its name and number: how figures of theory compare groups of minima."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

GOLDEN = (np.sqrt(5) - 1) / 2
HEIGHT = 0.34
"""Height of the band that a row's points fill, in rows."""
MOST = 300
"""Points drawn of a row: of more, as many evenly by rank, the smallest and the largest among them."""
DROP = 0.14
"""Distance of the band below the middle of its row: the name stands above it."""


class Strip(NamedTuple):
    """A row: its name, its points and how they look."""

    label: str
    points: pd.Series
    look: dict[str, Any]

    @classmethod
    def counted(cls, name: str, points: pd.Series, look: dict[str, Any]) -> "Strip":
        """A row whose name says how many points there are."""
        return cls(f"{name} (n = {points.notna().sum():,})", points, look)


def draw(panel: Axes, strips: Sequence[Strip], start: float | None = None) -> None:
    """Draw rows from top to bottom, MOST points of each at most, spread over the height of the row.

    Args:
        panel: where to; scale and limits of its horizontal axis are set before, what lies beyond is drawn at the edge.
        strips: the rows.
        start: where names begin; at the left edge if not given.
    """
    low, high = panel.get_xlim()
    for row, strip in enumerate(strips):
        values = _drawn(strip.points)
        heights = row + DROP + HEIGHT * ((np.arange(len(values)) * GOLDEN) % 1 - 0.5)
        panel.plot(values.clip(low, high), heights, ls="", clip_on=False, **strip.look)
        place = low if start is None else start, row - 0.3
        panel.annotate(strip.label, place, (3, 0), textcoords="offset points", va="center")
    panel.set(ylim=(len(strips) - 0.5, -0.6), yticks=[])
    panel.spines["left"].set_visible(False)


def _drawn(points: pd.Series) -> npt.NDArray[np.float64]:
    """The points that are drawn, in order of size."""
    values = np.sort(points.dropna().to_numpy(dtype=float))
    ranks = np.linspace(0, len(values) - 1, min(len(values), MOST)).round().astype(int)
    drawn: npt.NDArray[np.float64] = values[ranks]
    return drawn
