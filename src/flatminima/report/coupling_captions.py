"""Titles and texts of the figures of balance and coupling that claims on linear networks and on practice rest on."""

from flatminima.report.caption import Caption

FIGURES = {
    "dose-response": Caption(
        "Distance from a flattest minimum, against sharpness",
        "The linear networks that claim M4 counts: how far each is from what holds at a flattest minimum, in its "
        "worst layer, against its sharpness over the least, less one. Markers are networks, thin lines join those "
        "that one seed reached with different step sizes; what lies beyond the left and lower edge is drawn there. "
        "Above each panel: in how many cases, experiments at one depth, the 95 % interval over seeds says that the "
        "flattest minimum of a seed strays less than its sharpest. Theory's limit is the largest deviation that a "
        "global minimum of that sharpness can have; training can end beside a minimum, and a little above the limit. "
        "Largest gains and residuals have no such limit: the largest gain need not be one even at a flattest minimum. "
        "Residuals are those of the path's vectors as singular vectors of the layers on both sides of an interface, "
        "relative to the squared gain of one equal step.",
        "Scatter plots on logarithmic scales of the logarithm of the path gain and of the largest gain, 1 − path "
        "cosine and two residuals, each against relative sharpness less one, with a limit line for each depth in "
        "those of path gain and path cosine.",
    ),
    "coupling-excess": Caption(
        "Balance and coupling beyond chance",
        "How much nearer trained networks are to a flattest minimum than chance, one row per experiment and depth: "
        "the deviation of the nearest null less the network's own, along the path of the network's own end-to-end "
        "map, at the worst interface. Right of zero, coupling (path cosine) or balance (path gain) exceeds what the "
        "nulls have: networks with the same singular values and random singular vectors, with hidden units permuted "
        "between layers, and the same network before training. Markers are means over seeds at the step size of least "
        "training loss, bars their 95 % intervals, by which claim M5 is decided; markers are hollow where seeds are "
        "too few for one. Small dots are other step sizes. The least of three nulls is taken for every network, which "
        "favours chance. The scale is linear between −0.3 and 0.3 and logarithmic beyond.",
        "Two columns of means with intervals around a vertical line at zero, which is chance, a row for each "
        "experiment and depth: excess coupling on the left, excess balance on the right.",
    ),
    "start-scale": Caption(
        "Sharpness or the scale of the start?",
        "Coupling beyond chance (as in the figure of balance and coupling beyond chance, path cosine alone) of "
        "networks whose starts differ by a factor and which were trained with several step sizes. Small dots are "
        "networks, large markers means over seeds; on the left they are joined over step sizes for each scale of the "
        "start, on the right over scales for each step size. The change with twice the sharpness, above the left "
        "panel, is taken among networks of the same scale, that with twice the scale of what sharpness leaves "
        "unexplained, both for each seed by least squares; intervals are Student's, over seeds.",
        "Two plots of excess coupling: against relative sharpness, with a line for each start, and against the scale "
        "of the start, with a line for each step size.",
    ),
}
