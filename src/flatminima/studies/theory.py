"""Studies of theory: random linear problems, on which statements are attacked and minima are made and reached."""

from flatminima.config import Config
from flatminima.settings.theory import TheoryStudy
from flatminima.studies.kind import MEASURED, Exhibit, Kind


def parts(_: Config, study: TheoryStudy, table: str) -> list[str]:
    """Statements attacked, minima made, starts trained from, the price of balance and scaled residuals."""
    return [*study.statements, "minima", *study.starts, "price", "scaled_residual"]


FIGURES = {
    "theory-overview": Exhibit(
        "How flat a minimum can be, and which training ends there",
        "Every point is a global minimum of a linear network, placed by its sharpness, the largest eigenvalue of the "
        "Hessian of its loss, over the least that theory allows for its problem (I2, I3). Upper rows: minima drawn at "
        "random, and minima in closed form. Lower rows: where training ends, from a random start as PyTorch's by "
        "gradient descent with all step sizes, and from zero residuals, where every layer begins as the identity, by "
        "gradient flow; for inputs that are white, and for others. They are the networks that claims I2, I3, M1 and "
        "M1c and their controls count; runs that did not arrive at a minimum are left out, and shown in the figure of "
        "M1b. Of rows with more than 300 points as many are drawn, evenly by rank, the smallest and the largest among "
        "them.",
        "Rows of points along a logarithmic axis of sharpness over least sharpness: two rows of constructed minima "
        "and four rows of trained networks. The area below one is shaded.",
    ),
    "least-sharpness": Exhibit(
        "Measured sharpness against the least that theory allows",
        "Largest Hessian eigenvalue of global minima of random linear problems of two to six layers, against the "
        "least that theory gives for the problem (I2 for white inputs, I3 for any). On the line both are equal; the "
        "area below it is out of reach. The closed form of a flattest minimum is of I3; balanced minima share every "
        "singular value equally among the layers; random minima are the control. White inputs have one least "
        "sharpness for each depth, as the largest gain of every map is one.",
        "Scatter plots on logarithmic axes, for white inputs and for others: minima in closed form, balanced minima "
        "and random minima, with the line on which measured and least sharpness are equal and the area below it "
        "shaded.",
    ),
    "random-minima": Exhibit(
        "Sharpness of random global minima",
        "Share of random global minima whose sharpness, relative to the least of their problem, is at most the value "
        "on the horizontal axis, a line for each number of layers. They are the control of I2 and I3: a random "
        "minimum is not a flattest one.",
        "Cumulative distributions of sharpness over least sharpness, a line for each number of layers, and a vertical "
        "line at one.",
    ),
    "any-inputs": Exhibit(
        "The least sharpness for any inputs is attained",
        "How far the sharpness of minima is from the least (I3) where inputs are not white, a point for each problem: "
        "minima in closed form; the flattest minimum that searches from far found, for each kind of problem and "
        "depth; and balanced minima. Distances in the shaded area are rounding; those below the smallest number that "
        "differs from one are drawn there.",
        "Rows of points along a logarithmic axis of the distance from the least sharpness, with the range of rounding "
        "shaded.",
    ),
    "first-interface": Exhibit(
        "Coupling at the first interface",
        "How far the shared vector p of two neighbouring layers is from a left singular vector of the first of them, "
        "at flattest minima in closed form: the length of W Wᵀp − s p in units of s, the squared gain of one equal "
        "step. At zero the layers are coupled. A point for each interface of each minimum; residuals below rounding "
        "are drawn at the left edge. The claim (M3b) is about all interfaces and any inputs; theory (I4) promises "
        "coupling from the second layer on, and at the first for white inputs. Of rows with more than 300 points as "
        "many are drawn, evenly by rank, the smallest and the largest among them.",
        "Rows of points along a logarithmic axis of the residual: white inputs, other inputs after the first "
        "interface, other inputs at the first interface, and random minima; a vertical line marks the claim's bound.",
    ),
    "attacks": Exhibit(
        "Searches for violations of theory",
        "Theory states that the left side of each inequality is at least the right side, at every global minimum. A "
        "search moves over global minima, from near a flattest one and from far, to make left over right as small as "
        "it can; each point is where one attempt came closest. In the shaded area the statement is broken. Triangles "
        "are controls: searches of their own on a false statement near the true one, and the formula for white inputs "
        "where inputs are not white. Of rows with more than 300 points as many are drawn, evenly by rank, the "
        "smallest and the largest among them.",
        "Rows of points along an axis of left side over right side, a row for each statement and for each false "
        "statement near it, with the area below one shaded.",
    ),
    "witnesses": Exhibit(
        "Which statistics witness a flat minimum",
        "Distance of five statistics from their value at a flattest minimum, against how much sharper than the least "
        "the minimum is. The minima were made to that sharpness on random rays from a flattest one in closed form; "
        "the worst layer of each counts, lines are medians, shades hold 5–95 %. Distances are 1 − cosine, 1 − overlap "
        "and the absolute logarithm of the gain; residual and defect are zero at best. Of a distance that falls as a "
        "power of relative sharpness less one, the power is given. Balance is no property of all flattest minima, and "
        "the closed form is not balanced.",
        "Lines on logarithmic axes: the distance of each statistic from its value at a flattest minimum, against "
        "sharpness over least sharpness less one.",
    ),
    "step-size": Exhibit(
        "Where zero residuals end, against step size",
        "How much sharper than the least the minimum is at which training ends, for white inputs: what claim M1 is "
        "decided on. Points are means over random problems, bars their 95 % intervals; n is how many of 20 runs "
        "arrived at a minimum, and hollow markers have too few to decide. Values below the axis are drawn at its "
        "lower edge. Gradient flow stands left of the smallest step. Step sizes are in units of the largest at which "
        "any minimum is stable, 2 / (least sharpness); minima to the right of the dotted line are not stable. A "
        "random start as PyTorch's, on the same problems, is the control.",
        "Plots on logarithmic axes, for two kinds of maps: sharpness over least sharpness less one against step size, "
        "for zero residuals and for a random start, at several depths; with the claim's bound and the limit of "
        "stability.",
    ),
    "arrival": Exhibit(
        "Which runs from zero residuals arrive at a minimum",
        "Share of runs of gradient flow from zero residuals, with white inputs, whose loss comes down to the least, "
        "for four kinds of maps and several depths: what claim M1b is decided on. Bars are exact 95 % intervals. "
        "Symmetric maps with a negative eigenvalue cannot be reached from the identity (Bartlett, Helmbold & Long "
        "2018); rounding lets two layers escape from the saddle where the flow would end. The control is gradient "
        "descent with steps at which no minimum is stable; cases in which all but a few runs diverged are not shown.",
        "Dots with intervals on an axis from zero to one, a row for each kind of map and one for the control, a "
        "marker for each number of layers.",
    ),
    "predicted-price": Exhibit(
        "Where zero residuals end, predicted and measured",
        "Each point is a run: horizontally the price of balance of its problem, the sharpness of the balanced minimum "
        "over the least, which is known before training; vertically the sharpness over the least where training "
        "ended. Gradient flow from zero residuals is to end on the line (I6); for white inputs the price is one. "
        "Above one it ends at a minimum that is not flattest (M1c). The control are the same problems from a random "
        "start as PyTorch's, with all step sizes. Runs that did not arrive at a minimum are left out.",
        "Scatter plot of sharpness over least sharpness where training ends against the predicted value, for zero "
        "residuals and for a random start, with the line on which both are equal.",
    ),
    "balance-price": Exhibit(
        "How dear balance can be",
        "Price of balance, the sharpness of the balanced minimum over the least of any, against the condition of the "
        "inputs: the largest over the smallest eigenvalue of their covariance. Green markers are the dearest problem "
        "that searches found at each depth and condition, lines a bound proved for all maps, inputs and dimensions "
        "(docs/balance.md). Diamonds are random problems of all depths: medians, bars hold 5–95 %.",
        "Plot on logarithmic axes: the price of the dearest problems found at three depths with the proved bound of "
        "each, and of random problems, against the condition of the inputs.",
    ),
    "catapult": Exhibit(
        "Sharpness under a growing step size",
        "Gradient descent from beside a minimum much sharper than necessary; at each larger step it starts from "
        "beside where it settled before. Circles are the minima at which it settled, triangles those beside which "
        "each step started, the control of I7: medians, bars hold 5–95 %. Above the dotted limit of stability, 2 / "
        "(step size), a minimum is not stable. Step sizes are in units of 2 / (least sharpness), beyond which none "
        "is. Below: the share of the runs that settled, the others diverged or had not settled after the set number "
        "of steps.",
        "Plot on logarithmic axes of sharpness over least sharpness against step size, before and after each step, "
        "with the unstable area shaded; below, the share of runs that settled, a line for each number of layers.",
    ),
    "scaled-residual": Exhibit(
        "Linear residual networks from starts of several scales",
        "The sweep of Marion & Chizat (2024): linear residual networks whose last projection is fixed, trained by "
        "gradient descent on regression problems from residuals of several scales; here every repeat has data of its "
        "own. Above: sharpness over the least of any minimum, of the runs that arrived at one (I9); markers are "
        "medians, bars hold 5–95 %, hollow markers stand for fewer than half of the runs. Their own lower bound is "
        "never above the least. Below: the share of runs that arrived at a minimum.",
        "Two plots against the scale of the start, a line for each step size: sharpness over least sharpness, with "
        "the area below one shaded, and the share of runs that arrived at a minimum.",
    ),
}

TABLES = {
    "falsification": Exhibit(
        "Searches for violations of theory",
        "One row per statement and condition. Closest approach is left side over right side of the inequality, less "
        "one, at its least; below zero by more than rounding it is a violation. What a search can find is shown by "
        "the share of attempts from far that came within 10 % of equality. The last column is a control: how many "
        "searches of their own break a false statement near the true one. So is attack_coloured, the formula for "
        "white inputs on others, which is false unless all gains of the map are equal.",
    ),
    "constructed": Exhibit(
        "Constructed global minima",
        "One row per construction, inputs, depth and prescribed sharpness, the latter as its excess over the least: "
        "the median sharpness relative to the theoretical minimum and, in brackets, the 5 % and 95 % quantiles unless "
        "they are the same. The certificate gap is the largest distance of an upper from a lower bound on that "
        "minimum, relative to it.",
    ),
    "convergence": Exhibit(
        "Where training ends",
        "One row per start, map, inputs, depth and step, which is in units of 2/(minimal sharpness): how many runs "
        "diverged, how many ended at a minimum, and the median sharpness of the latter relative to the theoretical "
        "minimum with, in brackets, the 5 % and 95 % quantiles.",
    ),
}

KIND = Kind(name="theory", stages=MEASURED, overview="theory-overview", figures=FIGURES, tables=TABLES, parts=parts)
