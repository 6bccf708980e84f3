"""The first difference between a file and the same file made anew."""

import json

import pandas as pd
import pytest

from flatminima.audit.differences import difference


@pytest.fixture
def differ(tmp_path):
    """How two texts differ as files of a suffix."""

    def run(suffix, kept, made, exact=False):
        paths = [tmp_path / f"{name}.{suffix}" for name in ("kept", "made")]
        for path, text in zip(paths, (kept, made), strict=True):
            path.write_text(text)
        return difference(*paths, exact)

    return run


CLAIMS = {"study": "toy", "claims": [{"verdict": "PARTIAL", "median": 1.0, "count": 2, "low": None}]}


def claims(**changes) -> str:
    return json.dumps({**CLAIMS, "claims": [{**CLAIMS["claims"][0], **changes}]})


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"verdict": "REPRODUCED"}, "claims.0.verdict is 'REPRODUCED', made anew 'PARTIAL'"),
        ({"median": 1.001}, "claims.0.median is 1.001, made anew 1.0"),
        ({"count": 3}, "claims.0.count is 3, made anew 2"),
        ({"count": True}, "claims.0.count is True, made anew 2"),
        ({"low": 0.5}, "claims.0.low is 0.5, made anew None"),
        ({"more": 1}, "claims.0.more is 1, made anew None"),
        ({}, None),
    ],
)
def test_claims_differ_in_any_verdict_number_or_key(differ, changes, found, exact):
    assert differ("json", claims(**changes), claims(), exact) == found


CSV = "experiment,value\nlinear,0.25\nrelu,\n"


def test_elsewhere_tables_are_compared_by_their_rows_since_files_name_the_library_that_wrote_them(tmp_path):
    table = pd.DataFrame({"statistic": ["a", "b"], "value": [0.25, float("nan")]})
    table.to_parquet(tmp_path / "kept.parquet", compression="gzip")
    table.to_parquet(tmp_path / "made.parquet")
    pair = tmp_path / "kept.parquet", tmp_path / "made.parquet"
    assert difference(*pair, exact=False) is None
    assert difference(*pair, exact=True) == "other bytes than those made anew"
    table.assign(value=[0.25, 1e-9]).to_parquet(tmp_path / "kept.parquet")
    assert difference(*pair, exact=False) == "other rows than those made anew"
    (tmp_path / "kept.parquet").write_bytes(b"PAR1")
    assert difference(*pair, exact=False) == "not readable"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("kept", "found"),
    [
        (CSV.replace("0.25", "0.2500001"), "value in row 1 is 0.2500001, made anew 0.25"),
        (CSV.replace("relu,", "relu,1"), "value in row 2 is 1.0, made anew nan"),
        (CSV.replace("relu", "linear"), "experiment in row 2 is linear, made anew relu"),
        (CSV + "relu,1\n", "3 rows of experiment, value; made anew, 2 rows of experiment, value"),
        (CSV.replace("value", "share"), "2 rows of experiment, share; made anew, 2 rows of experiment, value"),
        ("", "not readable"),
        (CSV, None),
    ],
)
def test_tables_differ_in_any_cell_row_or_column(differ, kept, found, exact):
    assert differ("csv", kept, CSV, exact) == found


@pytest.mark.parametrize(("suffix", "kept", "made"), [("csv", CSV.replace("0.25", "0.2500000000001"), CSV), ("json", claims(median=1 + 1e-13), claims())])  # fmt: skip  # noqa: E501
def test_rounding_passes_on_another_machine_alone(differ, suffix, kept, made):
    assert differ(suffix, kept, made, exact=False) is None
    assert differ(suffix, kept, made, exact=True) == "other bytes than those made anew"


@pytest.mark.parametrize("suffix", ["svg", "html", "pdf"])
def test_other_files_have_the_same_bytes_or_not(differ, suffix):
    assert differ(suffix, "a", "a") is None
    assert differ(suffix, "a", "b") == "other bytes than those made anew"


def test_a_claims_file_that_is_no_json_is_not_readable(differ):
    assert differ("json", "{", claims()) == "not readable"
