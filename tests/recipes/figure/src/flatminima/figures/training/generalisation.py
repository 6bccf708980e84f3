"""Loss on held-out samples against sharpness: do flat minima generalise better?"""

import pandas as pd
from matplotlib.figure import Figure

from flatminima.figures import frames, style
from flatminima.figures.claimed import Claimed


@style.styled
def generalisation(measures: pd.DataFrame, _details: pd.DataFrame, _claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """Test loss against sharpness, a point for each network at the end of training, on the task with most networks.

    Returns:
        The figure, and its networks, one row each.

    Raises:
        EmptyFigureError: if no network has a test loss.
    """
    rows = frames.judged(frames.networks(measures)).dropna(subset=["sharpness", "test_loss"])
    plotted = frames.main_task(frames.present(rows, "network with a test loss", "add an experiment"))
    page = style.figure(3.4, message(plotted), style.NARROW)
    panel = page.subplots()
    for family in plotted["family"].unique():
        group = plotted[plotted["family"] == family]
        look = {"color": style.FAMILY_COLOUR[family], "label": style.FAMILY_LABEL[family], "alpha": 0.6}
        panel.plot(group["sharpness"], group["test_loss"], "o", **look)
    panel.annotate(f"n = {len(plotted)}", (0.02, 0.95), xycoords="axes fraction")
    panel.set(xlabel=style.SHARPNESS, ylabel="loss on held-out samples")
    style.legend_below(page, [panel], columns=4)
    return page, plotted


def message(plotted: pd.DataFrame) -> str:
    """The figure's one message: which way test loss goes with sharpness."""
    correlation = plotted["sharpness"].corr(plotted["test_loss"], method="spearman")
    return f"Sharpness and test loss have a rank correlation of {correlation:.2f}"
