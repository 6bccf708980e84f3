"""Studies of rescaled networks: theorems of Dinh et al. 2017 on trained networks, and the flattest of each orbit."""

from collections.abc import Mapping
from typing import cast

from flatminima.config import Config
from flatminima.settings.rescaling import Demonstration, RescalingStudy
from flatminima.settings.training import Experiment, TrainingStudy
from flatminima.studies.experiments import file_name
from flatminima.studies.kind import MEASURED, Exhibit, Kind

SHOWN_BY: Mapping[str, Demonstration] = {
    "alpha": "two_layers",
    "volume": "volume",
    "spectrum": "many_directions",
    "balls": "balls",
    "coordinates": "coordinates",
    "landscape": "landscape",
}
"""The demonstration that a figure shows."""


def experiment(config: Config, study: RescalingStudy, role: str) -> Experiment:
    """The experiment whose networks are rescaled: `rectified`, or `linear`, whose orbits theory knows."""
    trained = cast(TrainingStudy, config.studies[study.source.study])
    return trained.experiments[getattr(study.source, role)]


def shapes(config: Config, study: RescalingStudy) -> list[str]:
    """Shapes of the networks that are rescaled."""
    depths = experiment(config, study, "rectified").depths
    return [*(f"depth{depth}" for depth in depths), *networks(study)]


def rectified_networks(config: Config, study: RescalingStudy, shape: str) -> str:
    """The file that holds the networks of a shape `depth<n>`, relative to their study; `{0..n}` for parts."""
    return _networks(config, study, "rectified", int(shape.removeprefix("depth")))


def linear_networks(config: Config, study: RescalingStudy) -> list[str]:
    """The files that hold the linear networks, of all depths, relative to their study; `{0..n}` for parts."""
    depths = experiment(config, study, "linear").depths
    return [_networks(config, study, "linear", depth) for depth in depths]


def _networks(config: Config, study: RescalingStudy, role: str, depth: int) -> str:
    name = file_name(getattr(study.source, role), experiment(config, study, role), depth)
    return f"networks/{name}.safetensors"


def parts(config: Config, study: RescalingStudy, table: str) -> list[str]:
    """Theorems on every shape, and volumes; beside the measures, orbits of every shape and of linear networks."""
    rescaled = shapes(config, study)
    theorems = [f"theorems-{shape}" for shape in rescaled] + ["volume"] * study.demonstrations.show("volume")
    orbits = [f"orbit-{shape}" for shape in [*rescaled, *(["linear"] if study.source.linear else [])]]
    return theorems + (orbits if table == "measures" else [])


def networks(study: RescalingStudy) -> list[str]:
    """Networks that the study trains itself."""
    return ["convolutional"] if study.convolutional else []


def empty(study: RescalingStudy) -> list[str]:
    """Figures of what is not demonstrated; the overview needs linear networks too."""
    hidden = [figure for figure, name in SHOWN_BY.items() if not study.demonstrations.show(name)]
    return hidden + ([] if study.source.linear and "alpha" not in hidden else ["rescaling-overview"])


FIGURES = {
    "rescaling-overview": Exhibit(
        "Rescaling: no ceiling for sharpness, but a floor",
        "Two statements that seem to contradict each other, that flat minima are special and that sharp minima can "
        "generalise. Above: layer 1 of a trained network is multiplied by α and layer 2 divided by it. The network "
        "computes the same function and makes the same test errors, while its sharpness grows as the square of the "
        "factor (D4); the line is the sharpness of its flattest rescaling, found for the Gauss–Newton matrix (B1). "
        "Below: linear networks at a minimum, their layers rescaled at random, and the flattest rescaling of each, "
        "relative to the least sharpness of all linear networks that are global minima (I3). Each point is a network.",
        "Two panels with logarithmic axes: sharpness over its floor forms a V along α while test error stays; and "
        "randomly rescaled linear networks are scattered far to the right of 1, their flattest rescalings at 1.",
    ),
    "alpha": Exhibit(
        "Sharpness and test error along a rescaling",
        "Above: largest eigenvalue of the Hessian and trace of the Gauss–Newton matrix, relative to the trained "
        "network, after layer 1 is multiplied by α and layer 2 divided by it (D4). Below: test error of the same "
        "networks, and of the control, the same parameters with tanh in place of the rectifier. Small α make tanh "
        "linear, large ones saturate it. Lines follow one network per depth; hollow markers are others, at the ends "
        "of the range.",
        "V-shaped plots of sharpness against α on logarithmic scales, a panel per depth, over flat lines of test "
        "error and rising ones for tanh.",
    ),
    "volume": Exhibit(
        "The volume of low loss has no limit",
        "Above, a drawing of D2 for a network of two weights: images of a box around a minimum under powers of T_α "
        "are disjoint, have the same area (on these logarithmic scales even the same shape), and hold the same "
        "losses, so that their union has no finite area. The title counts the trained networks whose boxes, in all "
        "dimensions, were found apart. Below: sampled area of the set of low loss for t₁ between 1/R and R, with bars "
        "of two standard errors, against its closed form, and with tanh in place of the rectifier.",
        "A drawing of equal boxes along a hyperbola, which is a straight band on logarithmic scales; and a plot of "
        "area against R that follows a line for the rectifier and stays constant for tanh.",
    ),
    "spectrum": Exhibit(
        "Of the directions with curvature, most can be made sharp at once",
        "Eigenvalues of the Hessian from the largest down, before and after a rescaling of all layers (D5), relative "
        "to the trained network's largest (horizontal line); both are those of the networks' own Hessians. Titles "
        "count the eigenvalues that were lifted above that line, out of those of the trained network that are not "
        "zero; the dotted line is the number that theory promises. Negative eigenvalues are shown by their absolute "
        "values (dashed). Zero and what cannot be told from it in double precision (below the number of parameters × "
        "2.2·10⁻¹⁶ × the largest), or lies below 10⁻⁶ of the horizontal line, is left out. One network of each depth.",
        "Plots of ordered eigenvalues on a logarithmic scale, a panel per depth: those of the rescaled network stay "
        "above the trained network's largest beyond the promised rank.",
    ),
    "balls": Exhibit(
        "Sharpness in small balls",
        "ε-sharpness, the largest increase in loss within a ball of radius ε over 1 + loss, of trained networks and "
        "after rescaling with α = ε / ‖θ₁‖, which brings a constant function into the ball (D6). Markers are found by "
        "an ascent that is not told where that function lies, and are lower bounds; the quadratic estimate is λ ε² / "
        "(2 + 2 loss). Training leaves a small gradient, which dominates in the smallest balls. Lines follow one "
        "network per depth; hollow markers are others.",
        "Plots of ε-sharpness against ε on logarithmic scales, a panel per depth: rescaled networks lie above the "
        "best constant function at every radius, trained networks fall with ε.",
    ),
    "coordinates": Exhibit(
        "The same function in other coordinates",
        "Above: training loss along the sharpest direction over the coordinate η = (‖u‖² + b)ᵃ u, where u is the "
        "distance from the trained network; η is shown relative to its largest value, so that shapes can be compared. "
        "Below: sharpness in such coordinates, and under weight normalisation with directions multiplied by bᵃ, "
        "against the law b⁻²ᵃ (D7). Rotations, the control, leave sharpness as it is. Each point is a network at one "
        "b.",
        "Loss curves that turn from a parabola into a cusp as b falls; and a straight line of sharpness against b on "
        "logarithmic scales, with the rotated control constant at 1.",
    ),
    "landscape": Exhibit(
        "Sharpness over all rescalings of the layers",
        "Largest eigenvalue of the Gauss–Newton matrix over the factors that both hidden layers of one network with "
        "three layers are multiplied by; every point is the same function. Contours are those of a spline through a "
        "grid of computed points. In logarithms the landscape is convex (B1), so that it has one minimum, which "
        "convex optimisation finds and certifies. Below: sections through it.",
        "Contours of sharpness over two logarithmic axes, closed around a single minimum next to the trained network; "
        "V-shaped sections through the minimum.",
    ),
    "orbits": Exhibit(
        "Trained networks and the flattest of their rescalings",
        "Top left: least sharpness over all rescalings of single units (filled) or of layers (hollow; filled where "
        "units were not rescaled) against sharpness as trained (Gauss–Newton matrix); on the line are networks that "
        "rescaling cannot make flatter. The others: test error against sharpness as trained, and against the least "
        "sharpness and the least trace over the rescalings of the filled markers. The least trace over rescalings of "
        "layers is the minimum sharpness of Ibayashi, Hamaguchi & Imaizumi 2021. Titles: Spearman's rank correlation "
        "with its 95 % interval by Fisher's transformation, over all networks (with the number of groups for that of "
        "networks) and over ranks among alike ones, of one depth and step size, which differ in their seeds alone. An "
        "interval that covers zero is not detected, which is not the same as absent.",
        "Scatter plots: least sharpness lies just below the line of equality; test errors show how far they follow "
        "sharpness or its floors, by rank correlations in the titles.",
    ),
}

TABLES = {
    "orbits": Exhibit(
        "Trained networks and the flattest of their rescalings",
        "One row per kind of rescaling, family and depth: how many networks there are and how many of them diverged "
        "or learned nothing; of the others the median and, in brackets, the 5 % and 95 % quantiles of sharpness as "
        "trained, of its least value over all rescalings, of the ratio of both, of the least trace (over rescalings "
        "of layers: the minimum sharpness of Ibayashi et al. 2021, here with biases), and of test error. Sharpness is "
        "the largest eigenvalue of the Gauss–Newton matrix. The gap is the largest relative distance of the minimum "
        "from its certified lower bound; the change is the largest after a random rescaling of the network; products "
        "are Gauss–Newton-vector products, the median.",
    ),
    "theorems": Exhibit(
        "Theorems on rescaling, on trained networks",
        "One row per statement and shape of networks. What is measured is taken where it is worst over the settings "
        "of a network, growth at the largest factor; the worst value over networks should be as expected. The last "
        "column is the best value that a network of the control reaches.",
    ),
}

KIND = Kind(
    name="rescaling",
    stages=("train", *MEASURED),
    overview="rescaling-overview",
    figures=FIGURES,
    tables=TABLES,
    parts=parts,
    details="curves",
    networks=networks,
    empty=empty,
)
