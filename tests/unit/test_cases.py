"""Units, effects and intervals of cases on hand-made tables, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from judged import criterion, network, networks, seeds, table, verdict_on

SHOWN = {"control": None, "class": "by symmetry"}
MEASURED = {"at_most": None, "at_least": 0.0}


def finding(measures, **changes):
    """The finding of one criterion in the only case of the networks `linear`."""
    judged = verdict_on(measures if isinstance(measures, pd.DataFrame) else table(measures), criterion(**changes))
    (case,) = [case for case in judged["cases"] if case["case"] == "linear"]
    return case["findings"][0]


def test_a_mean_has_students_interval():
    """Of 1 to 5: the mean 3, the standard deviation 1.5811, t = 2.7764 at four degrees of freedom: 3 -+ 1.9632."""
    found = finding(networks("linear", "sharpness_ratio", [1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (found["units"], found["effect"]) == (5, 3.0)
    assert (found["low"], found["high"]) == pytest.approx((1.03676, 4.96324), abs=1e-5)


@pytest.mark.parametrize(
    ("solved", "low", "high", "holds"),
    [(5, 0.4782, 1.0, True), (4, 0.2836, 0.9949, False), (0, 0.0, 0.5218, False)],
)
def test_a_share_has_the_exact_interval(solved, low, high, holds):
    """Clopper & Pearson's tables, five units."""
    rows = networks("linear", "solved", [1.0] * solved + [0.0] * (5 - solved))
    found = finding(rows, statistic="solved", at_most=None, at_least=1.0, share=1.0, smallest=0.5)
    assert found["effect"] == solved / 5
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-4)
    assert found["holds"] is holds


@pytest.mark.parametrize(("units", "holds"), [(7, False), (8, True)])
def test_a_share_below_one_holds_by_its_interval(units, holds):
    """All of 8: at least 63.1 %; all of 7: 59.0 %."""
    rows = networks("linear", "solved", [1.0] * units)
    asked = {"statistic": "solved", "at_most": None, "at_least": 1.0, "share": 0.6, "smallest": 0.1}
    assert finding(rows, **asked)["holds"] is holds


@pytest.mark.parametrize(
    ("values", "holds"),
    [([1.05, 1.06, 1.07, 1.06, 1.05], True), ([1.0, 1.0, 1.0, 1.0, 1.4], False), ([1.4] * 4 + [1.39], False)],
)
def test_a_case_holds_when_its_interval_does(values, holds):
    """The mean of the second is 1.08, below what is asked, its interval [.858, 1.302]."""
    assert finding(networks("linear", "sharpness_ratio", values))["holds"] is holds


def test_conditions_leave_networks_out_and_count_them():
    rows = [
        *networks("linear", "sharpness_ratio", [1.0, 1.1, 1.2, 1.3, 1.4], excess_loss=0.02),
        *network("linear", seed=5, sharpness_ratio=9.0, excess_loss=0.03),
        *network("linear", seed=6, sharpness_ratio=9.0, excess_loss=np.nan),
        *network("linear", seed=7, sharpness_ratio=np.nan, excess_loss=0.0),
        *network("linear", seed=8, sharpness_ratio=9.0, excess_loss=0.0, diverged=True),
        *network("linear", seed=9, sharpness_ratio=9.0, excess_loss=0.0, final=False),
    ]
    found = finding(rows, where=[{"statistic": "excess_loss", "at_most": 0.02}])
    assert (found["units"], found["excluded"], found["diverged"]) == (5, 3, 1)
    assert found["effect"] == pytest.approx(1.2)


def test_a_network_stands_with_its_worst_layer():
    """Of gains .5 and 1.6 the first is farther from 1 in logarithms, log 2; of the cosines .9 and .7 the second."""
    rows = [network("linear", seed=s, path_gain=[0.5, 1.6], path_cosine=[0.9, 0.7]) for s in range(5)]
    gain = finding(table(*rows), statistic="path_gain", deviation=True, **SHOWN)
    assert gain["worst"] == pytest.approx(np.log(2))
    cosine = finding(table(*rows), statistic="path_cosine", deviation=True, **SHOWN)
    assert cosine["worst"] == pytest.approx(0.3)
    plain = finding(table(*rows), statistic="path_gain", at_least=0.4, at_most=1.1, **SHOWN)
    assert plain["worst"] == 1.6


def test_a_statistic_relative_to_another_of_its_layer():
    rows = [network("linear", seed=s, product_norm=[2.2, 1.4], band_upper=[2.0, 1.0]) for s in range(5)]
    found = finding(table(*rows), statistic="product_norm", relative_to="band_upper", **SHOWN)
    assert found["worst"] == pytest.approx(1.4)


def test_depths_have_their_own_layers():
    """A network of depth 2 has no third layer: its absence is not a layer out of range."""
    rows = [network("linear", path_gain=[1.0, 1.0]), network("linear", depth=3, path_gain=[1.0, 1.0, 3.0])]
    judged = verdict_on(table(*rows), criterion(statistic="path_gain", at_most=2.0, **SHOWN))
    assert [case["holds"] for case in judged["cases"]] == [True, False]


def test_dose_and_response_is_one_number_a_seed():
    """Each seed's deviation where it is sharpest, less that where it is flattest, not that at its largest step."""
    rows = []
    for seed in range(5):
        doses = {0.1: (1.5, [0.5 + 0.01 * seed]), 0.2: (1.0, [0.9]), 0.4: (1.2, [0.1])}
        for step, (dose, cosine) in doses.items():
            rows += network("linear", seed=seed, setting=step, sharpness_ratio=dose, path_cosine=cosine)
    rows += network("linear", seed=9, setting=0.1, sharpness_ratio=1.0, path_cosine=[0.0])
    asked = {"statistic": "path_cosine", "deviation": True, "contrast": "sharpness_ratio"} | MEASURED
    found = finding(rows, **asked)
    assert found["units"] == 5
    assert found["effect"] == pytest.approx(0.38)


def test_an_excess_over_nulls_is_over_the_best_of_them():
    """1 - cosine is .2 in the network, .5 and .3 in its nulls: an excess of .1 over the second."""
    rows = []
    for seed in range(5):
        for ending, cosine in (("", 0.8 + 0.001 * seed), ("-spectra", 0.5), ("-permuted", 0.7)):
            rows += network(f"linear{ending}", seed=seed, own_cosine=[cosine, 0.9])
    asked = {"statistic": "own_cosine", "deviation": True, "against": ["spectra", "permuted"]} | MEASURED
    assert finding(rows, **asked)["effect"] == pytest.approx(0.102)
    missing = table(rows).query("~(control == 'permuted' and seed == 3)")
    found = finding(missing, **asked)
    assert (found["units"], found["excluded"]) == (4, 1)


def test_a_difference_of_experiments_is_taken_seed_by_seed():
    rows = [
        row for seed in range(5) for name, value in (("linear", 2.0 + seed), ("other", 1.5 + seed))
        for row in network(name, seed=seed, sharpness_ratio=value)
    ]  # fmt: skip
    found = finding(rows, minus="other")
    assert (found["effect"], found["low"], found["high"]) == (0.5, 0.5, 0.5)


def test_step_sizes_are_conditions_and_not_replicates():
    rows = [seeds("linear", 1.0, setting=step) for step in (0.1, 0.2)]
    judged = verdict_on(table(*rows), criterion())
    assert [(case["setting"], case["findings"][0]["units"]) for case in judged["cases"]] == [(0.1, 5), (0.2, 5)]


def test_gradient_flow_has_no_step_size_and_is_judged_too():
    judged = verdict_on(table(seeds("linear", 1.0, setting=np.nan)), criterion())
    assert [case["findings"][0]["units"] for case in judged["cases"]] == [5]


@pytest.mark.parametrize("where", [[], [{"statistic": "sharpness_ratio", "at_most": 1.05}]])
def test_networks_that_diverged_and_were_never_measured_are_counted(where):
    """The table of a shape whose replicas all diverged holds nothing but `diverged`."""
    measures = table(seeds("linear", 1.0), network("linear", depth=3, diverged=True))
    cases = verdict_on(measures, criterion(where=where))["cases"]
    assert [(case["shape"], case["findings"][0]["diverged"], case["holds"] is None) for case in cases] == [
        (2, 0, False),
        (3, 1, True),
    ]


def test_without_the_experiment_to_be_compared_with_nothing_is_decided():
    found = finding(networks("linear", "sharpness_ratio", [1.0, 1.1, 1.2, 1.3, 1.4]), minus="other")
    assert (found["units"], found["holds"], found["excluded"]) == (0, None, 5)
