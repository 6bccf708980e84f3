"""Titles, captions and alternative texts of figures and tables.

The workflow's own report shows the same texts (workflow/report/figure.rst and table.rst); a test holds them equal.
"""

from dataclasses import replace

from flatminima.report import coupling_captions, perceptron_captions, rescaling_captions
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
    "theory-overview": Caption(
        "Theory, checked on random linear problems",
        "Sharpness of constructed minima against depth; sharpness relative to the theoretical minimum where training "
        "ends, against step size; the same under a step size that grows; and the closest approaches of searches for "
        "minima that break theory. The figure of each result shows it in full.",
        "Four panels: constructed minima against depth, training against step size, training with a growing step size, "
        "and searches for violations, each with theory's value as a reference line.",
    ),
    "least-sharpness": Caption(
        "Sharpness of global minima against depth",
        "Largest Hessian eigenvalue at constructed global minima of random linear problems: markers are medians, "
        "bars hold 5–95 % of the minima. The dash-dotted line is the median of theory's minimum (I3) over problems, "
        "the grey band its 5–95 % interval. Flattest minima have a closed form; balanced ones share every singular "
        "value equally among the layers; random ones lie around the flattest. At depth 1 there is but one minimum.",
        "Plots of the largest Hessian eigenvalue against depth for white inputs and for others: flattest minima lie on "
        "theory's line, balanced minima on it for white inputs and above it otherwise, random minima far above.",
    ),
    "random-minima": Caption(
        "Sharpness of random global minima",
        "Share of random global minima whose sharpness, relative to the theoretical minimum of their problem, is at "
        "most the value on the horizontal axis, one line per depth. The vertical line is theory's minimum: I3 leaves "
        "no minimum to its left.",
        "Cumulative distributions of relative sharpness, a line per depth, all to the right of a vertical line at 1.",
    ),
    "any-inputs": Caption(
        "The bound for any inputs is attained",
        "How far sharpness is from the theoretical minimum (I3) for inputs that are not white, one point per problem "
        "and in order of distance within each column: minima in closed form, balanced minima, and, for each condition, "
        "the flattest minimum that descent over global minima found from far; descent takes a set number of steps and "
        "is not finished everywhere. Within the grey band distances are rounding; those below the smallest number that "
        "differs from 1 are drawn there.",
        "Plot of the distance from the bound against depth on a logarithmic scale: closed forms lie at rounding, "
        "balanced minima far above it, descents in between or at rounding.",
    ),
    "attacks": Caption(
        "Searches for violations of theory",
        "Closest approach to a violation that searches over global minima made, per statement and condition: left side "
        "over right side of the inequality, less one; the scale is linear between −10⁻⁹ and 10⁻⁹, which is taken for "
        "rounding, and logarithmic beyond. In the grey area a statement is broken. Triangles are controls, searches "
        "of their own on a false statement near the true one. I2 misapplied, to inputs that are not white, is a "
        "control too: it is false there unless all gains of the map are equal.",
        "Plots of closest approaches, a panel per statement and a line per condition: those to true statements stay at "
        "or above zero, those of the controls lie in the area of violations.",
    ),
    "witnesses": Caption(
        "Which statistics witness a flat minimum",
        "Distance of five statistics from their value at a flattest minimum, against sharpness relative to the "
        "theoretical minimum, less one, at minima of prescribed sharpness on random rays from the closed-form flattest "
        "minimum; the worst layer of each, lines are medians, shades hold 5–95 %. A statistic that witnesses flatness "
        "falls as sharpness does. Balance is no property of all flattest minima, and the closed form is not balanced.",
        "Plots on logarithmic scales: 1 − path cosine, the logarithm of the path gain and the path residual fall with "
        "sharpness; 1 − singular overlap and the balance defect level off.",
    ),
    "step-size": Caption(
        "Where training ends, against step size",
        "Sharpness relative to the theoretical minimum at the end of gradient descent, of the runs that reached a "
        "minimum, all depths together: markers are medians, bars hold 5–95 %, hollow markers stand for fewer than half "
        "of the runs. Gradient flow is drawn left of the smallest step. Steps are in units of 2/(minimal sharpness); "
        "the dotted line is the limit of stability, beyond step 1 no minimum is stable. The bottom row is the share of "
        "runs on maps of negative determinant that reached a minimum: from zero residuals, gradient flow cannot reach "
        "one, though rounding lets it out of the saddle at depth 2.",
        "Plots of relative sharpness against step size by kind of map and of inputs, a line per start, between a "
        "horizontal line at 1 and the limit of stability; and of the share of runs that reached a minimum.",
    ),
    "catapult": Caption(
        "Sharpness under a growing step size",
        "Gradient descent from beside a minimum much sharper than necessary. At each larger step it starts from beside "
        "where it ended before. Thin lines are runs, thick lines with markers their medians, of those at a minimum, "
        "the share of which is below; steps are in units of 2/(minimal sharpness). Sharpness cannot stay above the "
        "dotted limit of stability, and beyond step 1 no minimum is stable.",
        "Plots of relative sharpness against step size, a panel per depth: constant at first, then falling along the "
        "limit of stability down to the theoretical minimum.",
    ),
    "balance-price": Caption(
        "The price of balance",
        "Sharpness of the balanced minimum, at which gradient flow from zero residuals ends if it reaches a minimum, "
        "over the least sharpness of any minimum, against the condition of the input covariance (its largest over "
        "smallest eigenvalue). The dash-dotted line is a bound proved for all maps, inputs and dimensions; at two "
        "layers it is attained. Circles and triangles are the dearest problem that searches found, of all restarts; "
        "the power is their growth with the condition. Squares are random problems.",
        "Plots on logarithmic scales, a panel per depth: the dearest problems lie on a straight line close below the "
        "bound and rise with the condition, more steeply for deeper networks; random problems stay near 1.",
    ),
    "scaled-residual": Caption(
        "Linear residual networks from starts of several scales",
        "The sweep of Marion & Chizat (2024): linear residual networks whose last projection is fixed, trained by "
        "gradient descent on regression problems from residuals of several scales; here every repeat has data of its "
        "own. Left: sharpness over the least sharpness of any minimum, of the runs that reached a minimum; markers are "
        "medians, bars hold 5–95 %, hollow markers stand for fewer than half of the runs. The dotted line is the "
        "published lower bound. Right: the share of runs that reached a minimum.",
        "Two plots against the scale of the start, a line per step size: relative sharpness, which rises with the "
        "scale, less so for large steps, and never falls below 1; and the share of runs at a minimum, which falls.",
    ),
    **coupling_captions.FIGURES,
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
    "falsification": Caption(
        "Searches for violations of theory",
        "One row per statement and condition. Closest approach is left side over right side of the inequality, less "
        "one, at its least; below zero by more than rounding it is a violation. What a search can find is shown by the "
        "share of attempts from far that came within 10 % of equality. The last column is a control: how many "
        "searches of their own break a false statement near the true one. So is attack_coloured, the formula for white "
        "inputs on others, which is false unless all gains of the map are equal.",
    ),
    "constructed": Caption(
        "Constructed global minima",
        "One row per construction, inputs, depth and prescribed sharpness, the latter as its excess over the least: "
        "the median sharpness relative to the theoretical minimum and, in brackets, the 5 % and 95 % quantiles unless "
        "they are the same. The certificate gap is the largest distance of an upper from a lower bound on that "
        "minimum, relative to it.",
    ),
    "convergence": Caption(
        "Where training ends",
        "One row per start, map, inputs, depth and step, which is in units of 2/(minimal sharpness): how many runs "
        "diverged, how many ended at a minimum, and the median sharpness of the latter relative to the theoretical "
        "minimum with, in brackets, the 5 % and 95 % quantiles.",
    ),
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
