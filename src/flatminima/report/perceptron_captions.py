"""Captions of the figures and tables of a perceptron study."""

from flatminima.report.caption import Caption

REPLICAS = "Replica-symmetric theory, for large numbers of weights."

FIGURES = {
    "perceptron-overview": Caption(
        "Rare solutions in dense regions, and solvers that find them",
        "A perceptron with weights ±1 stores random patterns; the margin κ of a solution is how far every pattern is "
        "from being misclassified. Entropy is the logarithm of the number of solutions, per weight: a difference of "
        "0.1 at 1000 weights is a factor e¹⁰⁰. (a) The higher the margin, the fewer solutions. (b) How many solutions "
        "differ in a share d of their weights from a typical one of margin zero, and from one of maximal margin: the "
        "latter lies in a dense region. (c) The same as the difference from margin zero, and the solutions that "
        "solvers found on random instances, by belief propagation: mean of each solver, median and range over solvers. "
        "Theory is replica-symmetric.",
        "Three panels: entropy falls to zero as the margin grows; local entropy around high margin lies above that "
        "around margin zero up to long distances; markers show where between or above them solvers' solutions lie.",
    ),
    "capacity": Caption(
        "Capacity, and entropy against margin",
        "Left: the number of patterns per weight up to which solutions of a margin exist, and, computed the other way "
        "round, the maximal margin at some numbers of patterns; the star is the capacity known from the literature "
        "(Krauth & Mézard 1989). Right: entropy of all solutions of at least a margin. The number of solutions is its "
        f"exponential, to the power of the number of weights. {REPLICAS}",
        "Plots: the capacity falls with the margin and passes through the literature's value at margin zero; entropy "
        "falls with the margin and reaches zero at the maximal margin, a line per number of patterns.",
    ),
    "local-entropy": Caption(
        "What surrounds a typical solution",
        "Entropy of solutions of margin zero at distance d from a typical solution of margin κ (Franz–Parisi "
        "potential), and of all weights at that distance, which is the most there can be. Right: the same on a "
        "logarithmic scale of short distances. Where local entropy is negative there is no solution: typical solutions "
        "of margin zero are isolated. Their curve ends at the bar, below which the equations have no solution. Lines "
        f"are cubic splines through computed points. {REPLICAS}",
        "Plots of local entropy against distance: curves of higher margin lie above those of lower margin up to long "
        "distances, where the order reverses; at short distances the curve of margin zero is negative, the others "
        "are not.",
    ),
    "transitions": Caption(
        "Where dense regions form and break up",
        "Left: solutions of margin κ at α patterns per weight. Above κ_u the local entropy of typical ones grows from "
        "distance zero up to its maximum (dark grey); below κ_min it has a gap of distances without solutions, and "
        "typical ones are isolated. Both meet the maximal margin at loads beyond which no typical solution has the "
        "property. Right: the distance up to which typical solutions of margin zero have no others around. Theory is "
        "replica-symmetric, and the numbers are ours: those of the paper are not known.",
        "Plots against the number of patterns per weight: two rising lines, for gaps and for monotone local entropy, "
        "meet the falling maximal margin before the capacity; the distance of isolation grows.",
    ),
    "typical-distance": Caption(
        "How far apart solutions of a margin are",
        "Share of weights in which two typical solutions of the same instance differ, for solutions of at least a "
        "margin: against the margin, and against their entropy. The dots are margin zero, lines to their left are "
        f"negative margins. {REPLICAS}",
        "Plots of the typical distance of two solutions, a line per number of patterns: it falls as the margin grows, "
        "and as entropy falls.",
    ),
    "solvers": Caption(
        "How far solvers get",
        "Share of random instances that each solver solved within its number of steps, against the number of patterns "
        "per weight; all solvers see the same instances. Thin bars are 95 % confidence intervals (Clopper & Pearson). "
        "Vertical lines are theory's: up to the first, local entropy around solutions of maximal margin grows out to "
        "its maximum; up to the second it has no gap; up to the third there are solutions. Failure means not within "
        "the steps allowed.",
        "Small plots of the share solved against the number of patterns per weight, one for each solver, the best "
        "first, with three vertical lines, the last of which is the capacity.",
    ),
    "flips": Caption(
        "What surrounds the solutions that solvers find",
        "Left: share of patterns misclassified after a random share of the weights of a solution has changed its sign. "
        "Right: entropy of solutions at distance d from a solution found, by belief propagation on its instance, less "
        "that around typical solutions of margin zero. Black lines are theory for typical solutions of margin zero "
        "and of maximal margin. Solvers that solved no instance at this number of patterns are left out.",
        "Plots of errors against the share of flips, and of the excess of local entropy against distance: solvers' "
        "solutions make fewer errors than typical ones of margin zero, and have more solutions around them.",
    ),
    "enumeration": Caption(
        "Theory against exact counts",
        "All weights of small random instances were tried. Left: local entropy around solutions of margin zero, less "
        "that of all weights at the distance, at the largest size. Right: logarithm of the number of solutions, per "
        "weight. Markers are means over instances with their standard errors; lines and dashes are theory for large "
        "numbers of weights at the same number of patterns per weight, which must be a whole number of patterns and "
        "so changes with size.",
        "Plots in which counts, with error bars, lie close to theory: local entropy against distance, and entropy "
        "against one over the number of weights, for two numbers of patterns.",
    ),
}

TABLES = {
    "thresholds": Caption(
        "Distances and margins at which surroundings change",
        "One row per number of patterns per weight: the distance up to which typical solutions of margin zero are "
        "isolated; the margins above which typical solutions have no gap around them, and ever more solutions out to "
        "the typical distance; and the maximal margin. In rows with a name two of the margins meet, and beyond them "
        "no typical solution has the property. Replica-symmetric theory; the numbers are ours, not the paper's.",
    ),
    "solvers": Caption(
        "Solvers on random instances",
        "One row per solver and number of patterns per weight: instances, how many of them were solved, and over these "
        "the median and, in brackets, the 5 % and 95 % quantiles (unless they are the same) of iterations, the "
        "smallest margin of any pattern, errors after flips of a share of the weights (the distance) relative to "
        "theory's for typical solutions, and local entropy at that distance less theory's around typical solutions, "
        "in nats per weight. Iterations of different solvers are not comparable.",
    ),
    "agreement": Caption(
        "Theory against exact counts",
        "One row per size and number of patterns per weight: entropy of solutions by enumeration, mean over instances, "
        "with its standard error; by theory for large numbers of weights; and their difference, in nats per weight. "
        "The largest local error is that of local entropies over distances; the last column is the share of distances "
        "at which they agree within two standard errors, for the largest size.",
    ),
}
