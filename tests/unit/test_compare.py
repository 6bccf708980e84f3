"""Comparison of two result sets: counts by hand, and laws that hold for any tables."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_pages import claim

from flatminima.audit.compare import compare, compare_tables, comparison_table, of_interest
from flatminima.errors import UserError

NETWORK = {"case": "linear", "control": "", "task": "noisy", "initialisation": "pytorch", "depth": 2, "setting": 0.5}


def table(values, statistic="sharpness", **changes) -> pd.DataFrame:
    """Measures of networks that differ in their seed."""
    rows = [
        {**NETWORK, "seed": k, "final": True, "layer": 0, "statistic": statistic, "value": value}
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(**changes).astype({"value": float})


def only(first, second, tolerance=0.01) -> pd.Series:
    found = compare_tables(first, second, tolerance)
    assert len(found) == 1
    return found.iloc[0]


def counts(row) -> list[int]:
    return row[["equal", "within", "different", "missing"]].tolist()


def test_equal_within_different_and_missing_are_counted():
    row = only(table([1, 100, 1, 1]), table([1, 100.5, 1.1]))
    assert counts(row) == [1, 1, 1, 1]
    assert row["largest"] == pytest.approx(0.1 / 1.1)


def test_a_difference_near_zero_is_relative_to_what_is_typical():
    """1e-9 against 2e-9 is nothing for a statistic whose median is 1."""
    assert counts(only(table([1, 1, 1e-9]), table([1, 1, 2e-9]))) == [2, 1, 0, 0]


def test_values_that_are_not_finite_agree_with_themselves_alone():
    same = [math.nan, math.inf, -math.inf]
    assert counts(only(table(same), table(same))) == [3, 0, 0, 0]
    assert counts(only(table(same), table([1.0, 1.0, math.inf]))) == [0, 0, 3, 0]


def test_snapshots_are_matched_in_their_order_and_settings_may_be_absent():
    first = table([1, 2], seed=0, final=False, setting=math.nan)
    assert counts(only(first, first)) == [2, 0, 0, 0]
    assert counts(only(first, first.iloc[::-1])) == [0, 0, 2, 0]


def test_distances_flips_and_controls_are_told_apart():
    """A perceptron's table has no layers that differ, but distances and flips; one value at no distance."""
    rows = table([1.0, 2.0, 3.0, 4.0], seed=0, size=7, distance=[0.1, 0.2, math.nan, math.nan], flips=[0, 0, 0, 1])
    assert counts(only(rows, rows.iloc[::-1])) == [4, 0, 0, 0]
    both = pd.concat([table([1.0]), table([2.0], control="tanh")])
    assert compare_tables(both, both, 0.0)["control"].tolist() == ["", "tanh"]


def test_quantities_are_told_apart():
    both = pd.concat([table([1.0]), table([2.0], "loss"), table([3.0], case="relu")])
    found = compare_tables(both, both, 0.0)
    assert list(zip(found["case"], found["statistic"], strict=True)) == [
        ("linear", "loss"), ("linear", "sharpness"), ("relu", "sharpness")
    ]  # fmt: skip


floats = st.floats(min_value=-1e6, max_value=1e6)


@given(st.lists(floats, min_size=1, max_size=8), st.lists(floats, min_size=1, max_size=8), st.floats(0, 1))
def test_every_row_is_counted_once_and_the_order_of_rows_does_not_matter(a, b, tolerance):
    first, second = table(a), table(b)
    row = only(first, second, tolerance)
    assert sum(counts(row)) == max(len(a), len(b))
    shuffled = only(first.sample(frac=1, random_state=0), second.sample(frac=1, random_state=1), tolerance)
    assert counts(shuffled) == counts(row)
    assert counts(only(first, first, tolerance)) == [len(a), 0, 0, 0]


def test_rows_of_interest_are_those_of_the_other_s_cases_depths_seeds_and_statistics():
    every = pd.concat([table([1.0]), table([1.0], depth=3), table([1.0], "loss", depth=3), table([1.0], case="relu")])
    assert of_interest(every, table([9.0], depth=3)).equals(table([1.0], depth=3))


@pytest.fixture
def folders(tmp_path):
    """Two folders of results with the same measures and other verdicts."""
    for name, verdicts in {"a": {"M1": "PARTIAL", "M2": "PARTIAL"}, "b": {"M1": "REPRODUCED", "M3": "PARTIAL"}}.items():
        claims = [claim(identity, verdict) for identity, verdict in verdicts.items()]
        (tmp_path / name).mkdir()
        (tmp_path / name / "claims.json").write_text(json.dumps({"study": "toy", "claims": claims}))
        table([1.0, 2.0]).to_parquet(tmp_path / name / "measures.parquet")
    return tmp_path / "a", tmp_path / "b"


def test_verdicts_that_flip_are_named_and_a_folder_agrees_with_itself(folders):
    comparison = compare(*folders)
    assert comparison.flips == (("M1", "PARTIAL", "REPRODUCED"), ("M2", "PARTIAL", "–"), ("M3", "–", "PARTIAL"))
    assert not comparison.agree
    assert "claim M1: PARTIAL, then REPRODUCED" in comparison_table(comparison).splitlines()
    same = compare(folders[0], folders[0])
    assert same.agree
    assert comparison_table(same).splitlines() == [
        "2 equal, 0 within, 0 different, 0 missing; largest difference 0",
        "all verdicts are the same",
    ]


def test_quantities_that_differ_are_printed(folders):
    table([1.0, 4.0]).to_parquet(folders[1] / "measures.parquet")
    comparison = compare(*folders)
    assert not comparison.agree
    line = comparison_table(comparison).splitlines()[1].split()
    assert line == ["linear", "sharpness", "1", "0", "1", "0", "0.5"]


def test_a_negative_tolerance_and_a_missing_file_are_refused(folders, tmp_path):
    with pytest.raises(UserError, match="tolerance is -1"):
        compare(*folders, tolerance=-1)
    with pytest.raises(UserError, match=r"measures\.parquet: no such file"):
        compare(tmp_path, folders[0])


def test_largest_is_the_largest_over_rows_within_and_different():
    """Against numpy, for values of one sign and like size."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 2, 50), rng.uniform(1, 2, 50)
    row = only(table(a), table(b), 0.1)
    size = np.maximum(np.maximum(a, b), np.median(a))
    assert row["largest"] == pytest.approx((abs(a - b) / size).max())
    assert row["within"] == (abs(a - b) / size <= 0.1).sum()
