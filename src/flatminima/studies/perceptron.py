"""Studies of the binary perceptron: replica theory, enumeration, and solvers with what surrounds their solutions."""

from flatminima.config import Config
from flatminima.settings.perceptron import PerceptronStudy
from flatminima.studies.kind import MEASURED, Exhibit, Kind

THEORY = ("typical", "surroundings", "transitions")
"""Parts of replica theory."""


def parts(_: Config, study: PerceptronStudy, table: str) -> list[str]:
    """Replica theory, enumeration and every solver at every size; beside the measures, planted solutions."""
    sizes = sorted({size for _, size in study.searched()})
    planted = [f"planted-{size}" for size in sizes] if table == "measures" else []
    searched = [f"solver-{solver}-{size}" for solver, size in study.searched()]
    return [*THEORY, "enumeration", *searched, *planted]


REPLICAS = "Replica-symmetric theory, for large numbers of weights."

FIGURES = {
    "perceptron-overview": Exhibit(
        "Rare solutions in dense regions, and solvers that find them",
        "A perceptron with weights ±1 stores random patterns; the margin κ of a solution is how far every pattern is "
        "from being misclassified. Entropy is the logarithm of the number of solutions, per weight: a difference of "
        "0.1 at 1000 weights is a factor e¹⁰⁰. (a) The higher the margin, the fewer solutions. (b) How many solutions "
        "differ in a share d of their weights from a typical one of margin zero, and from one of maximal margin: the "
        "latter lies in a dense region. (c) Other solutions one flip away from those that solvers found on random "
        "instances, counted (medians), at the size that most solvers were run on; of planted solutions, counted "
        "likewise (dashed); and what theory expects around typical ones (dotted). The scale is linear below one. (a) "
        "and (b) are replica-symmetric theory. The title counts the cases of P6: a solver, a size, a load.",
        "Three panels: entropy falls to zero as the margin grows; local entropy around high margin lies above that "
        "around margin zero up to long distances; solvers' solutions have hundreds of others at one flip, fewer at "
        "higher loads, where typical and planted ones have none.",
    ),
    "capacity": Exhibit(
        "Capacity, and entropy against margin",
        "Left: the number of patterns per weight up to which solutions of a margin exist, and, computed the other "
        "way round, the maximal margin at some numbers of patterns; the star is the capacity known from the "
        "literature (Krauth & Mézard 1989). Right: entropy of all solutions of at least a margin. The number of "
        f"solutions is its exponential, to the power of the number of weights. {REPLICAS}",
        "Plots: the capacity falls with the margin and passes through the literature's value at margin zero; entropy "
        "falls with the margin and reaches zero at the maximal margin, a line per number of patterns.",
    ),
    "local-entropy": Exhibit(
        "What surrounds a typical solution",
        "Entropy of solutions of margin zero at distance d from a typical solution of margin κ (Franz–Parisi "
        "potential), and of all weights at that distance, which is the most there can be. Right: the same on a "
        "logarithmic scale of short distances. Where local entropy is negative there is no solution: typical "
        "solutions of margin zero are isolated. Their curve ends at the bar, below which the equations have no "
        f"solution. Lines are cubic splines through computed points. {REPLICAS}",
        "Plots of local entropy against distance: curves of higher margin lie above those of lower margin up to long "
        "distances, where the order reverses; at short distances the curve of margin zero is negative, the others are "
        "not.",
    ),
    "transitions": Exhibit(
        "Where dense regions form and break up",
        "Left: solutions of margin κ at α patterns per weight. Above κ_u the local entropy of typical ones grows from "
        "distance zero up to its maximum (dark grey); below κ_min it has a gap of distances without solutions, and "
        "typical ones are isolated. Both meet the maximal margin at loads beyond which no typical solution has the "
        "property. Right: the distance up to which typical solutions of margin zero have no others around. Theory is "
        "replica-symmetric, and the numbers are ours: those of the paper are not known. Solutions that are not "
        "typical can lie in denser regions (P6), so that this gap need not stop a solver.",
        "Plots against the number of patterns per weight: two rising lines, for gaps and for monotone local entropy, "
        "meet the falling maximal margin before the capacity; the distance of isolation grows.",
    ),
    "typical-distance": Exhibit(
        "How far apart solutions of a margin are",
        "Share of weights in which two typical solutions of the same instance differ, for solutions of at least a "
        "margin: against the margin, and against their entropy. The dots are margin zero, lines to their left are "
        f"negative margins. {REPLICAS}",
        "Plots of the typical distance of two solutions, a line per number of patterns: it falls as the margin grows, "
        "and as entropy falls.",
    ),
    "neighbours": Exhibit(
        "Other solutions a few flips from those found",
        "Solutions that differ in one, two or three weights from a solution are counted, all of them. (a) At one flip "
        "from what the solver with most sizes finds, by size N; (b) of all solvers, at the size that most were run "
        "on; (c) at two and three flips, at the largest size. Markers are medians over the solutions found, hollow "
        "where these are fewer than five, bars their quartiles. Dashed: counted around solutions that instances were "
        "planted around, which no solver found. Dotted: the number that theory for N weights expects around typical "
        "solutions. The scale is linear below one, so that none can be shown. (d) The loads at which half of the "
        "instances are solved, and at which half of the solutions found have another at one flip, with 95 % intervals "
        "(profile likelihood). The title counts the cases of P6: a solver, a size, a load.",
        "Plots of counts against the number of patterns per weight: hundreds of solutions at one flip at low loads, "
        "falling to none near the load at which solvers fail, far above planted and typical solutions, which have "
        "none; and intervals of the two loads by number of weights, close to each other.",
    ),
    "solvers": Exhibit(
        "How far solvers get",
        "Share of random instances that each solver solved within its number of steps, against the number of patterns "
        "per weight, a line for each number N of weights; all solvers see the same instances. Thin bars are 95 % "
        "intervals (Clopper & Pearson); diamonds are the loads at which half are solved, with 95 % intervals (profile "
        "likelihood of a logistic curve), one under the other for growing N. Vertical lines and the band are "
        "estimates of where solvers must fail: ours, beyond which the local entropy around every typical solution has "
        "a gap (whether it is the paper's is not known); 0.77 to 0.78, where dense regions break up by large "
        "deviations (Baldassi et al.); 0.7764 (Stojnic 2025); 0.784, where the overlap gap opens (Gamarnik et al. "
        "2022); and the capacity. Runs are bounded: failure means not within the steps allowed.",
        "Small plots of the share solved against the number of patterns per weight, one for each solver, the one that "
        "gets farthest first, with vertical lines, the last of which is the capacity.",
    ),
    "flips": Exhibit(
        "How the solutions that solvers find bear flips",
        "Left: share of patterns misclassified after random flips of a share of the weights of a solution, relative "
        "to theory for typical solutions with as many weights and as many flips; means over the solutions found, bars "
        "are their 95 % intervals. Right: entropy of solutions at distance d from a solution found, by belief "
        "propagation on its instance, less that around typical solutions of margin zero; the dashed line is theory "
        "for typical solutions of maximal margin. It is shown and not judged: few solutions were measured, and belief "
        "propagation has an error of its own. Solvers that solved no instance at this load are left out. The title "
        "counts the cases of P6: a solver, a size, a load.",
        "Plots against the share of flipped weights: solvers' solutions make a fraction of the errors of typical "
        "ones, and have more solutions around them than those of margin zero.",
    ),
    "enumeration": Exhibit(
        "Theory against exact counts",
        "All weights of small random instances were tried. Left: local entropy around solutions of margin zero, less "
        "that of all weights at the distance, at the largest size. Right: logarithm of the number of solutions, per "
        "weight, by number of weights. Markers are means over instances with their standard errors; lines and dashes "
        "are theory for large numbers of weights at the same number α of patterns per weight, which must be a whole "
        "number of patterns and so changes with size.",
        "Plots in which counts, with error bars, lie close to theory: local entropy against distance, and entropy for "
        "each number of weights, for two numbers of patterns.",
    ),
}

TABLES = {
    "thresholds": Exhibit(
        "Distances and margins at which surroundings change",
        "One row per number of patterns per weight: the distance up to which typical solutions of margin zero are "
        "isolated; the margins above which typical solutions have no gap around them, and ever more solutions out to "
        "the typical distance; and the maximal margin. In rows with a name two of the margins meet, and beyond them "
        "no typical solution has the property. Replica-symmetric theory; the numbers are ours, not the paper's.",
    ),
    "success": Exhibit(
        "Loads at which solvers fail and solutions lose their neighbours",
        "One row per solver and number of weights: instances of each load; the load at which half of them are solved; "
        "and that at which half of the solutions found have another at one flip, which is where the median number of "
        "these falls below one. Both are those of logistic curves in the load by maximum likelihood, with 95 % "
        "intervals by profile likelihood; where one end is open the other is given. Where a solver was run at three "
        "sizes or more, two rows extrapolate to large N by weighted least squares, in 1/√N and in 1/N: how loads "
        "change with N is not known. Estimates of where solvers must fail are excluded if they lie outside both "
        "intervals: ours, 0.77–0.78 (large deviations), 0.7764 (Stojnic 2025), 0.784 (overlap gap), and the capacity. "
        "Runs are bounded, so these are the loads of a protocol: more steps may reach farther.",
    ),
    "solvers": Exhibit(
        "Solvers on random instances",
        "One row per solver, number of weights and number of patterns per weight: instances, how many of them were "
        "solved, and over these the median and, in brackets, the 5 % and 95 % quantiles (unless they are the same) of "
        "iterations, the smallest margin of any pattern, errors after flips of a share of the weights (the distance) "
        "relative to theory's for typical solutions of as many weights, and local entropy at that distance less "
        "theory's around typical solutions, in nats per weight. Iterations of different solvers are not comparable.",
    ),
    "agreement": Exhibit(
        "Theory against exact counts",
        "One row per size and number of patterns per weight: entropy of solutions by enumeration, mean over "
        "instances, with its standard error; by theory for large numbers of weights; and their difference, in nats "
        "per weight. The largest local error is that of local entropies over distances; the last column is the share "
        "of distances at which they agree within two standard errors, for the largest size.",
    ),
}

KIND = Kind(
    name="perceptron",
    stages=MEASURED,
    overview="perceptron-overview",
    figures=FIGURES,
    tables=TABLES,
    parts=parts,
    details="curves",
    tabulated=True,
)
