"""Gradient descent beside a minimum (docs/stability.md)."""

from flatminima.statistics.statistic import Statistic

STABILITY = {
    "distance_ratio": Statistic(
        "Distance at the end / start",
        r"\lVert w_t\rVert / \lVert w_0\rVert",
        "Distance from the minimum after the last step, over that of the start.",
        "stability.md#the-limit",
        ("stability",),
    ),
}
