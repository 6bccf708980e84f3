"""Titles and texts of the figures of balance and coupling that claims on linear networks and on practice rest on."""

from flatminima.report.caption import Caption

FIGURES = {
    "dose-response": Caption(
        "Distance from a flattest minimum, against sharpness",
        "Linear networks at a minimum: how far each is from what holds at a flattest one, in its worst layer, against "
        "its sharpness relative to the theoretical minimum, less one. Markers are networks, thin lines join those "
        "that one seed reached with different step sizes; what lies beyond the left and lower edge is drawn there. "
        "Lines named theory's limit are the largest deviation that a global minimum of that sharpness can have. "
        "Largest gains and residuals have no such limit: the largest gain need not be one even at a flattest minimum. "
        "Residuals are those of the path's vectors as singular vectors of the layers on both sides of an interface, "
        "relative to the squared gain of one equal step.",
        "Scatter plots on logarithmic scales of the logarithm of the path gain and of the largest gain, 1 − path "
        "cosine and two residuals, each against relative sharpness less one, with a limit line for each depth in "
        "those of path gain and path cosine.",
    ),
    "coupling-excess": Caption(
        "Balance and coupling beyond chance",
        "How much nearer trained networks are to a flattest minimum than chance, one row per experiment and one "
        "column per depth: the deviation of the nearest null less the network's own, along the path of the network's "
        "own end-to-end map, at the worst interface. Above zero, coupling (path cosine) or balance (path gain) "
        "exceeds what the nulls have: networks with the same singular values and random singular vectors, with hidden "
        "units permuted between layers, and the same network before training. Lines are means over seeds, shades "
        "their 95 % intervals, marker shapes the nearest null on average; the least of three nulls is taken for every "
        "network, which favours chance. Digits count the networks left where some diverged. Step sizes are in units "
        "of 2/(least sharpness) but for Adam, where they are as they stand. The vertical scale is linear between −0.3 "
        "and 0.3 and logarithmic beyond.",
        "Plots of excess coupling and excess balance against step size around a horizontal line at zero, which is "
        "chance, a row per experiment and a column per depth, with the step size of least training loss marked.",
    ),
    "start-scale": Caption(
        "Sharpness or the scale of the start?",
        "Coupling beyond chance (as in the figure of balance and coupling beyond chance, path cosine alone) of "
        "networks whose starts differ by a factor and which were trained with several step sizes. Small dots are "
        "networks, large markers means over seeds; on the left they are joined over step sizes for each scale of the "
        "start, on the right over scales for each step size. The slope on sharpness in the title is taken among "
        "networks of the same scale, that on the scale of what sharpness leaves unexplained, both for each seed by "
        "least squares; intervals are Student's, over seeds.",
        "Two plots of excess coupling: against relative sharpness, where lines for each start are flat and far apart, "
        "or against the scale of the start, a line for each step size.",
    ),
}
