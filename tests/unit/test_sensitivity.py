"""Verdicts on variations: by the criteria of their baseline, alone, and on the same depths and step sizes."""

import re

import numpy as np
import pandas as pd
import pytest
from judged import SPREAD, claim, criterion, network, networks, table

from flatminima.claims.ledger import Ledger
from flatminima.claims.sensitivity import judge_alone, on_grid
from flatminima.claims.verdicts import judge
from flatminima.errors import UserError
from flatminima.figures.render import drawn
from flatminima.figures.table_files import readable
from flatminima.figures.training.sensitivity import render_sensitivity, sensitivity
from flatminima.settings.variations import Variation

LABELS = {"task": "noisy", "initialisation": "pytorch", "optimiser": "sgd", "family": "relu"}
WIDE = Variation(experiment="wide", baseline="relu", choice="width", before="16", after="64")
MEAN = Variation(experiment="mean", baseline="relu", choice="loss", before="sum", after="mean")


def asked(identity, at_least, **control):
    bounds = {"statistic": "path_cosine", "at_most": None, "at_least": at_least, "smallest": 0.1}
    names = {"cases": ["linear", "relu"], "control": {"description": "d"} | control}
    return claim(criterion(name="coupled", **bounds, **names), id=identity)


def ledger(*claims):
    return Ledger.model_validate({"claims": list(claims)})


UNBALANCED = {"controls": ["unbalanced"]}
ELSEWHERE = claim(criterion(cases=["linear"]), id="M1")
LEDGER = ledger(asked("M5", 0.5, **UNBALANCED), ELSEWHERE)


def trained(experiment, cosine, **others):
    """Five networks of two hidden layers whose worst cosines spread around one, and controls that fail."""
    gains = {"path_gain": [0.8, 1.3, 1.0], "sharpness_ratio": 1.5, "depth": 3} | others
    good = networks(experiment, "path_cosine", [[value, 1.0] for value in cosine + SPREAD], **gains)
    return good + networks(f"{experiment}-unbalanced", "path_cosine", [[value, 0.1] for value in 0.1 + SPREAD], **gains)


def study(*rows):
    return table(*rows).assign(**LABELS)


def test_a_variation_is_judged_by_the_criteria_of_its_baseline_and_no_other():
    measures = study(trained("linear", 0.2), trained("relu", 0.9), trained("wide", 0.4))
    (judged,) = judge_alone(ledger(asked("M5", 0.5, **UNBALANCED), ELSEWHERE), measures, "wide", "relu")
    assert (judged.id, judged.verdict) == ("M5", "NOT REPRODUCED")
    assert [case.name for case in judged.cases] == ["wide"]
    assert judged.cases[0].findings[0].effect == pytest.approx(0.4)
    (found,) = judged.criteria
    assert [case.name for case in found.control.cases] == ["wide-unbalanced"]


def test_a_variation_is_compared_with_nulls_of_its_own():
    """Coupled beyond chance: 1 - cosine is .1 in the network and .4 in the null made from it; its baseline's are .9."""
    beyond = {"statistic": "own_cosine", "deviation": True, "against": ["spectra"], "at_most": None, "at_least": 0.0}
    control = {"description": "again", "controls": ["spectra_again"]}
    names = {"cases": ["relu"], "control": control, "smallest": 0.05}
    rows = [
        network(f"{name}{ending}", seed=s, own_cosine=[cosine + SPREAD[s]])
        for name, cosines in (("relu", (0.1, 0.1, 0.1)), ("wide", (0.9, 0.6, 0.5)))
        for ending, cosine in zip(("", "-spectra", "-spectra_again"), cosines, strict=True)
        for s in range(5)
    ]
    (judged,) = judge_alone(ledger(claim(criterion(**beyond, **names), id="M5")), study(*rows), "wide", "relu")
    assert judged.cases[0].findings[0].effect == pytest.approx(0.3)
    (shown,) = judged.criteria[0].control.cases
    assert (shown.name, shown.holds) == ("wide-spectra_again", False)


def test_the_verdict_is_that_of_a_ledger_that_names_the_variation():
    measures = study(*(trained("wide", value, depth=depth) for value, depth in ((0.9, 3), (0.9, 4), (0.3, 2))))
    named = asked("M5", 0.5, **UNBALANCED)
    named["criteria"][0]["cases"] = ["wide"]
    assert judge_alone(LEDGER, measures, "wide", "relu") == judge(ledger(named), measures)


def test_a_variation_without_its_own_control_proves_nothing():
    without = networks("wide", "path_cosine", [[value, 1.0] for value in 0.9 + SPREAD], depth=3)
    (judged,) = judge_alone(LEDGER, study(trained("relu", 0.9), without), "wide", "relu")
    assert judged.verdict == "INCONCLUSIVE"


def test_variations_have_no_part_in_the_verdicts_of_the_study():
    without = study(trained("linear", 0.9), trained("relu", 0.9))
    measures = pd.concat([without, study(trained("wide", 0.1))])
    assert judge(LEDGER, measures) == judge(LEDGER, without)


def test_the_baseline_is_cut_to_the_grid_of_the_variation():
    cells = [("relu", 2, 0.1), ("relu", 2, 0.5), ("relu", 3, 0.5), ("relu_adam", 2, 0.5), ("wide", 2, 0.5)]
    measures = study(*(trained(name, 0.9, depth=depth, setting=step) for name, depth, step in cells))
    found = on_grid(measures, "relu", "wide")
    assert set(zip(found["case"], found["control"], strict=True)) == {("relu", ""), ("relu", "unbalanced")}
    assert set(zip(found["depth"], found["setting"], strict=True)) == {(2, 0.5)}


def test_a_gradient_flow_which_has_no_step_size_keeps_its_grid():
    measures = study(*(trained(name, 0.9, setting=np.nan) for name in ("relu", "wide")))
    assert len(on_grid(measures, "relu", "wide")) == len(measures) / 2


def test_a_flip_shows_beside_the_baseline_on_the_same_grid():
    """The baseline fails at depth 4 alone, where the variation was not run: it flips all the same."""
    measures = study(
        trained("relu", 0.9), trained("relu", 0.2, depth=4), trained("wide", 0.4), trained("mean", 0.6)
    )  # fmt: skip
    found = sensitivity(measures, LEDGER, [WIDE, MEAN]).set_index("case")
    assert list(found.index) == ["relu", "wide", "mean"]
    assert list(found["verdict_M5"]) == ["REPRODUCED", "NOT REPRODUCED", "REPRODUCED"]
    assert list(found["flips"]) == ["–", "M5", "none"]
    assert list(found.loc["wide", ["choice", "before", "after"]]) == ["width", "16", "64"]
    assert list(found["depths"]) == ["3"] * 3
    assert found.loc["wide", "reason_M5"].endswith(", not wide at depth 3")
    assert not any(column.endswith("M1") for column in found)


def test_each_grid_has_a_baseline_row_of_its_own():
    measures = study(
        trained("relu", 0.9), trained("relu", 0.2, depth=4),
        trained("wide", 0.9, depth=4), trained("mean", 0.9), trained("other", 0.9, depth=4),
    )  # fmt: skip
    other = WIDE.model_copy(update={"experiment": "other"})
    found = sensitivity(measures, LEDGER, [WIDE, MEAN, other])
    assert list(found["case"]) == ["relu", "mean", "relu", "wide", "other"]
    assert list(found["flips"]) == ["–", "none", "–", "M5", "M5"]


def test_statistics_are_those_of_the_worst_layer_and_networks_that_diverged_are_counted_apart():
    gains = [[0.5, 1.25, 1.0], [0.9, 1.1, 1.0], [1.2, 2.0, 1.0]]
    rows = [
        networks("wide", "path_cosine", [[0.9, 0.6], [0.8, 0.7], [0.95, 0.5]][k : k + 1], depth=3, path_gain=g,
                 sharpness_ratio=1.0 + k, setting=0.1 * (k + 1))
        for k, g in enumerate(gains)
    ]  # fmt: skip
    lost = networks("wide", "path_cosine", [[0.9, 0.9]], depth=3, path_gain=[1, 1, 1], sharpness_ratio=1, diverged=True)
    measures = study(*rows, lost, trained("relu", 0.9))
    row = sensitivity(measures, LEDGER, [WIDE]).set_index("case").loc["wide"]
    assert (row["networks"], row["diverged"], row["step_sizes"]) == (4, 1, "0.1, 0.2, 0.3, 0.5")
    assert row["sharpness_ratio_median"] == 2.0
    assert row["path_cosine_median"] == 0.6
    assert (row["least_gain_median"], row["largest_gain_median"]) == (0.9, 1.25)
    assert row["largest_gain_low"] == pytest.approx(np.percentile([1.25, 1.1, 2.0], 5))


def test_the_files_show_one_column_for_each_claim(tmp_path):
    measures = study(trained("relu", 0.9), trained("wide", 0.4))
    measures.to_parquet(tmp_path / "measures.parquet")
    render_sensitivity(tmp_path / "measures.parquet", LEDGER, [WIDE], tmp_path / "sensitivity")
    shown = readable(sensitivity(measures, LEDGER, [WIDE]))
    assert list(shown["M5"]) == ["REPRODUCED", "NOT REPRODUCED"]
    assert not [heading for heading in shown if heading.startswith("reason")]
    html = (tmp_path / "sensitivity.html").read_text()
    cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", html)
    assert cells == [*shown.columns, *shown.to_numpy().ravel()]
    assert "NOT REPRODUCED" in (tmp_path / "sensitivity.tex").read_text()
    assert ", not wide at depth 3" in (tmp_path / "sensitivity.csv").read_text()


def test_a_variation_that_was_not_measured_is_named():
    with pytest.raises(UserError, match="no network of 'wide' in the measures"):
        sensitivity(study(trained("relu", 0.9)), LEDGER, [WIDE])


def test_figures_leave_variations_and_their_controls_out(tmp_path):
    without = study(trained("relu", 0.9, loss=1.0), trained("relu", 0.7, loss=1.0, setting=0.1))
    measures = pd.concat([without, study(trained("wide", 0.4, loss=1.0))])
    measures.to_parquet(tmp_path / "measures.parquet")
    _, plotted = drawn("sharpness", tmp_path / "measures.parquet", None, LEDGER, ["wide"])
    assert set(plotted["case"]) == {"relu"}
    _, plotted = drawn("sharpness", tmp_path / "measures.parquet", None, LEDGER)
    assert set(plotted["case"]) == {"relu", "wide"}
