"""Rank correlations against scipy and by hand; intervals cover what they should on planted populations."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from flatminima.figures.rescaling.rank_correlation import Correlation, rank_correlation

GROUP = ["group"]
SEEDS, GROUPS = 3, 12


def alike(rng, shared=0.0):
    """Groups of networks far apart, with a part of their values in common among the two columns."""
    table = pd.DataFrame({"group": np.repeat(np.arange(GROUPS), SEEDS)})
    both = rng.standard_normal((2, len(table))) + shared * rng.standard_normal(len(table))
    apart = 100.0 * rng.standard_normal(GROUPS)[table["group"]]
    return table.assign(x=both[0] + apart, y=both[1] + apart)


def test_over_all_networks_it_is_scipys():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.random(20), "y": rng.random(20), "group": range(20)})
    found = rank_correlation(rows, "x", "y", GROUP, within=False)
    assert found.value == pytest.approx(spearmanr(rows["x"], rows["y"]).statistic, rel=1e-12)


def test_the_interval_is_fishers_with_the_error_of_ranks():
    """As many groups as networks: tanh(artanh r +- 1.96 s) with s by hand, a little wider than scipy's for numbers."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"x": rng.random(20), "group": range(20)})
    rows["y"] = rows["x"] + 0.5 * rng.random(20)
    found = rank_correlation(rows, "x", "y", GROUP, within=False)
    error = ((1 + found.value**2 / 2) / 17) ** 0.5
    ends = np.tanh(np.arctanh(found.value) + np.array([-1.959964, 1.959964]) * error)
    assert [found.low, found.high] == pytest.approx(list(ends), rel=1e-6)
    ranks = rows.rank()
    narrower = pearsonr(ranks["x"], ranks["y"]).confidence_interval()
    assert found.low < narrower.low < found.value < narrower.high < found.high


def test_ranks_among_alike_networks_leave_out_what_groups_differ_in():
    """Two groups far apart, in which the orders are opposite; by hand: ranks 1 2 3 against 3 2 1, then 2 3 1."""
    rows = pd.DataFrame(
        {"y": [0.3, 0.2, 0.1, 7.2, 7.3, 7.1], "x": [1.0, 2, 3, 80, 90, 100], "group": [0] * 3 + [1] * 3}
    )
    found = rank_correlation(rows, "x", "y", GROUP, within=True)
    assert found.value == pytest.approx(-0.75)
    assert np.arctanh(found.high) - np.arctanh(found.low) == pytest.approx(
        2 * 1.959964 * (1.28125 / 2) ** 0.5, rel=1e-6
    )
    assert rank_correlation(rows, "x", "y", GROUP, within=False).value > 0


def test_intervals_cover_no_relation_in_ninety_five_of_a_hundred():
    """600 populations of alike networks without a relation; groups are far apart, which ranks within them leave out."""
    rng = np.random.default_rng(2)
    found = [rank_correlation(alike(rng), "x", "y", GROUP, within=True) for _ in range(600)]
    assert 0.93 <= np.mean([not own.detected for own in found]) <= 0.985
    assert all(rank_correlation(alike(rng), "x", "y", GROUP, within=False).value > 0.5 for _ in range(20))


def test_a_strong_relation_among_alike_networks_is_detected():
    rng = np.random.default_rng(3)
    found = [rank_correlation(alike(rng, shared=3.0), "x", "y", GROUP, within=True) for _ in range(50)]
    assert np.mean([own.detected for own in found]) > 0.95


def test_too_few_networks_have_no_interval():
    rows = pd.DataFrame({"x": [1.0, 2, 3], "y": [1.0, 2, 3], "group": [0, 1, 2]})
    found = rank_correlation(rows, "x", "y", GROUP, within=False)
    assert (found.value, found.low, found.high) == (pytest.approx(1), -1, 1)
    assert not found.detected
    same = rank_correlation(rows.assign(y=1.0), "x", "y", GROUP, within=False)
    assert np.isnan(same.value)
    assert not same.detected


def test_words():
    assert str(Correlation(0.15, -0.264, 0.512)) == "0.15 [−0.26, 0.51], not detected"
    assert str(Correlation(-0.6, -0.8, -0.2)) == "−0.60 [−0.80, −0.20]"
