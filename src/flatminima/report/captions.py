"""Titles, captions and alternative texts of figures and tables.

The workflow's own report shows the same texts (workflow/report/figure.rst and table.rst); a test holds them equal.
"""

from dataclasses import replace

from flatminima.report import coupling_captions, perceptron_captions, rescaling_captions, theory_captions
from flatminima.report.caption import Caption

FIGURES = {
    "overview": Caption(
        "Properties of flat minima",
        "Sharpness against step size, gain from the input to layer k, sharpness along training where it was followed, "
        "and coupling of neighbouring layers, all at one depth. The figure of each property shows it in full.",
        "Panels, one per property of flat minima, that compare trained networks with the values of a flattest "
        "minimum and with unbalanced controls.",
    ),
    "sharpness": Caption(
        "Sharpness against step size",
        "Largest eigenvalue of the Hessian at the end of training, one panel per depth. Lines join medians and shades "
        "hold 5–95 % of the networks. The dash-dotted line is the smallest sharpness that a linear network of that "
        "depth can have at a global minimum; the dotted line is 2/(step size), above which gradient descent cannot "
        "settle. Hollow markers have not reached a minimum, where no such bound holds. Crosses mark networks that "
        "diverged. Step sizes of Adam mean something else: it has its own panels.",
        "Plots of the largest Hessian eigenvalue against step size, one panel per depth, with the theoretical minimum "
        "and the limit of stability as reference lines.",
    ),
    "gains": Caption(
        "Gain from the input to every layer",
        "Gain from the input to layer k of m, relative to equal steps through all layers: along the path direction "
        "(path gain), and in the direction where it is largest (largest gain). One thin line per network, at the step "
        "size where networks ended flattest; for ReLU networks the line is the median over samples and the shade holds "
        "5–95 % of them. At a flattest minimum of a linear network the path gain is 1 at every layer, and the largest "
        "gain stays within the grey band. The controls compute the same functions with unbalanced layers.",
        "Plots of relative gain against relative layer, a line per network, for trained networks and for their "
        "unbalanced controls; a horizontal line at 1 marks a flattest minimum.",
    ),
    "coupling": Caption(
        "Overlaps of singular vectors of neighbouring layers",
        "Absolute overlap of every left singular vector of layer k with every right singular vector of layer k + 1, "
        "both ordered by singular value, for each family's flattest network and for its unbalanced control. Coupled "
        "layers share a vector, not necessarily the first. Singular values of a layer often lie close together, which "
        "leaves their vectors ill-determined, so that overlaps of coupled layers can stay far below 1; the path cosine "
        "does not suffer from this.",
        "Heat maps of overlaps from 0 to 1, one per pair of neighbouring layers, for trained networks and for their "
        "unbalanced controls.",
    ),
    "training": Caption(
        "Sharpness and path cosine along training",
        "Sharpness relative to the theoretical minimum, and the path cosine at the worst pair of neighbouring layers, "
        "against the training step: median and 5–95 % of seeds. Networks that start with zero residuals are compared "
        "with other starts. The horizontal line at 1 is a flattest minimum; away from minima, early in training, "
        "sharpness can lie below it.",
        "Plots of relative sharpness and path cosine against training step, a line per initialisation, with a "
        "horizontal line at 1 for a flattest minimum.",
    ),
    "path-cosine": Caption(
        "Which statistic sees the coupling of layers",
        "Two measures of coupling against sharpness relative to the theoretical minimum, one point per network, at the "
        "worst pair of neighbouring layers. The path cosine compares the signal carried forward along the path with "
        "the output direction carried backward; the singular overlap is the largest overlap of singular vectors. Both "
        "are 1 at a flattest minimum of a linear network. The one that follows sharpness more closely is the better "
        "witness of coupling. Grey crosses have not reached a minimum.",
        "Scatter plots of path cosine and singular overlap against relative sharpness, for trained networks and for "
        "their unbalanced controls, with rank correlations in the titles.",
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
