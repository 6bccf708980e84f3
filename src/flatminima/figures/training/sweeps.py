"""Sharpness over its least against step size: the networks of every sweep, and how their medians are drawn."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from flatminima.figures import frames, labels, style
from flatminima.record import final

PLACE = ["case", "depth", "x"]
MAJORITY = 0.5
LIMIT = "limit of\nstability, 2/step"
FLATTEST = "least sharpness"
FEW = "hollow, dotted: most diverged, or not at a minimum"


def sweeps(measures: pd.DataFrame) -> pd.DataFrame:
    """The trained networks of every step-size sweep, at the end of training.

    Returns:
        One row per network: frames.SWEEP, seed, diverged, at_minimum, sharpness_ratio and x, the step size in units
        of 2 / (least sharpness), for Adam as it stands. Empty if there are none.
    """
    rows = frames.trained(final(frames.networks(measures)))
    snapshots = rows["case"].isin(frames.along_training(measures)["case"].unique())
    several = rows.groupby("case")["setting"].transform("nunique") > 1
    rows = rows[(several | ~snapshots) & rows["step_size"].notna()]
    least = rows.groupby(["task", "depth"])["minimal_sharpness"].transform("median")
    critical = (rows["step_size"] * least / 2).fillna(rows["setting"])
    rows = rows.assign(x=critical.where(rows["optimiser"] != "adam", rows["step_size"]))
    rows["x"] = [float(f"{step:.4g}") for step in rows["x"]]
    return rows[[*frames.SWEEP, "seed", "diverged", "at_minimum", "sharpness_ratio", "x"]].reset_index(drop=True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Replicas of one step size together.

    Returns:
        One row per PLACE, sorted: median, low, high of the survivors' sharpness_ratio, replicas, survivors, and sound:
        at least half survived, and at least half of these are at a minimum.
    """
    table = frames.quantiles(rows, PLACE, "sharpness_ratio").set_index(PLACE)
    groups = rows.groupby(PLACE)
    table["replicas"], table["survivors"] = groups.size(), groups["diverged"].apply(lambda lost: (~lost).sum())
    settled = groups["at_minimum"].sum()
    table["sound"] = (table["survivors"] >= MAJORITY * table["replicas"]) & (settled >= MAJORITY * table["survivors"])
    table["sound"] &= table["survivors"] > 0
    return table.reset_index().sort_values(PLACE, ignore_index=True)


def draw_line(panel: Axes, medians: pd.DataFrame, colour: labels.Colour, marker: str) -> None:
    """Medians of one experiment and depth; hollow where they are not sound, and dotted on the way there."""
    shown = medians.dropna(subset=["median"]).sort_values("x")
    for (_, before), (_, after) in pairwise(shown.iterrows()):
        dash = "-" if before["sound"] and after["sound"] else style.DOTTED
        panel.plot([before["x"], after["x"]], [before["median"], after["median"]], color=colour, ls=dash, lw=1.1)
    for sound, face in ((True, colour), (False, "white")):
        points = shown[shown["sound"] == sound]
        panel.plot(points["x"], points["median"], marker, color=colour, mfc=face, ms=3.5, mew=0.9)


def draw_limit(panel: Axes, named: bool = True) -> None:
    """The limit of stability and the least sharpness over the range of a panel in critical units, with their names."""
    (low, high), top = panel.get_xlim(), panel.get_ylim()[1]
    steps = np.geomspace(low, high, 100)
    panel.autoscale(False)
    panel.plot(steps, 1 / steps, color=style.THEORY, lw=1, ls=style.DASHED, zorder=0)
    panel.axhline(1, color=style.THEORY, lw=0.8, zorder=0)
    if named:
        look: dict[str, Any] = {"color": style.THEORY, "textcoords": "offset points", "size": labels.SIZE}
        panel.annotate(LIMIT, (max(1 / top, low), min(top, 1 / low)), (9, -2), va="top", **look)
        panel.annotate(FLATTEST, (high, 1), (0, 2), va="bottom", ha="right", **look)
