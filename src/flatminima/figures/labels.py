"""Names beside what they name, in its colour: what figures have in place of a legend."""

from collections.abc import Mapping

from matplotlib.axes import Axes

Colour = tuple[float, float, float]

BLACK = (0.0, 0.0, 0.0)
INK = 0.65
"""Brightness of text relative to the colour of what it names."""
LINE_SPACING = 12.5
"""From one line of text to the next, in points."""


def ink(colour: Colour) -> Colour:
    """A darker shade of a colour, in which text can be read on white."""
    red, green, blue = (INK * part for part in colour)
    return red, green, blue


def write(panel: Axes, texts: Mapping[str, Colour]) -> None:
    """Name what a panel shows, line by line from its top left corner, in darker shades of its colours."""
    for line, (text, colour) in enumerate(texts.items()):
        place = (4, -2 - line * LINE_SPACING)
        panel.annotate(text, (0, 1), place, "axes fraction", "offset points", color=ink(colour), va="top")
