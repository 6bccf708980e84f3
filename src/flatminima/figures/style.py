"""Style of all figures: sizes for a 180 mm page, colours that survive colour blindness and grey print, labels."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

WIDTH = 7.1
"""Width of a figure in inches."""
NARROW = 5.4
"""Width of a figure of one panel or two, whose text can be read where the page is as narrow as a phone."""
LETTER = 0.088
"""Width of a letter of a title in inches."""
INK = 0.65
"""Brightness of text relative to the colour of what it names."""

RC: dict[str, Any] = {
    **sns.axes_style("ticks"),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 10,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "svg.hashsalt": "flatminima",
    "pdf.fonttype": 42,
}

styled = context(RC, after_reset=True)
"""Decorator: draw with RC, and with matplotlib's defaults in all else, whatever a user's matplotlibrc says."""

BLUE, ORANGE, GREEN, VERMILION, PINK, BROWN, _, GREY, *_ = sns.color_palette("colorblind")
FAMILY_COLOUR = {"linear": BLUE, "residual_linear": GREEN, "relu": VERMILION, "fully_convolutional": PINK}
CONTROL = ORANGE
"""Colour of controls and nulls: networks without the property in question."""
THEORY = (0.15, 0.15, 0.15)
"""Colour of what theory says."""
FAMILY_LABEL = {
    "linear": "linear",
    "residual_linear": "linear residual",
    "relu": "ReLU",
    "fully_convolutional": "convolutional",
}
SHARPNESS = r"$\lambda_{\max}$ (largest Hessian eigenvalue)"
RATIO = r"$\lambda_{\max}$ / theoretical minimum"
OVER_LEAST = "sharpness / least sharpness"
CRITICAL_STEP = "step size / (2 / least sharpness)"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TRAINED: dict[str, Any] = {"marker": "*", "ms": 11, "color": "black", "mec": "white", "ls": "", "label": "as trained"}
"""Look of a network before anything is done to it."""
OTHERS = "other networks (hollow)"
Dash = tuple[int, tuple[float, ...]]
LONG_AXIS = 100.0
PASSES = 2


DASHED: Dash = (0, (5, 1.5))
DOTTED: Dash = (0, (1, 1.2))
DASHDOT: Dash = (0, (8, 2, 1, 2))
LINES: list[str | Dash] = ["-", DASHED, DOTTED]
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PINK, BROWN)


def figure(height: float, title: str, width: float = WIDTH) -> Figure:
    """An empty figure of this height and width in inches, titled with its one message, on as many lines as it takes."""
    page = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(page)
    page.suptitle("\n".join(_evenly(line, int(width / LETTER)) for line in title.splitlines()))
    return page


def _evenly(text: str, longest: int) -> str:
    """The text on as few lines of at most `longest` letters as it takes, about equally long."""
    lines = len(textwrap.wrap(text, longest))
    width = next((k for k in range(1, longest) if len(textwrap.wrap(text, k)) == lines), longest)
    return textwrap.fill(text, width)


def ink(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """A darker shade of a colour, in which text can be read on white."""
    red, green, blue = (INK * part for part in colour)
    return red, green, blue


@styled
def note(text: str) -> Figure:
    """A figure of words alone: why there is nothing to see."""
    return figure(0.8, textwrap.fill(text, 90))


def panels(
    page: Figure, rows: pd.DataFrame, by: str, titles: Mapping[Any, str], draw: Callable[[Axes, pd.DataFrame], None]
) -> list[Axes]:
    """Panels side by side with common axes, drawn and titled: one for each value of column `by` that any row has.

    Args:
        page: an empty figure.
        rows: what to draw.
        by: the column.
        titles: its values in the order of the panels, and the panels' titles.
        draw: draws the rows of a panel.
    """
    groups = {value: group for value in titles if not (group := rows[rows[by] == value]).empty}
    axes = list(page.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0])
    for panel, (value, group) in zip(axes, groups.items(), strict=True):
        draw(panel, group)
        panel.set_title(titles[value])
    return axes


def network_lines(panel: Axes, rows: pd.DataFrame, x: str, y: str, label: str, look: dict[str, Any]) -> None:
    """Draw the network that was measured in detail as a line, and the others as hollow markers.

    Args:
        panel: where to.
        rows: one per network and setting, with a boolean column `detailed`.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        label: the line's.
        look: the line's; markers of other networks have the same colour and form.
    """
    line, others = rows[rows["detailed"]], rows[~rows["detailed"]]
    panel.plot(line[x], line[y], label=label, **look)
    panel.plot(others[x], others[y], label=OTHERS, **look | {"ls": "", "mfc": "none", "mew": 0.8, "zorder": 1})


def legend_below(page: Figure, axes: Sequence[Axes], columns: int, last: Sequence[str] = ()) -> None:
    """One legend for all panels, under them: each label once, in order of appearance, those of `last` at the end."""
    page.legend(**_entries(axes, last), loc="outside lower center", ncols=columns)


def legend_under(panel: Axes, last: Sequence[str] = ()) -> None:
    """A legend for one panel, under its axis label: each label once, those of `last` at the end."""
    panel.legend(**_entries([panel], last), loc="upper center", bbox_to_anchor=(0.45, -0.24))


def settle(page: Figure) -> None:
    """Fix the layout, without the solver's rounding errors: they differ from run to run and would show in the files.

    The first pass can change ticks, and so the room that their labels take.
    """
    for _ in range(PASSES):
        page.draw_without_rendering()
    page.set_layout_engine("none")
    for panel in page.axes:
        left, bottom, width, height = (round(float(edge), 6) for edge in panel.get_position(original=True).bounds)
        panel.set_position((left, bottom, width, height))


def _entries(axes: Sequence[Axes], last: Sequence[str]) -> dict[str, list[Any]]:
    handles: dict[str, Any] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    ordered = sorted(handles, key=lambda label: last.index(label) if label in last else -1)
    return {"handles": [handles[label] for label in ordered], "labels": ordered}


def looks(values: pd.Series) -> dict[float, dict[str, Any]]:
    """Colour, marker and line of each distinct value, from the smallest to the largest; they repeat after six."""
    distinct = [float(value) for value in np.sort(values.unique())]
    return {
        value: {"color": COLOURS[k % 6], "marker": "os^vDP"[k % 6], "ls": (*LINES, DASHDOT)[k % 4]}
        for k, value in enumerate(distinct)
    }


def shades(values: Iterable[float]) -> list[tuple[float, dict[str, Any]]]:
    """The values in ascending order, with colours from light to dark and lines that differ."""
    ordered = sorted(values)
    colours = sns.color_palette("crest", len(ordered))
    lines = [LINES[place % len(LINES)] for place in range(len(ordered))]
    looks = [{"color": colour, "ls": line} for colour, line in zip(colours, lines, strict=True)]
    return list(zip(ordered, looks, strict=True))


def span(counts: pd.Series) -> str:
    """Whole numbers in words: the one that all are, or the least to the largest."""
    return " to ".join(dict.fromkeys(f"{count:.0f}" for count in (counts.min(), counts.max())))


def scientific(value: float) -> str:
    """A number with one significant digit and a power of ten: 8×10⁻⁵, 10⁸, or 0."""
    if value == 0:
        return "0"
    digit, _, power = f"{value:.0e}".partition("e")
    raised = f"10{str(int(power)).translate(SUPERSCRIPTS)}"
    return raised if digit == "1" else f"{digit}×{raised}"


def plain_log(axis: Axis, subs: Sequence[float] = (1.0, 2.0, 5.0), unit: float = 1.0) -> None:
    """A logarithmic axis with plain numbers, in multiples of `unit`; powers of ten alone where it spans much."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=subs if high / low < LONG_AXIS else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    axis.set_minor_formatter(NullFormatter())
