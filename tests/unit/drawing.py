"""What every figure must meet: text that can be read, on the page, and the same bytes in every process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from flatminima.claims.ledger import load_ledger
from flatminima.figures import render
from flatminima.figures.claimed import Claimed
from flatminima.figures.render import NO_DETAILS
from flatminima.figures.tables import Tabulation, tabulation_of
from flatminima.studies.kind import Kind
from flatminima.studies.registry import KINDS

ROOT = Path(__file__).parents[2]
LEDGER = load_ledger(ROOT / "workflow/claims.yaml")
"""The shipped claims."""

RENDER = """
import sys
from pathlib import Path
import flatminima.figures.tables
from flatminima.claims.ledger import load_ledger
from flatminima.figures.render import render
from flatminima.studies.registry import kind_named
ledger, kind = load_ledger(Path(sys.argv[1])), kind_named(sys.argv[2])
study, output = map(Path, sys.argv[3:5])
tables = (study / f"{kind}.parquet" for kind in ("shared", "curves"))
details = next((table for table in tables if table.exists()), None)
for name in sys.argv[5:]:
    render(kind, name, study / "measures.parquet", details, ledger, output / name)
assert "torch" not in sys.modules
"""


def draw(name: str, measures: pd.DataFrame, details: pd.DataFrame = NO_DETAILS) -> tuple[Figure, pd.DataFrame]:
    """A figure, and the table of what it shows, with what the shipped claims select among the same measures."""
    return render.draw(kind_drawing(name), name, measures, details, Claimed(LEDGER, measures))


def kind_drawing(name: str) -> Kind[Any]:
    """The kind of study that a figure belongs to: no two kinds have one of the same name; training for other names."""
    figures = {figure: kind for kind in KINDS.values() for figure in kind.figures}
    return figures.get(name, KINDS["training"])


def tables_of(kind: str) -> dict[str, Tabulation]:
    """Every table of a kind but those that hold verdicts."""
    return {name: tabulation_of(KINDS[kind], name) for name, table in KINDS[kind].tables.items() if not table.judged}


def assert_legible(figure: Figure) -> None:
    """Text is 8 points or more, the page 7.1 inches wide or less, and no text but labels of ticks leaves it."""
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] <= 7.1
    inside = figure.bbox.padded(1.0)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 8
    ticks = {
        label
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for label in axis.get_ticklabels(which="both")
    }
    for text in set(texts) - ticks:
        corners = text.get_window_extent().corners()
        assert all(inside.contains(*corner) for corner in corners), text.get_text()


def assert_same_bytes(study: Path, names: Sequence[str]) -> None:
    """Two processes that hash strings differently draw the same files of the tables in a folder, without torch."""
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [
            sys.executable,
            "-c",
            RENDER,
            ROOT / "workflow/claims.yaml",
            kind_drawing(names[0]).name,
            study,
            study / seed,
            *names,
        ]
        subprocess.run(command, check=True, env=environment)
    first, second = ({path.name: path.read_bytes() for path in (study / seed).iterdir()} for seed in ("1", "2"))
    assert set(first) == set(second) == {f"{name}.{kind}" for name in names for kind in ("svg", "pdf", "png", "csv")}
    assert [name for name in first if first[name] != second[name]] == []
