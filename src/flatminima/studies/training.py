"""Studies of training: networks trained on the tasks of one data set, and their sharpness, balance and coupling."""

from flatminima.config import Config
from flatminima.settings.training import TrainingStudy
from flatminima.studies.experiments import checked_networks, file_names, main_experiments, main_tasks, networks
from flatminima.studies.kind import MEASURED, Exhibit, Kind

CENTRED = ("dose-response", "coupling-excess")
"""Figures that show centred pixels beside others."""
SCALED = "start-scale"
"""The figure of starts of several scales."""


def parts(_: Config, study: TrainingStudy, table: str) -> list[str]:
    """Networks of every experiment and depth; beside the measures, checks by other libraries for every task."""
    checks = [f"crosscheck-{task}" for task in sorted(study.tasks) if checked_networks(study, task)]
    return file_names(study) + (checks if table == "measures" else [])


def empty(study: TrainingStudy) -> list[str]:
    """Figures and tables of what no main experiment shows: snapshots, linear networks, scales, variations."""
    shown = main_experiments(study).values()
    families = {run.family for run in shown}
    filled = {
        "training": any(run.snapshots for run in shown),
        "dose-response": "linear" in families,
        "coupling-excess": families != {"residual_linear"},
        SCALED: bool(study.scaled()),
        "sensitivity": bool(study.variations),
    }
    return [name for name, has in filled.items() if not has]


def left_out(study: TrainingStudy, figure: str) -> list[str]:
    """Experiments that a figure does not show, lest they hide the others: variations, and those with scaled starts."""
    varied = [run.experiment for run in study.variations if not (figure in CENTRED and run.choice == "centre")]
    return varied + (study.scaled() if figure != SCALED else [])


FIGURES = {
    "sharpness": Exhibit(
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
        per_task=True,
    ),
    "dose-response": Exhibit(
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
    "coupling-excess": Exhibit(
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
    "start-scale": Exhibit(
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
    "overview": Exhibit(
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
    "training": Exhibit(
        "Sharpness and path cosine along training",
        "Sharpness over the least of any global minimum, and the path cosine at the worst pair of neighbouring "
        "layers, against the training step: median and 5–95 % of seeds. Networks that start with zero residuals are "
        "compared with other starts. The horizontal line at 1 is a flattest minimum; away from minima, early in "
        "training, sharpness can lie below it.",
        "Plots of relative sharpness and path cosine against training step, a line per start, with a horizontal line "
        "at 1 for a flattest minimum.",
    ),
    "path-cosine": Exhibit(
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
}

ROWS = (
    "One row per experiment, depth and step size: the median and, in brackets, the 5 % and 95 % quantiles over the "
    "networks that did not diverge."
)
LAYERS = "Each network is represented by its worst layer."

TABLES = {
    "summary": Exhibit(
        "Where training ended",
        "One row per experiment and depth, over all step sizes and seeds: the median and, in brackets, the 5 % and 95 "
        "% quantiles over the networks that did not diverge. Sharpness is relative to the least of a linear network; "
        "path gain and path cosine are those of each network's worst layer; the gradient is that of the loss over all "
        "training samples, relative to its first value: how far training left the network from a stationary point.",
    ),
    "sharpness": Exhibit(
        "Sharpness and loss",
        f"{ROWS} Sharpness is the largest Hessian eigenvalue at the end of training; the minimum is that of a linear "
        "network of the same depth.",
    ),
    "balance": Exhibit(
        "Balance of the layers",
        f"{ROWS} {LAYERS} Gains are relative to equal steps through all layers; a flattest minimum has path gain 1.",
    ),
    "coupling": Exhibit(
        "Coupling of neighbouring layers",
        f"{ROWS} {LAYERS} A flattest minimum of a linear network has path cosine 1, path residual 0 and singular "
        "overlap 1.",
    ),
    "crosscheck": Exhibit(
        "Sharpness by other libraries",
        "One row per experiment: the sharpness of its first network that did not diverge, at its smallest depth, with "
        "the residual that certifies it; by curvlinops, its operator given to scipy's eigsh in double precision; and "
        "by PyHessian, power iteration in single precision. Differences are relative to ours. Linear networks are "
        "checked on samples with exactly the second moments that they are measured on.",
    ),
    "sensitivity": Exhibit(
        "Sensitivity of the verdicts to choices of protocol",
        "One row for each experiment that repeats another with one choice changed, below that other one at the same "
        "depths and step sizes: which choice; how many networks there are and how many of them diverged; of the "
        "others the median and, in brackets, the 5 % and 95 % quantiles of sharpness relative to the least of a "
        "linear network, of the path cosine at the worst interface, and of the least and the largest path gain over "
        "layers; and the verdict of each claim by the same criteria. Flips are the claims whose verdict the choice "
        "changes; the reasons are in the CSV file.",
        judged=True,
    ),
}

KIND = Kind(
    name="training",
    stages=("data", "train", *MEASURED),
    overview="overview",
    figures=FIGURES,
    tables=TABLES,
    parts=parts,
    details="shared",
    data=lambda study: list(study.tasks),
    networks=networks,
    tasks=main_tasks,
    empty=empty,
    left_out=left_out,
    variations=lambda study: study.variations,
)
