"""Titles, captions and alternative texts of figures and tables.

The workflow's own report shows the same texts (workflow/report/figure.rst and table.rst); a test holds them equal.
"""

from dataclasses import replace

from flatminima.report import coupling_captions, perceptron_captions, rescaling_captions, theory_captions
from flatminima.report.caption import Caption

FIGURES = {
    "overview": Caption(
        "Properties of flat minima",
        "(a) Sharpness at the end of training over the least of any global minimum, against step size in units of "
        "2/(least sharpness): a line for each experiment and depth, linear networks as far as claim M4 takes them for "
        "minima. Above the dashed line no minimum is stable. Crosses are step sizes at which networks diverged, with "
        "how many did; where most did, markers are hollow and lines dotted. (b) and (c) compare minima at one depth, "
        "of each seed the flattest and the sharpest that claim M4 counts, in the experiment where they differ most in "
        "sharpness. (b) Gain from the input to layer k, along the path that carries the signal with the largest "
        "end-to-end gain: the dash-dotted line has equal factors in all layers. (c) Of the signal between layers k "
        "and k + 1, the largest share that one singular vector has, and the rank of its singular value: left singular "
        "vectors of layer k upwards, right ones of layer k + 1 downwards, a point for each network and interface. At "
        "a flattest minimum one vector has all of it on both sides. Singular values often lie close together, and "
        "then several vectors share the signal; the residuals of claim M3 (left, right; mean over networks) are zero "
        "where their values are equal to the signal's.",
        "Three panels: sharpness falls to its least as the step size nears the limit of stability; the gain along the "
        "path of flat minima and of sharp ones beside the line of equal factors; and the ranks and shares of the "
        "singular vectors that carry most of the signal.",
    ),
    "sharpness": Caption(
        "Sharpness against step size",
        "Largest eigenvalue of the Hessian at the end of training, over the least that a linear network of the same "
        "depth can have at a global minimum, one panel per depth. Step sizes are in units of 2/(least sharpness); "
        "above the dashed line, 2/(step size), gradient descent cannot settle. Lines join medians, dots are networks. "
        "Crosses above a panel are step sizes at which networks diverged, with how many of them did. Markers are "
        "hollow and lines dotted where most diverged, or have not reached a minimum. Step sizes of Adam mean "
        "something else: it has its own panels. Networks that are not linear can end below the line at 1, which "
        "bounds linear ones.",
        "Plots of relative sharpness against step size, one panel per depth, with a horizontal line at the least "
        "sharpness, a falling line at the limit of stability, and a strip above that counts diverged networks.",
    ),
    "training": Caption(
        "Sharpness and path cosine along training",
        "Sharpness over the least of any global minimum, and the path cosine at the worst pair of neighbouring "
        "layers, against the training step: median and 5–95 % of seeds. Networks that start with zero residuals are "
        "compared with other starts. The horizontal line at 1 is a flattest minimum; away from minima, early in "
        "training, sharpness can lie below it.",
        "Plots of relative sharpness and path cosine against training step, a line per start, with a horizontal line "
        "at 1 for a flattest minimum.",
    ),
    "path-cosine": Caption(
        "Which statistic sees the coupling of layers",
        "Two measures of coupling of linear networks against sharpness over its least, less one: one point per "
        "network, at the worst pair of neighbouring layers. The path cosine compares the signal carried forward along "
        "the path with the output direction carried backward; the singular overlap is the largest overlap of singular "
        "vectors. Both are 1 at a flattest minimum. The one that falls more closely as sharpness rises is the better "
        "witness of coupling. Grey crosses are networks that the claim does not count: those away from a minimum, and "
        "those of other starts. Controls compute the same functions with unbalanced layers.",
        "Scatter plots of path cosine and singular overlap against relative sharpness less one, for linear networks "
        "at a minimum and for their unbalanced controls, with rank correlations above them.",
    ),
    **coupling_captions.FIGURES,
    **theory_captions.FIGURES,
    **rescaling_captions.FIGURES,
    **perceptron_captions.FIGURES,
}

ROWS = (
    "One row per experiment, depth and step size: the median and, in brackets, the 5 % and 95 % quantiles over the "
    "networks that did not diverge."
)
LAYERS = "Each network is represented by its worst layer."

TABLES = {
    "summary": Caption(
        "Where training ended",
        "One row per experiment and depth, over all step sizes and seeds: the median and, in brackets, the 5 % and "
        "95 % quantiles over the networks that did not diverge. Sharpness is relative to the least of a linear "
        "network; path gain and path cosine are those of each network's worst layer; the gradient is that of the loss "
        "over all training samples, relative to its first value: how far training left the network from a stationary "
        "point.",
    ),
    "sharpness": Caption(
        "Sharpness and loss",
        f"{ROWS} Sharpness is the largest Hessian eigenvalue at the end of training; the minimum is that of a linear "
        "network of the same depth.",
    ),
    "balance": Caption(
        "Balance of the layers",
        f"{ROWS} {LAYERS} Gains are relative to equal steps through all layers; a flattest minimum has path gain 1.",
    ),
    "coupling": Caption(
        "Coupling of neighbouring layers",
        f"{ROWS} {LAYERS} A flattest minimum of a linear network has path cosine 1, path residual 0 and singular "
        "overlap 1.",
    ),
    "crosscheck": Caption(
        "Sharpness by other libraries",
        "One row per experiment: the sharpness of its first network that did not diverge, at its smallest depth, with "
        "the residual that certifies it; by curvlinops, its operator given to scipy's eigsh in double precision; and "
        "by PyHessian, power iteration in single precision. Differences are relative to ours. Linear networks are "
        "checked on samples with exactly the second moments that they are measured on.",
    ),
    "sensitivity": Caption(
        "Sensitivity of the verdicts to choices of protocol",
        "One row for each experiment that repeats another with one choice changed, below that other one at the "
        "same depths and step sizes: which choice; how many networks there are and how many of them diverged; of "
        "the others the median and, in brackets, the 5 % and 95 % quantiles of sharpness relative to the least of "
        "a linear network, of the path cosine at the worst interface, and of the least and the largest path gain "
        "over layers; and the verdict of each claim by the same criteria. Flips are the claims whose verdict the "
        "choice changes; the reasons are in the CSV file.",
    ),
    **theory_captions.TABLES,
    **rescaling_captions.TABLES,
    **perceptron_captions.TABLES,
}


def figure_caption(name: str) -> Caption:
    """The caption of a figure, found by its name or by the part before a dash: `sharpness-noisy` is `sharpness`."""
    return _find(FIGURES, name)


def table_caption(name: str) -> Caption:
    """The caption of a table, found as for figures."""
    return _find(TABLES, name)


def _find(captions: dict[str, Caption], name: str) -> Caption:
    prefix = max((key for key in captions if f"{name}-".startswith(f"{key}-")), key=len, default=None)
    if prefix is None:
        title = name.replace("-", " ").replace("_", " ").capitalize()
        return Caption(title, "", f"{title}; the numbers are in the files linked below.")
    caption, rest = captions[prefix], name[len(prefix) + 1 :]
    return replace(caption, title=f"{caption.title}: {rest}") if rest else caption
