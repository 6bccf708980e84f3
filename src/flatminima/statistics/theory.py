"""Searches for violations, the price of balance, and where training on random problems ends (theory.md)."""

from flatminima.statistics.statistic import Statistic

THEORY = ("theory",)
ATTACKS = "theory.md#how-the-statements-are-attacked"
BALANCE = "balance.md#what-it-is"

SEARCHES = {
    "arrived": Statistic(
        "Arrived",
        "",
        "1 if a run ended at a global minimum: with an excess loss of at most 1e-6 and a gradient of at most 1e-4 of "
        "its first, for the residual sweep with an excess loss of at most 1e-12; else 0.",
        "theory.md#tasks-on-which-training-ends-study-theory",
        THEORY,
    ),
    "balance_price": Statistic(
        "Price of balance",
        "",
        "Sharpness of the balanced minimum over the least sharpness, from the map, the inputs and the depth alone.",
        BALANCE,
        THEORY,
    ),
    "price_error": Statistic(
        "Error of the price",
        r"\lvert\mathtt{sharpness\_ratio}/\mathtt{balance\_price} - 1\rvert",
        "How far a run that arrived is from the price of balance; of the order of the square root of its excess loss.",
        BALANCE,
        THEORY,
    ),
    "price_ceiling": Statistic(
        "Bound on the price",
        "",
        "Price of balance that no map exceeds with inputs of this condition.",
        BALANCE,
        THEORY,
    ),
    "price_example": Statistic(
        "Price of the example",
        r"e^{-1/2}",
        "Price of balance of the two-dimensional example of this condition.",
        "theory.md#identities-derived",
        THEORY,
    ),
    "inequality_ratio": Statistic(
        "Left side / right side",
        "",
        "Left over right side of the attacked inequality at the closest approach; below one is a violation.",
        ATTACKS,
        THEORY,
    ),
    "product_defect": Statistic(
        "Drift of the product",
        r"\lVert(W_m\cdots W_1 - T)C\rVert / \lVert TC\rVert",
        "How far rounding has moved the end-to-end map at the closest approach.",
        ATTACKS,
        THEORY,
    ),
    "reached": Statistic(
        "Came near",
        "",
        "1 if an attempt from far brought left over right side to 1.1 or less, else 0.",
        ATTACKS,
        THEORY,
    ),
    "published_bound": Statistic(
        "Published bound",
        r"2L\,w_*^\top S_xw_*",
        "Lower bound of Marion & Chizat 2024 on the sharpness of minima with scalar outputs.",
        "balance.md#scalar-outputs-and-a-fixed-projection",
        THEORY,
        "loss per squared weight",
    ),
}
