"""Verdicts on hand-made tables."""

import json

import numpy as np
import pandas as pd
import pytest

from flatminima.claims.ledger import Ledger
from flatminima.claims.verdicts import judge

WORDS = {"id": "M1", "paper": "p", "title": "t", "statement": "s", "scope": "c", "figures": ["training"]}
FLAT = {"statistic": "sharpness_ratio", "at_most": 1.05}


def network(experiment, *, depth=2, seed=0, step_fraction=0.5, final=True, diverged=False, **statistics):
    """Rows of one network: a number stands for layer 0, a list for layers 1, 2, ..."""
    base = {"study": "digits", "experiment": experiment, "family": "linear", "depth": depth, "seed": seed}
    base |= {"step_fraction": step_fraction, "step_size": 0.1, "step": 10, "final": final, "error_bound": np.nan}
    rows = [base | {"statistic": "diverged", "layer": 0, "value": float(diverged)}]
    for name, values in statistics.items():
        layers = enumerate(values, 1) if isinstance(values, list) else [(0, values)]
        rows += [base | {"statistic": name, "layer": k, "value": np.nan if diverged else v} for k, v in layers]
    return rows


def networks(experiment, name, values, **others):
    """One network per value of a statistic, told apart by their seeds."""
    return [row for seed, v in enumerate(values) for row in network(experiment, seed=seed, **{name: v}, **others)]


def table(*rows):
    return pd.DataFrame([row for group in rows for row in group])


def criterion(**changes):
    return {"experiments": ["linear"], "statistic": "sharpness_ratio", "at_most": 1.01, "share": 1.0} | changes


def verdict_on(measures, *criteria, controls=None):
    """The judgement of one claim, as JSON would hold it."""
    control = {"description": "unbalanced", "experiments": controls or {"linear": ["linear-unbalanced"]}}
    claim = WORDS | {"criteria": list(criteria) or [criterion()], "control": control}
    judged = judge(Ledger.model_validate({"claims": [claim]}), measures)
    return json.loads(json.dumps(judged[0], allow_nan=False)) if judged else None


def cases(judged, index=0):
    return judged["criteria"][index]["cases"]


BAD_CONTROL = networks("linear-unbalanced", "sharpness_ratio", [2.0, 3.0])


def test_reproduced_where_every_case_holds_and_the_control_fails():
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0, 1.005]), BAD_CONTROL))
    assert judged["verdict"] == "REPRODUCED"
    assert judged["reason"] == "1 of 1 cases hold"
    assert judged["control"]["fails"] is True
    assert {key: judged[key] for key in WORDS} == WORDS


def test_not_reproduced_where_every_case_fails():
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0, 1.5]), BAD_CONTROL))
    assert judged["verdict"] == "NOT REPRODUCED"
    assert judged["reason"] == "0 of 1 cases hold, not linear at depth 2"


def test_partial_where_some_cases_fail():
    rows = [networks("linear", "sharpness_ratio", [value], depth=depth) for depth, value in ((2, 1.0), (3, 1.2))]
    judged = verdict_on(table(*rows, BAD_CONTROL))
    assert judged["verdict"] == "PARTIAL"
    assert judged["reason"] == "1 of 2 cases hold, not linear at depth 3"
    assert [(case["depth"], case["holds"]) for case in cases(judged)] == [(2, True), (3, False)]


def test_partial_where_some_cases_have_no_network_to_judge():
    rows = [networks("linear", "sharpness_ratio", [1.0], depth=2, excess_loss=loss) for loss in (0.0,)]
    rows += [networks("linear", "sharpness_ratio", [1.0], depth=3, excess_loss=0.5)]
    judged = verdict_on(table(*rows, BAD_CONTROL), criterion(where=[{"statistic": "excess_loss", "at_most": 0.01}]))
    assert judged["verdict"] == "PARTIAL"
    assert judged["reason"] == "1 of 1 cases hold; in 1 no network met the conditions"


def test_inconclusive_where_the_control_meets_the_predicate_too():
    control = networks("linear-unbalanced", "sharpness_ratio", [1.0, 1.005])
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0]), control))
    assert judged["verdict"] == "INCONCLUSIVE"
    assert "does not fail on every control" in judged["reason"]
    assert judged["control"]["fails"] is False


@pytest.mark.parametrize(("deep", "fails"), [(2.0, True), (1.0, False)])
def test_the_control_must_fail_at_every_depth(deep, fails):
    measures = table(
        networks("linear", "sharpness_ratio", [1.0]),
        BAD_CONTROL,
        networks("linear-unbalanced", "sharpness_ratio", [deep], depth=3),
    )
    judged = verdict_on(measures)
    assert judged["control"]["fails"] is fails
    assert (judged["verdict"] == "REPRODUCED") is fails


def test_the_control_fails_if_one_of_the_criteria_does():
    """The end-to-end gain is that of the function, which the control shares; the ratio tells it apart."""
    rows = networks("linear", "sharpness_ratio", [1.0], path_gain_fraction=1.0)
    control = networks("linear-unbalanced", "sharpness_ratio", [2.0], path_gain_fraction=1.0)
    gain = criterion(statistic="path_gain_fraction", at_most=None, at_least=0.95)
    assert verdict_on(table(rows, control), criterion(), gain)["verdict"] == "REPRODUCED"
    assert verdict_on(table(rows, control), gain)["verdict"] == "INCONCLUSIVE"


def test_inconclusive_without_a_control():
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0])))
    assert (judged["verdict"], judged["control"]["fails"]) == ("INCONCLUSIVE", False)


def test_a_control_without_a_usable_network_has_not_failed():
    control = networks("linear-unbalanced", "sharpness_ratio", [2.0, 2.0], diverged=True)
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0]), control))
    assert (judged["verdict"], judged["control"]["fails"]) == ("INCONCLUSIVE", False)
    (case,) = judged["control"]["criteria"][0]["cases"]
    assert (case["networks"], case["diverged"], case["holds"]) == (0, 2, None)


def test_inconclusive_where_no_network_meets_the_conditions():
    rows = networks("linear", "sharpness_ratio", [1.0, 1.0], excess_loss=0.5)
    judged = verdict_on(table(rows, BAD_CONTROL), criterion(where=[{"statistic": "excess_loss", "at_most": 0.01}]))
    assert (judged["verdict"], judged["reason"]) == ("INCONCLUSIVE", "no network met the conditions in any case")
    (case,) = cases(judged)
    assert (case["networks"], case["excluded"], case["share"], case["median"]) == (0, 2, None, None)


def test_a_claim_is_silent_where_none_of_its_experiments_was_run():
    assert verdict_on(table(networks("other", "sharpness_ratio", [1.0]))) is None


def test_criteria_on_experiments_of_other_studies_are_left_out():
    elsewhere = criterion(experiments=["flow"], at_most=0.0)
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0]), BAD_CONTROL), criterion(), elsewhere)
    assert judged["verdict"] == "REPRODUCED"
    assert len(judged["criteria"]) == len(judged["control"]["criteria"]) == 1


def test_conditions_select_the_networks_that_count():
    """Only those that meet all conditions, of which one lies out of range; the control is judged without them."""
    rows = [
        *network("linear", seed=0, path_cosine=[0.99], sharpness_ratio=1.0, excess_loss=0.0),
        *network("linear", seed=1, path_cosine=[0.90], sharpness_ratio=1.05, excess_loss=0.02),
        *network("linear", seed=2, path_cosine=[0.10], sharpness_ratio=1.06, excess_loss=0.0),
        *network("linear", seed=3, path_cosine=[0.10], sharpness_ratio=1.0, excess_loss=0.03),
        *network("linear", seed=4, path_cosine=[0.10], sharpness_ratio=np.nan, excess_loss=0.0),
        *network("linear", seed=5, diverged=True, path_cosine=[0.1], sharpness_ratio=1.0, excess_loss=0.0),
        *network("linear-unbalanced", path_cosine=[0.3], sharpness_ratio=9.0, excess_loss=0.0),
    ]
    conditions = [FLAT, {"statistic": "excess_loss", "at_most": 0.02}]
    cosine = criterion(statistic="path_cosine", at_most=None, at_least=0.95, share=0.5, where=conditions)
    judged = verdict_on(pd.DataFrame(rows), cosine)
    (case,) = cases(judged)
    assert (case["networks"], case["excluded"], case["diverged"], case["share"]) == (2, 3, 1, 0.5)
    assert judged["verdict"] == "REPRODUCED"
    assert judged["control"]["criteria"][0]["cases"][0]["networks"] == 1
    assert judged["criteria"][0]["selection"].endswith("sharpness_ratio at most 1.05 and excess_loss at most 0.02")


@pytest.mark.parametrize(("share", "holds"), [(0.75, True), (0.76, False), (1.0, False)])
def test_the_share_counts_networks(share, holds):
    rows = networks("linear", "sharpness_ratio", [1.0, 1.0, 1.01, 1.02])
    judged = verdict_on(table(rows, BAD_CONTROL), criterion(share=share))
    (case,) = cases(judged)
    assert (case["share"], case["required"], case["holds"]) == (0.75, share, holds)


@pytest.mark.parametrize(
    ("gains", "within"),
    [([1.0, 1.0], True), ([0.8, 1.25], True), ([0.79, 1.0], False), ([1.0, 1.26], False), ([1.0, np.nan], False)],
)
def test_two_sided_ranges_hold_in_every_layer(gains, within):
    rows = network("linear", path_gain=gains)
    control = network("linear-unbalanced", path_gain=[5.0, 1.0])
    judged = verdict_on(table(rows, control), criterion(statistic="path_gain", at_least=0.8, at_most=1.25))
    assert cases(judged)[0]["holds"] is within
    assert judged["criteria"][0]["predicate"].startswith(
        "at least 0.8 and at most 1.25 in every layer, for at least 100%"
    )


@pytest.mark.parametrize(
    ("gains", "worst"), [([0.9, 1.3], 1.3), ([0.5, 1.3], 0.5), ([0.9, 1.2], 1.2), ([0.85, 1.0], 0.85)]
)
def test_the_worst_layer_is_the_one_farthest_out_of_range(gains, worst):
    rows = network("linear", path_gain=gains)
    judged = verdict_on(table(rows), criterion(statistic="path_gain", at_least=0.8, at_most=1.25))
    assert cases(judged)[0]["median"] == worst


def test_a_statistic_relative_to_another_of_its_layer():
    """2.2 / 2 and 1.4 / 1.4 pass at most 1.25; 1.8 / 1.4 in the second layer does not."""
    upper = [2.0, 1.4]
    rows = [
        *network("linear", seed=0, product_norm=[2.2, 1.4], band_upper=upper),
        *network("linear", seed=1, product_norm=[1.0, 1.8], band_upper=upper),
        *network("linear-unbalanced", product_norm=[9.0, 9.0], band_upper=upper),
    ]
    relative = criterion(statistic="product_norm", relative_to="band_upper", at_most=1.25)
    judged = verdict_on(pd.DataFrame(rows), relative)
    (case,) = cases(judged)
    assert case["share"] == 0.5
    assert case["median"] == pytest.approx((1.1 + 1.8 / 1.4) / 2)
    assert judged["criteria"][0]["statistic"] == "product_norm / band_upper"


def test_median_and_spread_over_networks():
    values = np.linspace(1, 2, 21)
    judged = verdict_on(table(networks("linear", "sharpness_ratio", values)))
    (case,) = cases(judged)
    assert (case["median"], case["low"], case["high"]) == pytest.approx((1.5, 1.05, 1.95))


def test_a_nan_of_a_sound_network_is_not_within():
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0, np.nan]), BAD_CONTROL))
    (case,) = cases(judged)
    assert (case["networks"], case["share"], case["holds"]) == (2, 0.5, False)


def test_values_that_are_all_nan_are_out_of_range_and_leave_no_nan_in_json():
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [np.nan, np.nan]), BAD_CONTROL))
    (case,) = cases(judged)
    assert (case["networks"], case["share"], case["holds"]) == (2, 0.0, False)
    assert case["median"] is case["low"] is case["high"] is None


@pytest.mark.parametrize("where", [[], [FLAT, {"statistic": "excess_loss", "at_most": 0.02}]])
def test_experiments_whose_networks_all_diverged_are_counted(where):
    """With and without conditions, which diverged networks have no statistics to meet."""
    measures = table(
        networks("linear", "sharpness_ratio", [1.0], excess_loss=0.0),
        networks("linear", "sharpness_ratio", [1.0, 1.0, 1.0], depth=3, diverged=True, excess_loss=0.0),
        BAD_CONTROL,
    )
    judged = verdict_on(measures, criterion(where=where))
    assert [(case["depth"], case["networks"], case["diverged"], case["holds"]) for case in cases(judged)] == [
        (2, 1, 0, True),
        (3, 0, 3, None),
    ]
    assert judged["verdict"] == "PARTIAL"


@pytest.mark.parametrize("where", [[], [FLAT]])
def test_a_diverged_network_that_was_never_measured_is_counted(where):
    """The table of a shape whose replicas all diverged holds nothing but `diverged`."""
    measures = table(
        networks("linear", "sharpness_ratio", [1.0]), network("linear", depth=3, diverged=True), BAD_CONTROL
    )
    assert [case["diverged"] for case in cases(verdict_on(measures, criterion(where=where)))] == [0, 1]


def test_only_final_networks_are_judged():
    snapshots = networks("linear", "sharpness_ratio", [7.0, 8.0], final=False)
    judged = verdict_on(table(networks("linear", "sharpness_ratio", [1.0]), snapshots, BAD_CONTROL))
    (case,) = cases(judged)
    assert (case["networks"], case["median"]) == (1, 1.0)


def test_gradient_flow_has_no_step_size_and_is_judged_too():
    rows = networks("linear", "sharpness_ratio", [1.0, 1.2], step_fraction=np.nan)
    judged = verdict_on(table(rows, BAD_CONTROL))
    assert cases(judged)[0]["networks"] == 2


def test_depths_have_their_own_layers():
    """A network of depth 2 has no third layer: its absence is not a layer out of range."""
    measures = table(
        network("linear", path_gain=[1.0, 1.0]),
        network("linear", depth=3, path_gain=[1.0, 1.0, 1.0]),
        network("linear-unbalanced", path_gain=[3.0, 1.0]),
    )
    judged = verdict_on(measures, criterion(statistic="path_gain", at_least=0.8, at_most=1.25))
    assert [case["holds"] for case in cases(judged)] == [True, True]


def test_several_experiments_and_their_controls():
    measures = table(
        networks("linear", "sharpness_ratio", [1.0]),
        networks("residual", "sharpness_ratio", [1.0]),
        networks("linear-unbalanced", "sharpness_ratio", [2.0]),
        networks("residual-unbalanced", "sharpness_ratio", [1.0]),
    )
    both = criterion(experiments=["residual", "linear", "absent"])
    pairs = {"linear": ["linear-unbalanced"], "residual": ["residual-unbalanced"]}
    judged = verdict_on(measures, both, controls=pairs)
    assert [case["experiment"] for case in cases(judged)] == ["linear", "residual"]
    assert judged["verdict"] == "INCONCLUSIVE"
    assert verdict_on(measures, both, controls={"linear": ["linear-unbalanced"]})["verdict"] == "REPRODUCED"
