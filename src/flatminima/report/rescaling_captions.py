"""Captions of the figures and tables of a rescaling study."""

from flatminima.report.caption import Caption

FIGURES = {
    "rescaling-overview": Caption(
        "Rescaling: no ceiling for sharpness, but a floor",
        "Two statements that seem to contradict each other, that flat minima are special and that sharp "
        "minima can generalise. Left: layer 1 of a trained network is multiplied by α and layer 2 divided by "
        "it; the network computes the same function and makes the same test errors, while its sharpness grows "
        "without limit. It never falls below that of the flattest rescaling, which belongs to the network's "
        "orbit. Right: linear networks whose layers were rescaled at random, and the flattest rescaling "
        "of each, relative to the least sharpness of all linear networks that are global minima (I3): for "
        "linear networks, the floor is that of the first paper. The left floor is found for the Gauss–Newton "
        "matrix.",
        "Two panels on one logarithmic scale: sharpness over its floor forms a V along α while test error "
        "stays; and randomly rescaled linear networks lie far above 1, their flattest rescalings at 1.",
    ),
    "alpha": Caption(
        "Sharpness and test error along a rescaling",
        "Largest eigenvalue and trace of the Hessian, relative to the trained network, after layer 1 is "
        "multiplied by α and layer 2 divided by it: they grow as α⁻² and α² (D4). Below, the test error of "
        "the same networks, and of the control, the same parameters with tanh in place of the rectifier, for "
        "which no such rescaling leaves the function alone. Lines follow one network per depth; hollow "
        "markers are others, at the ends of the range.",
        "V-shaped plots of sharpness against α on logarithmic scales, a panel per depth, over flat lines of "
        "test error and moving ones for tanh.",
    ),
    "volume": Caption(
        "The volume of low loss has no limit",
        "Left, a drawing of D2 for a network of two weights: images of a box around a minimum under powers of "
        "T_α are disjoint, have the same area (on these logarithmic scales even the same shape), and hold the "
        "same losses, so that their union has no finite area. Right: sampled area of the set of low loss for "
        "t₁ between 1/R and R, with bars of two standard errors, against its closed form; with tanh it stays "
        "as it is.",
        "A drawing of equal boxes along a hyperbola, which is a straight band on logarithmic scales; and a "
        "plot of area against R that follows a line for the rectifier and stays constant for tanh.",
    ),
    "spectrum": Caption(
        "Most directions can be made sharp at once",
        "Eigenvalues of the Hessian from the largest down, before and after a rescaling of all layers (D5), "
        "relative to the trained network's largest (horizontal line). Titles count the eigenvalues above that "
        "line; the dotted line is the number that theory promises. Negative eigenvalues are shown by their "
        "absolute values (dashed). Zero and what cannot be told from it in double precision (below the number "
        "of parameters × 2.2·10⁻¹⁶ × the largest), or lies below 10⁻⁶ of the horizontal line, is left out.",
        "Plots of ordered eigenvalues on a logarithmic scale, a panel per depth: those of the rescaled "
        "network stay above the trained network's largest beyond the promised rank.",
    ),
    "balls": Caption(
        "Sharpness in small balls",
        "ε-sharpness, the largest increase in loss within a ball of radius ε over 1 + loss, of trained "
        "networks and after rescaling with α = ε / ‖θ₁‖, which brings a constant function into the ball (D6). "
        "Markers are found by ascent and are lower bounds; the quadratic estimate is λ ε² / (2 + 2 loss). "
        "Training leaves a small gradient, which dominates in the smallest balls. Lines follow one network "
        "per depth; hollow markers are others.",
        "Plots of ε-sharpness against ε on logarithmic scales, a panel per depth: rescaled networks lie above "
        "the best constant function at every radius, trained networks fall with ε.",
    ),
    "coordinates": Caption(
        "The same function in other coordinates",
        "Left: training loss along the sharpest direction over the coordinate η = (‖u‖² + b)ᵃ u, where u is "
        "the distance from the trained network; η is shown relative to its largest value, so that shapes can "
        "be compared: for small b the minimum becomes a cusp. Right: sharpness in such coordinates, and under "
        "weight normalisation with directions multiplied by bᵃ, follows the law b⁻²ᵃ (D7). Rotations, the "
        "control, leave sharpness as it is.",
        "Loss curves that turn from a parabola into a cusp as b falls; and a straight line of sharpness "
        "against b on logarithmic scales, with the rotated control constant at 1.",
    ),
    "landscape": Caption(
        "Sharpness over all rescalings of the layers",
        "Largest eigenvalue of the Gauss–Newton matrix over the factors h₁ and h₂ of both hidden layers of "
        "one network with three layers; every point is the same function. In logarithms the landscape is "
        "convex (B1), so that it has one minimum, which is found and certified by convex optimisation. Right: "
        "sections through it.",
        "Contours of sharpness over two logarithmic axes, closed around a single minimum next to the trained "
        "network; V-shaped sections through the minimum.",
    ),
    "orbits": Caption(
        "Trained networks and the flattest of their rescalings",
        "Left: least sharpness over all rescalings of single units (filled) or of layers (hollow; filled where units "
        "were not rescaled) against sharpness as trained, for every network (Gauss–Newton matrix); the line is a "
        "network that rescaling cannot make flatter. Middle and right: test error against sharpness as trained and "
        "against the orbit minimum of the filled markers, with Spearman's rank correlation and its p-value: over all "
        "networks, and over ranks among those of one depth and step size, which differ in their seeds alone.",
        "Scatter plots: orbit minima lie just below the line of equality; test errors show how far they "
        "follow sharpness, or orbit minima, by rank correlations in the titles.",
    ),
}

TABLES = {
    "orbits": Caption(
        "Trained networks and the flattest of their rescalings",
        "One row per kind of rescaling, family and depth: how many networks there are and how many of them "
        "diverged or learned nothing; of the others the median and, in brackets, the 5 % and 95 % quantiles "
        "of sharpness as trained, of its least value over all rescalings, of the ratio of both, and of test "
        "error. Sharpness is the largest eigenvalue of the Gauss–Newton matrix. The gap is the largest "
        "relative distance of the minimum from its certified lower bound; the change is the largest after a "
        "random rescaling of the network; products are Gauss–Newton-vector products, the median.",
    ),
    "theorems": Caption(
        "Theorems on rescaling, on trained networks",
        "One row per statement and shape of networks. What is measured is taken where it is worst over the "
        "settings of a network, where the statement is about all of them, and where it is best where it is "
        "about some; the worst value over networks should be as expected. The last column is the best value "
        "that a network of the control reaches.",
    ),
}
