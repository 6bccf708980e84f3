"""What every figure must meet: text that can be read, on the page."""

from matplotlib.figure import Figure
from matplotlib.text import Text


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
