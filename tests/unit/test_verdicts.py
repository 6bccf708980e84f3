"""Verdicts on hand-made tables: every word of the vocabulary, and what leads to it."""

import numpy as np
import pytest
from judged import SPREAD, WORDS, claim, criterion, judged_by, network, networks, seeds, table, verdict_on

from flatminima.claims.results import Verdict

SHARP = [row for depth in range(2, 22) for row in seeds("linear-unbalanced", 2.0, depth=depth)]
SOLVED = {"statistic": "solved", "at_most": 0.0, "at_least": None, "share": 1.0, "smallest": 0.5}


def ratios(*values, also=()):
    """One depth for each sharpness ratio, from two on, with controls that fail, and other rows."""
    rows = [seeds("linear", value, depth=depth) for depth, value in enumerate(values, 2)]
    controls = [seeds("linear-unbalanced", 2.0, depth=depth) for depth, _ in enumerate(values, 2)]
    return table(*rows, *controls, *also)


def prediction(which, **changes):
    return {"class": "prediction of ours", "predicted": which} | changes


@pytest.mark.parametrize(
    ("values", "changes", "verdict"),
    [
        ((1.0, 1.0, 1.0), {}, Verdict.REPRODUCED),
        ((1.0, 1.0, 1.2), {}, Verdict.PARTIAL),
        ((1.2, 1.2, 1.2), {}, Verdict.NOT_REPRODUCED),
        ((1.0, 1.2, 1.2), {"universal": True}, Verdict.REFUTED),
        ((1.0, 1.0, 1.2), {"universal": True}, Verdict.PARTIAL),
        ((1.0, 1.0, 1.105), {"universal": True}, Verdict.PARTIAL),
        ((1.0, 1.0, 1.0), prediction("true"), Verdict.CONFIRMED),
        ((1.0, 1.0, 1.2), prediction("true"), Verdict.NOT_CONFIRMED),
        ((1.0, 1.0, 1.2), prediction("true", universal=True), Verdict.NOT_CONFIRMED),
        ((1.0, 1.2, 1.2), prediction("false", universal=True), Verdict.REFUTED_AS_PREDICTED),
        ((1.0, 1.0, 1.0), prediction("false", universal=True), Verdict.NOT_CONFIRMED),
        ((1.0, 1.0, 1.0), {"class": "theorem"}, Verdict.CHECKED),
        ((1.0, 1.0, 1.09), {"class": "theorem"}, Verdict.VIOLATED),
        ((1.0, 1.0, 1.2), {"class": "by symmetry"}, Verdict.BY_SYMMETRY),
        ((), {}, None),
    ],
)
def test_the_words_of_verdicts(values, changes, verdict):
    """Of 1.09 one seed in five is 1.1026, out of range; the interval of 1.105 straddles 1.1 and refutes nothing.

    Nor does one interval of three, since one of three lies outside by chance in more than one run of twenty.
    """
    judged = verdict_on(ratios(*values) if values else table(seeds("other", 1.0)), **changes)
    assert (judged and judged["verdict"]) == verdict


def test_no_word_is_left_out_above():
    marks = next(mark for mark in test_the_words_of_verdicts.pytestmark if mark.name == "parametrize")
    assert {verdict for *_, verdict in marks.args[1]} | {Verdict.INCONCLUSIVE} == {*Verdict, None}


def test_a_verdict_says_how_many_cases_hold_and_where_it_fails():
    judged = verdict_on(ratios(1.0, 1.0, 1.2))
    assert judged["reason"] == "2 of 3 cases hold, not linear at depth 4"
    refuted = verdict_on(ratios(1.0, 1.2, 1.2), universal=True)
    assert refuted["reason"] == "2 of 3 cases refute it: linear at depths 3, 4"
    assert {key: judged[key] for key in WORDS} == WORDS
    assert judged["class"] == "measured"


@pytest.mark.parametrize(("holding", "verdict"), [(1, "NOT REPRODUCED"), (3, "NOT REPRODUCED"), (4, "PARTIAL")])
def test_as_many_as_chance_would_let_hold_are_not_partial(holding, verdict):
    """Of 20 cases that each hold once in twenty, three or more do in 7.5 % of runs, four or more in 1.6 %."""
    assert verdict_on(ratios(*[1.0] * holding, *[1.2] * (20 - holding)))["verdict"] == verdict


def test_fewer_than_five_units_decide_nothing_which_is_not_to_fail():
    few = networks("linear", "sharpness_ratio", 1.0 + SPREAD[:4], depth=5)
    judged = verdict_on(ratios(1.0, 1.0, 1.0, also=[few]))
    assert [case["holds"] for case in judged["cases"]] == [True, True, True, None]
    assert judged["verdict"] == "REPRODUCED"
    assert (
        judged["reason"]
        == "3 of 3 cases hold; 1 case could not be tested (at most 4 of the 5 seeds or instances that it takes)"
    )


def test_inconclusive_where_half_of_the_cases_could_not_be_tested():
    measures = table(
        seeds("linear", 1.0, excess_loss=0.0),
        seeds("linear", 1.0, depth=3, excess_loss=1.0),
        networks("linear", "sharpness_ratio", [1.0] * 5, depth=4, diverged=True),
        seeds("linear-unbalanced", 2.0, excess_loss=0.0),
    )
    judged = verdict_on(measures, criterion(where=[{"statistic": "excess_loss", "at_most": 0.1}]))
    assert judged["verdict"] == "INCONCLUSIVE"
    untested = (
        "2 cases could not be tested (all networks diverged or learned nothing, or no network met the conditions)"
    )
    assert judged["reason"].endswith(f"; {untested}")


def test_what_holds_by_symmetry_is_shown_and_never_counted():
    symmetric = criterion(name="as all layers are equal", cases=["residual"], **{"class": "by symmetry"})
    measures = [seeds("residual", 3.0, depth=depth) for depth in (2, 3, 4)]
    judged = verdict_on(ratios(1.0, 1.0, 1.0, also=measures), criterion(), symmetric)
    assert judged["verdict"] == "REPRODUCED"
    shown = [case for case in judged["cases"] if case["case"] == "residual"]
    assert [(case["counted"], case["holds"], case["class"]) for case in shown] == [(False, False, "by symmetry")] * 3


def test_a_theorem_that_is_violated_outweighs_what_was_measured():
    theorem = criterion(name="in closed form", cases=["flattest"], at_most=1.05, **{"class": "theorem"})
    measures = [seeds("flattest", 1.2), seeds("flattest-unbalanced", 2.0)]
    judged = verdict_on(ratios(1.0, 1.0, 1.0, also=measures), criterion(), theorem)
    assert judged["verdict"] == "VIOLATED"
    assert judged["reason"] == "a theorem's check fails: flattest at depth 2"


def test_a_theorem_needs_no_five_instances_and_its_steps_are_taken_together():
    rows = [network("linear", setting=step, sharpness_ratio=1.0) for step in (0.1, 0.2)]
    judged = verdict_on(table(*rows, SHARP), **{"class": "theorem"})
    assert judged["reason"] == "the theorem holds in all of 2 instances, in 1 case"


# Controls


def test_a_control_that_holds_too_proves_nothing():
    measures = table(*[seeds(f"linear{end}", 1.0, depth=d) for end in ("", "-unbalanced") for d in (2, 3, 4)])
    judged = verdict_on(measures)
    assert judged["verdict"] == "INCONCLUSIVE"
    assert judged["reason"] == "“is flat” proves nothing: the control holds too, in 3 of 3 cases"
    control = judged["criteria"][0]["control"]
    assert (control["fails"], control["broken"]) == (False, "the control holds too, in 3 of 3 cases")


@pytest.mark.parametrize(("holding", "others", "proves"), [(1, 0, False), (1, 1, True), (2, 1, False), (3, 17, True)])
def test_no_more_of_a_control_may_hold_than_by_chance(holding, others, proves):
    """One of two cases, or three of twenty, hold by chance in more than one run of twenty; two of three do not."""
    depths = range(2, 2 + holding + others)
    controls = [seeds("linear-unbalanced", 1.0 if depth < 2 + holding else 2.0, depth=depth) for depth in depths]
    judged = verdict_on(table(*[seeds("linear", 1.0, depth=depth) for depth in (2, 3, 4)], *controls))
    assert judged["criteria"][0]["control"]["fails"] is proves


def test_of_a_theorem_no_control_may_hold():
    measures = ratios(1.0, 1.0, 1.0, also=[seeds("linear-unbalanced", 1.0, depth=depth) for depth in (5,)])
    judged = verdict_on(measures, criterion(at_most=1.05), **{"class": "theorem"})
    assert judged["reason"] == "“is flat” proves nothing: the control holds too, in 1 of 4 cases"


def test_each_criterion_needs_a_control_that_fails_by_it():
    gain = criterion(name="has gain", statistic="path_gain_fraction", at_most=None, at_least=0.9)
    rows = [
        *[seeds("linear", 1.0, depth=d, path_gain_fraction=1.0) for d in (2, 3, 4)],
        *[
            network("linear-unbalanced", seed=s, depth=2, sharpness_ratio=2 + s, path_gain_fraction=1 + s)
            for s in range(5)
        ],
    ]
    judged = verdict_on(table(*rows), criterion(), gain)
    assert judged["verdict"] == "INCONCLUSIVE"
    assert [found["control"]["fails"] for found in judged["criteria"]] == [True, False]


def test_a_control_that_was_not_measured_proves_nothing():
    measures = table(*[seeds("linear", 1.0, depth=depth) for depth in (2, 3, 4)])
    assert verdict_on(measures)["reason"] == "“is flat” proves nothing: no control network was measured"


def test_a_control_implied_by_the_condition_is_refused():
    """Only networks of ratio 1.05 or less are asked whether theirs is at most 1.1: all controls are left out."""
    flat = criterion(where=[{"statistic": "sharpness_ratio", "at_most": 1.05}])
    judged = verdict_on(ratios(1.0, 1.0, 1.0), flat)
    assert judged["verdict"] == "INCONCLUSIVE"
    assert judged["reason"] == "“is flat” proves nothing: its condition leaves out every control network"


def test_a_control_implied_by_a_definition_is_refused():
    """A statistic that is 7 in every control, whatever the network, does not depend on the property."""
    controls = [networks("linear-unbalanced", "sharpness_ratio", [7.0] * 5, depth=depth) for depth in (2, 3, 4)]
    measures = table(*[seeds("linear", 1.0, depth=depth) for depth in (2, 3, 4)], *controls)
    judged = verdict_on(measures)
    assert judged["verdict"] == "INCONCLUSIVE"
    assert judged["reason"] == "“is flat” proves nothing: the control is 7 in every network, by its definition"


def test_a_control_of_yes_or_no_may_always_say_no():
    rows = [networks(f"linear{end}", "solved", [value] * 6) for end, value in (("", 0.0), ("-unbalanced", 1.0))]
    judged = verdict_on(table(*rows), criterion(**SOLVED))
    assert judged["criteria"][0]["control"]["fails"] is True


def test_a_control_may_be_other_networks_of_the_experiment_itself():
    """Steps of .1 lead to sharp minima, and the control's own conditions say so."""
    control = {"description": "small steps", "settings": {"at_most": 0.2}}
    rows = [seeds("linear", 1.0, depth=d) + seeds("linear", 1.5, depth=d, setting=0.1) for d in (2, 3, 4)]
    judged = verdict_on(table(*rows), criterion(control=control, settings={"at_least": 0.2}))
    assert judged["verdict"] == "REPRODUCED"
    assert {case["setting"] for case in judged["criteria"][0]["control"]["cases"]} == {0.1}


# The step of least training loss

BEST = criterion(condition="best")


def swept(loss, ratio, depth=2, **others):
    """Five seeds at each step, by step size, and controls that fail at all of them."""
    rows = [seeds("linear", ratio[s], depth=depth, setting=s, loss=loss[s], **others) for s in loss]
    return rows + [seeds("linear-unbalanced", 2.0, depth=depth, setting=s, loss=1.0) for s in loss]


def by_step(judged):
    return {case["setting"]: (case["counted"], case["holds"]) for case in judged["cases"] if case["shape"] == 2}


def test_the_step_of_least_training_loss_counts_and_the_others_are_shown():
    loss, ratio = {0.1: 0.3, 0.2: 0.1, 0.4: 0.2}, {0.1: 1.5, 0.2: 1.0, 0.4: 1.5}
    judged = verdict_on(table(*swept(loss, ratio), *swept(loss, ratio, 3), *swept(loss, ratio, 4)), BEST)
    assert by_step(judged) == {0.2: (True, True), 0.1: (False, False), 0.4: (False, False)}
    assert judged["verdict"] == "REPRODUCED"
    assert judged["decisive"]["cases"] == 3


def test_a_step_at_which_a_seed_diverged_cannot_be_the_best():
    loss, ratio = {0.1: 0.3, 0.2: 0.1}, {0.1: 1.5, 0.2: 1.0}
    lost = network("linear", seed=9, setting=0.2, sharpness_ratio=1.0, loss=0.0, diverged=True)
    judged = verdict_on(table(*swept(loss, ratio), lost), BEST)
    assert by_step(judged) == {0.1: (True, False), 0.2: (False, True)}


def test_controls_are_judged_at_the_best_step_of_their_experiment():
    loss, ratio = {0.1: 0.3, 0.2: 0.1}, {0.1: 1.5, 0.2: 1.0}
    judged = verdict_on(table(*swept(loss, ratio)), BEST)
    assert [case["setting"] for case in judged["criteria"][0]["control"]["cases"]] == [0.2]


# What a judgement holds


def test_criteria_and_claims_on_experiments_of_other_studies_are_left_out():
    elsewhere = criterion(name="elsewhere", cases=["flow"])
    judged = verdict_on(ratios(1.0, 1.0, 1.0), elsewhere, criterion())
    assert [found["name"] for found in judged["criteria"]] == ["is flat"]
    assert {finding["criterion"] for case in judged["cases"] for finding in case["findings"]} == {0}
    both = judged_by(ratios(1.0, 1.0, 1.0), claim(elsewhere, id="M2"), claim())
    assert [found["id"] for found in both] == ["M1"]


def test_a_case_of_several_criteria_holds_when_all_do():
    gain = criterion(name="has gain", statistic="path_gain_fraction", at_most=None, at_least=0.9)
    rows = [
        network("linear", depth=d, seed=s, sharpness_ratio=1 + SPREAD[s], path_gain_fraction=g + SPREAD[s])
        for d, g in ((2, 1.0), (3, 0.5), (4, 1.0)) for s in range(5)
    ]  # fmt: skip
    controls = [
        network("linear-unbalanced", depth=d, seed=s, sharpness_ratio=2 + SPREAD[s], path_gain_fraction=0.2 + SPREAD[s])
        for d in (2, 3, 4) for s in range(5)
    ]  # fmt: skip
    judged = verdict_on(table(*rows, *controls), criterion(), gain)
    assert [case["holds"] for case in judged["cases"]] == [True, False, True]
    assert judged["reason"] == "2 of 3 cases hold, not linear at depth 3 (is flat: 3 of 3; has gain: 2 of 3)"


def test_the_decisive_case_has_the_least_to_spare():
    decisive = verdict_on(ratios(1.0, 1.05, 0.9))["decisive"]
    assert (decisive["case"], decisive["shape"], decisive["cases"]) == ("linear", 3, 3)
    assert decisive["effect"] == pytest.approx(1.05)


def test_json_holds_no_infinities():
    """`judged_by` allows no NaN, either."""
    rows = [network("linear", seed=s, path_gain=[0.0, 1.0]) for s in range(5)]
    asked = criterion(statistic="path_gain", deviation=True, control=None, **{"class": "by symmetry"})
    (case,) = verdict_on(table(*rows), asked)["cases"]
    assert case["findings"][0]["worst"] is None


def test_a_predicate_that_errs_too_often_decides_nothing():
    """Seeds spread twenty times as far as the smallest effect worth naming: it would be missed."""
    rows = [networks("linear", "sharpness_ratio", 0.5 + 20 * SPREAD, depth=d) for d in (2, 3, 4)]
    judged = verdict_on(table(*rows, SHARP), criterion(smallest=0.01))
    assert judged["verdict"] == "INCONCLUSIVE"
    assert judged["characteristics"]["sound"] is False
    assert "but the predicate has size" in judged["reason"]


def test_all_that_is_measured_is_finite_or_absent():
    judged = verdict_on(ratios(1.0, 1.0, 1.0))
    for case in judged["cases"]:
        (found,) = case["findings"]
        assert all(np.isfinite(found[key]) for key in ("effect", "low", "high", "worst"))


def test_a_single_instance_refutes_what_is_said_of_all():
    """19 of 20 arrive: the exact interval of that share ends at .9987, short of one."""
    rows = [*networks("linear", "solved", [0.0] * 19 + [1.0]), *networks("linear-unbalanced", "solved", [1.0] * 20)]
    judged = verdict_on(table(rows), criterion(**SOLVED), universal=True)
    assert judged["verdict"] == "REFUTED"
    assert judged["decisive"]["high"] == pytest.approx(0.9987, abs=1e-4)


def test_a_verdict_names_the_steps_at_which_a_depth_fails():
    rows = [seeds("linear", ratio, setting=step) for step, ratio in ((0.1, 1.0), (0.2, 1.2), (0.5, 1.2))]
    measures = table(*rows, seeds("linear-unbalanced", 2.0))
    assert verdict_on(measures)["reason"] == "1 of 3 cases hold, not linear at depth 2 and steps 0.2 to 0.5"
