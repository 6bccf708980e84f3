"""Rows of points: thinned evenly by rank, at the edge where they lie beyond it."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from flatminima.figures import strips


def drawn(points: list[float], limits: tuple[float, float]) -> np.ndarray:
    panel = Figure().subplots()
    panel.set_xlim(limits)
    strips.draw(panel, [strips.Strip.counted("some", pd.Series(points), {"marker": "o", "color": "black"})])
    assert [text.get_text() for text in panel.texts] == [f"some (n = {np.isfinite(points).sum():,})"]
    return np.asarray(panel.get_lines()[0].get_xdata())


def test_long_rows_are_thinned_evenly_by_rank():
    points = list(np.random.default_rng(1).permutation(2001) ** 2.0)
    shown = drawn(points, (0, 5e6))
    assert len(shown) == strips.MOST
    assert (shown[0], shown[-1]) == (0, 2000.0**2)
    steps = np.diff(np.sqrt(shown))
    assert steps == pytest.approx(2000 / (strips.MOST - 1), abs=1)


def test_short_rows_are_drawn_in_full_and_within_the_limits():
    assert list(drawn([3.0, np.nan, 0.5, 9.0], (1, 5))) == [1, 3, 5]
