"""Results of a theory study the other way round, planted in the synthetic one: what titles must say of them."""

import pandas as pd
from synthetic_theory import MINIMUM, with_value

FLOW = {"case": "flow_turned_coloured"}
BELOW = "Some minima are flatter than theory's least sharpness allows"


def flow_on_coloured_ends_at_least(study: pd.DataFrame) -> pd.DataFrame:
    return with_value(study, "sharpness_ratio", 1.0, **FLOW)


def flow_on_white_ends_above(study: pd.DataFrame) -> pd.DataFrame:
    return with_value(study, "sharpness_ratio", 1.3, case="flow_turned_white")


def deeper_ones_sharper(study: pd.DataFrame) -> pd.DataFrame:
    return with_value(study, "sharpness_ratio", 9.0, start="random", depth=3)


def all_flows_arrive(study: pd.DataFrame) -> pd.DataFrame:
    return with_value(study, "excess_loss", 1e-9, start="flow")


def two_seeds(study: pd.DataFrame) -> pd.DataFrame:
    """Too few to decide anything that can fail."""
    return study[study["seed"] < 2]


def prices_level_off(study: pd.DataFrame) -> pd.DataFrame:
    return with_value(study, "balance_price", 1.5, case="price_search", setting=1000.0)


def none_near_the_least(study: pd.DataFrame) -> pd.DataFrame:
    return study[~(study["start"].eq("prescribed") & study["setting"].lt(1.5))]


def nothing_tells(study: pd.DataFrame) -> pd.DataFrame:
    path = ("path_cosine", "path_gain", "path_residual")
    return study.assign(value=study["value"].mask(study["statistic"].isin(path), 0.5))


def everything_tells(study: pd.DataFrame) -> pd.DataFrame:
    falling = study["setting"] - 1
    rest = study["start"].eq("prescribed") & study["statistic"].isin(("singular_overlap", "balance_defect"))
    distance = falling.where(study["statistic"] == "balance_defect", 1 - falling)
    return study.assign(value=study["value"].mask(rest, distance))


def every_false_statement_holds(study: pd.DataFrame) -> pd.DataFrame:
    false = study["control"].eq("planted") & study["statistic"].eq("inequality_ratio")
    return study.assign(value=study["value"].mask(false, 1.5))


PLANTED = [
    ("theory-overview", ("sharpness_ratio", 0.9, {"case": "random_white", "seed": 1}), BELOW),
    ("theory-overview", flow_on_coloured_ends_at_least, "zero residuals end there, whatever the inputs"),
    ("theory-overview", flow_on_white_ends_above, "zero residuals need not end there"),
    ("least-sharpness", ("sharpness_ratio", 1 - 1e-6, {"case": "random_white", "seed": 1, "depth": 3}), BELOW),
    (
        "least-sharpness",
        ("sharpness_ratio", 1.01, {"case": "flattest_coloured", "seed": 1}),
        "and not all minima in closed form lie on it",
    ),
    (
        "random-minima",
        ("sharpness_ratio", 0.9, {"case": "random_coloured", "seed": 1}),
        "Some random minima are flatter",
    ),
    ("random-minima", ("sharpness_ratio", 1.0, {"case": "random_white", "seed": 2}), "are as flat as theory's"),
    ("random-minima", deeper_ones_sharper, "and more so in deeper networks"),
    (
        "any-inputs",
        ("sharpness_ratio", 1.01, {"case": "flattest_coloured", "seed": 1}),
        "minima in closed form miss the least sharpness",
    ),
    (
        "any-inputs",
        ("sharpness_ratio", 1.0, {"case": "balanced_coloured", "seed": 1}),
        "attained as well, by some balanced ones too",
    ),
    ("any-inputs", ("sharpness_ratio", 1.0, {"case": "balanced_coloured"}), "by balanced minima too"),
    (
        "any-inputs",
        ("inequality_ratio", 1 - 1e-8, {"case": "attack_bound", "condition": "wide", "seed": 1}),
        "some minima are flatter than theory's least sharpness allows",
    ),
    ("first-interface", ("left_residual", 0.001, {"case": "flattest_coloured"}), "are coupled, too"),
    (
        "first-interface",
        ("left_residual", 0.001, {"case": "flattest_coloured", "depth": 2}),
        "are not always coupled",
    ),
    (
        "attacks",
        ("inequality_ratio", 1 - 1e-8, {"case": "attack_band", "condition": "wide", "seed": 2, "depth": 3}),
        "Searches break what theory states: I5",
    ),
    ("attacks", every_false_statement_holds, "not each false statement beside it is broken"),
    ("witnesses", none_near_the_least, "Too few minima near the least sharpness to tell"),
    ("witnesses", nothing_tells, "does not show in its path cosine, path gain, path residual"),
    ("witnesses", everything_tells, "shows in its path cosine, path gain, path residual, singular overlap and balance"),
    (
        "step-size",
        ("sharpness_ratio", 1.0, {"case": "residual_turned_white"}),
        "at the least sharpness, whatever the step size",
    ),
    (
        "step-size",
        ("sharpness_ratio", 1.3, {"case": "residual_turned_white"}),
        "in gradient flow; at no step size tried was it found",
    ),
    (
        "step-size",
        ("sharpness_ratio", 1.3, {"case": "flow_turned_white"}),
        "do not end at the least sharpness, not even in gradient flow",
    ),
    ("step-size", two_seeds, "Too few runs from zero residuals arrive to tell where they end"),
    ("predicted-price", two_seeds, "to tell whether they end where the price of balance predicts"),
    ("first-interface", two_seeds, "not found to be coupled, nor to be uncoupled"),
    ("theory-overview", two_seeds, "no minimum was found to be flatter"),
    ("arrival", two_seeds, "is not decided for every map"),
    ("arrival", all_flows_arrive, "Runs from zero residuals arrive at a minimum, whatever the map"),
    ("predicted-price", ("price_error", 0.1, FLOW | {"seed": 3}), "do not always end where the price of balance"),
    ("predicted-price", flow_on_coloured_ends_at_least, "predicts, at the least sharpness"),
    ("balance-price", prices_level_off, "does not keep growing as inputs get further from white"),
    (
        "balance-price",
        ("balance_price", 64.0, {"case": "price_random", "setting": 1000.0, "depth": 3, "seed": 2}),
        "and exceeds the proved bound",
    ),
    (
        "catapult",
        ("sharpness", 9.1 / 0.9 * MINIMUM, {"case": "catapult_turned_white", "setting": 0.9, "seed": 2}),
        "and some settle above the limit",
    ),
    (
        "catapult",
        ("sharpness", 99 * MINIMUM, {"case": "catapult_turned_white", "setting": 0.9}),
        "A growing step does not drive networks to flatter minima",
    ),
    (
        "scaled-residual",
        ("sharpness_ratio", 1 - 1e-5, {"case": "scaled_residual", "seed": 0, "step_size": 0.1}),
        "Some runs end below the least sharpness",
    ),
]
"""A figure, a result that is the other way round, as a change of a statistic or a function, and what the title says."""
