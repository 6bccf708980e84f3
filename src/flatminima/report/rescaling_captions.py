"""Captions of the figures and tables of a rescaling study."""

from flatminima.report.caption import Caption

FIGURES = {
    "rescaling-overview": Caption(
        "Rescaling: no ceiling for sharpness, but a floor",
        "Two statements that seem to contradict each other, that flat minima are special and that sharp "
        "minima can generalise. Above: layer 1 of a trained network is multiplied by α and layer 2 divided by "
        "it. The network computes the same function and makes the same test errors, while its sharpness grows "
        "as the square of the factor (D4); the line is the sharpness of its flattest rescaling, found for the "
        "Gauss–Newton matrix (B1). Below: linear networks at a minimum, their layers rescaled at random, and "
        "the flattest rescaling of each, relative to the least sharpness of all linear networks that are global "
        "minima (I3). Each point is a network.",
        "Two panels with logarithmic axes: sharpness over its floor forms a V along α while test error stays; "
        "and randomly rescaled linear networks are scattered far to the right of 1, their flattest rescalings at 1.",
    ),
    "alpha": Caption(
        "Sharpness and test error along a rescaling",
        "Above: largest eigenvalue of the Hessian and trace of the Gauss–Newton matrix, relative to the trained "
        "network, after layer 1 is multiplied by α and layer 2 divided by it (D4). Below: test error of the same "
        "networks, and of the control, the same parameters with tanh in place of the rectifier. Small α make tanh "
        "linear, large ones saturate it. Lines follow one network per depth; hollow markers are others, at the "
        "ends of the range.",
        "V-shaped plots of sharpness against α on logarithmic scales, a panel per depth, over flat lines of "
        "test error and rising ones for tanh.",
    ),
    "volume": Caption(
        "The volume of low loss has no limit",
        "Above, a drawing of D2 for a network of two weights: images of a box around a minimum under powers of "
        "T_α are disjoint, have the same area (on these logarithmic scales even the same shape), and hold the "
        "same losses, so that their union has no finite area. The title counts the trained networks whose boxes, "
        "in all dimensions, were found apart. Below: sampled area of the set of low loss for t₁ between 1/R and "
        "R, with bars of two standard errors, against its closed form, and with tanh in place of the rectifier.",
        "A drawing of equal boxes along a hyperbola, which is a straight band on logarithmic scales; and a "
        "plot of area against R that follows a line for the rectifier and stays constant for tanh.",
    ),
    "spectrum": Caption(
        "Of the directions with curvature, most can be made sharp at once",
        "Eigenvalues of the Hessian from the largest down, before and after a rescaling of all layers (D5), "
        "relative to the trained network's largest (horizontal line); both are those of the networks' own "
        "Hessians. Titles count the eigenvalues that were lifted above that line, out of those of the trained "
        "network that are not zero; the dotted line is the number that theory promises. Negative eigenvalues are "
        "shown by their absolute values (dashed). Zero and what cannot be told from it in double precision (below "
        "the number of parameters × 2.2·10⁻¹⁶ × the largest), or lies below 10⁻⁶ of the horizontal line, is left "
        "out. One network of each depth.",
        "Plots of ordered eigenvalues on a logarithmic scale, a panel per depth: those of the rescaled "
        "network stay above the trained network's largest beyond the promised rank.",
    ),
    "balls": Caption(
        "Sharpness in small balls",
        "ε-sharpness, the largest increase in loss within a ball of radius ε over 1 + loss, of trained "
        "networks and after rescaling with α = ε / ‖θ₁‖, which brings a constant function into the ball (D6). "
        "Markers are found by an ascent that is not told where that function lies, and are lower bounds; the "
        "quadratic estimate is λ ε² / (2 + 2 loss). Training leaves a small gradient, which dominates in the "
        "smallest balls. Lines follow one network per depth; hollow markers are others.",
        "Plots of ε-sharpness against ε on logarithmic scales, a panel per depth: rescaled networks lie above "
        "the best constant function at every radius, trained networks fall with ε.",
    ),
    "coordinates": Caption(
        "The same function in other coordinates",
        "Above: training loss along the sharpest direction over the coordinate η = (‖u‖² + b)ᵃ u, where u is "
        "the distance from the trained network; η is shown relative to its largest value, so that shapes can "
        "be compared. Below: sharpness in such coordinates, and under weight normalisation with directions "
        "multiplied by bᵃ, against the law b⁻²ᵃ (D7). Rotations, the control, leave sharpness as it is. Each "
        "point is a network at one b.",
        "Loss curves that turn from a parabola into a cusp as b falls; and a straight line of sharpness "
        "against b on logarithmic scales, with the rotated control constant at 1.",
    ),
    "landscape": Caption(
        "Sharpness over all rescalings of the layers",
        "Largest eigenvalue of the Gauss–Newton matrix over the factors that both hidden layers of one network "
        "with three layers are multiplied by; every point is the same function. Contours are those of a spline "
        "through a grid of computed points. In logarithms the landscape is convex (B1), so that it has one "
        "minimum, which convex optimisation finds and certifies. Below: sections through it.",
        "Contours of sharpness over two logarithmic axes, closed around a single minimum next to the trained "
        "network; V-shaped sections through the minimum.",
    ),
    "orbits": Caption(
        "Trained networks and the flattest of their rescalings",
        "Top left: least sharpness over all rescalings of single units (filled) or of layers (hollow; filled where "
        "units were not rescaled) against sharpness as trained (Gauss–Newton matrix); on the line are networks that "
        "rescaling cannot make flatter. The others: test error against sharpness as trained, and against the least "
        "sharpness and the least trace over the rescalings of the filled markers. The least trace over rescalings of "
        "layers is the minimum sharpness of Ibayashi, Hamaguchi & Imaizumi 2021. Titles: Spearman's rank correlation "
        "with its 95 % interval by Fisher's transformation, over all networks (with the number of groups for that of "
        "networks) and over ranks among alike ones, of one depth and step size, which differ in their seeds alone. "
        "An interval that covers zero is not detected, which is not the same as absent.",
        "Scatter plots: least sharpness lies just below the line of equality; test errors show how far they follow "
        "sharpness or its floors, by rank correlations in the titles.",
    ),
}

TABLES = {
    "orbits": Caption(
        "Trained networks and the flattest of their rescalings",
        "One row per kind of rescaling, family and depth: how many networks there are and how many of them "
        "diverged or learned nothing; of the others the median and, in brackets, the 5 % and 95 % quantiles "
        "of sharpness as trained, of its least value over all rescalings, of the ratio of both, of the least "
        "trace (over rescalings of layers: the minimum sharpness of Ibayashi et al. 2021, here with biases), and of "
        "test error. Sharpness is the largest eigenvalue of the Gauss–Newton matrix. The gap is the largest "
        "relative distance of the minimum from its certified lower bound; the change is the largest after a "
        "random rescaling of the network; products are Gauss–Newton-vector products, the median.",
    ),
    "theorems": Caption(
        "Theorems on rescaling, on trained networks",
        "One row per statement and shape of networks. What is measured is taken where it is worst over the "
        "settings of a network, growth at the largest factor; the worst value over networks should be as expected. "
        "The last column is the best value that a network of the control reaches.",
    ),
}
