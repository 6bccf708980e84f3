"""Numbers of networks beside data, and the strip of diverged ones above a panel."""

import pandas as pd
import pytest

from flatminima.figures import labels, style


@pytest.mark.parametrize(
    ("units", "expected"), [([5, 5], "n = 5 seeds"), ([3, 5, 4], "n = 3 to 5 seeds"), ([1], "n = 1 seed")]
)
def test_the_number_of_units(units, expected):
    assert labels.n_of(pd.Series(units)) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(4, "in all cases"), (3, "in most cases"), (2, "in some cases"), (0, "in no case")]
)
def test_how_many_of_four_cases(count, expected):
    assert labels.how_many(count, 4) == expected


def strip(steps_lost_all):
    rows = [
        {"x": step, "family": "relu", "diverged": k < lost}
        for step, lost, replicas in steps_lost_all
        for k in range(replicas)
    ]
    page = style.figure(3.0, "", style.NARROW)
    panel = page.subplots()
    panel.set(xscale="log", xlim=(0.01, 10))
    height = labels.diverged_strip(panel, pd.DataFrame(rows), "x", "family", style.FAMILY_COLOUR)
    crosses = [x for line in panel.lines for x in line.get_xdata()]
    return height, crosses, [text.get_text() for text in panel.texts]


def test_the_strip_counts_diverged_networks_of_each_step():
    assert strip([(0.02, 0, 5), (0.1, 1, 5), (3.0, 4, 5)]) == (1, [0.1, 3.0], ["1/5", "4/5", "diverged:"])


def test_neighbouring_steps_share_a_count_and_name_both_where_they_differ():
    assert strip([(3.0, 5, 5), (3.2, 5, 5)]) == (1, [3.0, 3.2], ["5/5", "diverged:"])
    assert strip([(3.0, 2, 5), (3.2, 5, 5)]) == (1, [3.0, 3.2], ["2/5, 5/5", "diverged:"])


def test_there_is_no_strip_where_none_diverged():
    assert strip([(0.1, 0, 5)]) == (0, [], [])
