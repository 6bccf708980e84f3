"""The flattest network among all rescalings of a network: its orbit (docs/rescaling.md)."""

from flatminima.statistics.statistic import Statistic

CURVATURE = "loss per squared weight"
RESCALING = ("rescaling",)
CONVEX = "rescaling.md#why-the-problem-is-convex"
LINEAR_MAP = "rescaling.md#rescaling-as-a-linear-map"
CERTIFIED = "rescaling.md#what-is-certified-and-what-rests-on-chance"
WHO = "rescaling.md#who-had-which-idea"
MINIMUM = "rescaling.md#at-the-minimum"

ORBITS = {
    "gauss_newton_sharpness": Statistic(
        "Sharpness as trained",
        r"\lambda_{\max}(G)",
        "Largest eigenvalue of the Gauss-Newton matrix.",
        CONVEX,
        RESCALING,
        CURVATURE,
    ),
    "orbit_minimum": Statistic(
        "Orbit minimum",
        r"\inf_h\lambda_{\max}(S(h))",
        "Least top eigenvalue of the Gauss-Newton matrix over all rescalings of the network.",
        CONVEX,
        RESCALING,
        CURVATURE,
    ),
    "orbit_gap": Statistic(
        "Largest gap",
        "",
        "How far a value is above the lower bound of the orbit minimum, relative to that bound.",
        CERTIFIED,
        RESCALING,
    ),
    "orbit_ratio": Statistic(
        "Ratio",
        "",
        "Sharpness as trained over the orbit minimum; of linear networks, the orbit minimum over the least sharpness.",
        MINIMUM,
        RESCALING,
    ),
    "orbit_change": Statistic(
        "Largest change",
        "",
        "Relative change of the orbit minimum when the network is changed.",
        CONVEX,
        RESCALING,
    ),
    "sharpness_at_minimum": Statistic(
        "Sharpness at the minimum",
        r"\lambda_{\max}(H)",
        "Sharpness of the flattest network of the orbit.",
        CONVEX,
        RESCALING,
        CURVATURE,
    ),
    "products": Statistic(
        "Products",
        "",
        "Number of products with the Gauss-Newton matrix that the search took.",
        CERTIFIED,
        RESCALING,
    ),
    "gain": Statistic(
        "Factor of the layer",
        "",
        "Geometric mean of what the weights of layer k are multiplied by to reach the flattest network.",
        LINEAR_MAP,
        RESCALING,
        within=("layer",),
    ),
    "trace": Statistic(
        "Trace",
        r"\mathrm{tr}\,G",
        "Trace of the Gauss-Newton matrix.",
        WHO,
        RESCALING,
        CURVATURE,
    ),
    "least_trace": Statistic(
        "Least trace",
        r"\inf_h\sum_pG_{pp}e^{-2(Eh)_p}",
        "Least trace of the Gauss-Newton matrix over all rescalings.",
        WHO,
        RESCALING,
        CURVATURE,
    ),
    "trace_error": Statistic(
        "Error of the trace",
        "",
        "Relative difference of a trace from the closed form of its least value.",
        WHO,
        RESCALING,
    ),
}
