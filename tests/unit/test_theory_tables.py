"""Tables of a theory study count every attempt, minimum and run, and read the same in all three formats."""

import numpy as np
import pandas as pd
import pytest
from printed import assert_alike, assert_headed
from synthetic import synthetic_study
from synthetic_theory import CONDITIONS, DEPTHS, GAP, SEEDS, STATEMENTS, STEPS, synthetic_theory
from theory_study import small_theory

from flatminima.errors import UserError
from flatminima.figures.table_files import readable
from flatminima.figures.tables import render_table
from flatminima.figures.theory.tables import TABLES


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    return synthetic_theory()


def test_falsification_has_a_row_per_statement_and_condition(study):
    table = TABLES["falsification"](study).set_index(["statement", "condition"])
    attempts = len(DEPTHS) * SEEDS
    assert len(table) == len(STATEMENTS) * len(CONDITIONS)
    assert (table["attempts"] == attempts).all()
    assert (table["planted_violations"] == attempts).all()
    assert table.loc[("attack_coloured", "square"), "violations"] == attempts / 2
    assert table["violations"].sum() == attempts / 2
    assert table.loc[("attack_coloured", "square"), "closest_approach"] == pytest.approx(-0.7)
    assert table.loc[("attack_path", "square"), "closest_approach"] == pytest.approx(-1e-14, rel=0.01, abs=0)


def test_the_power_of_searches_is_the_share_that_comes_near_from_far(study):
    far = (
        study["case"].eq("attack_white")
        & study["control"].eq("")
        & study["condition"].eq("wide")
        & study["statistic"].eq("inequality_ratio")
    )
    rows = study[far & study["seed"].lt(4) & study["depth"].eq(2)]
    reached = rows.assign(statistic="reached", value=[1.0] * (len(rows) - 1) + [0.0])
    table = TABLES["falsification"](pd.concat([study, reached])).set_index(["statement", "condition"])
    assert table.loc[("attack_white", "wide"), "power"] == pytest.approx(1 - 1 / len(rows))
    assert table["power"].drop(("attack_white", "wide")).isna().all()


def test_a_violation_beyond_rounding_is_counted(study):
    for value, count in ((1 - 2e-9, 1), (1 - 0.5e-9, 0)):
        chosen = (
            study["case"].eq("attack_white")
            & study["control"].eq("")
            & study["condition"].eq("wide")
            & study["seed"].eq(3)
        )
        chosen &= study["statistic"].eq("inequality_ratio") & study["depth"].eq(2)
        table = TABLES["falsification"](study.assign(value=study["value"].mask(chosen, value)))
        assert table.set_index(["statement", "condition"]).loc[("attack_white", "wide"), "violations"] == count


def test_constructed_summarises_every_construction(study):
    table = TABLES["constructed"](study)
    assert table["minima"].sum() == 3 * 2 * len(DEPTHS) * SEEDS + 6
    assert table["certificate_gap"].to_numpy() == pytest.approx(GAP)
    random = table.query("start == 'random' and inputs == 'white' and depth == 2").iloc[0]
    ratios = 3 + 0.1 * (np.arange(SEEDS) - (SEEDS - 1) / 2)
    columns = [f"sharpness_ratio_{part}" for part in ("median", "low", "high")]
    assert list(random[columns]) == pytest.approx(list(np.percentile(ratios, [50, 5, 95])))
    assert np.isnan(random["prescribed_excess"])
    prescribed = table.query("start == 'prescribed' and inputs == 'white'")
    assert list(prescribed["prescribed_excess"]) == pytest.approx([1e-4, 1e-2, 1])


def test_convergence_counts_diverged_and_reached_runs(study):
    table = TABLES["convergence"](study)
    key = ["start", "map", "inputs", "depth", "setting"]
    assert not table.duplicated(key).any()
    assert table["runs"].sum() == 2 * 2 * len(DEPTHS) * SEEDS * (2 * len(STEPS) + 1) + 4 * SEEDS
    counts = table.set_index(key)[["runs", "diverged", "reached"]]
    assert list(counts.loc[("residual", "reflected", "white", 3, 0.5)]) == [SEEDS, 0, SEEDS / 2]
    assert list(counts.loc[("residual", "turned", "white", 3, 0.5)]) == [SEEDS, 0, SEEDS]
    assert list(counts.loc[("default", "turned", "coloured", 2, 1.5)]) == [SEEDS, SEEDS, 0]
    flow = table[table["start"] == "flow"].set_index(["map", "inputs", "depth"])
    assert flow["setting"].isna().all()
    assert flow.loc[("turned", "white", 2), "reached"] == SEEDS
    assert flow.loc[("reflected", "white", 2), "reached"] == 0
    assert np.isnan(flow.loc[("reflected", "white", 2), "sharpness_ratio_median"])


def test_convergence_leaves_controls_and_starts_out(study):
    table = TABLES["convergence"](study)
    assert set(table["start"]) == {"residual", "default", "flow", "catapult"}
    assert table["sharpness_ratio_high"].max() == pytest.approx(9)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_has_a_heading(study, name):
    assert_headed(TABLES[name](study))


def test_equal_numbers_are_shown_once(study):
    shown = readable(TABLES["constructed"](study)).set_index(["Start", "Inputs", "Depth"])
    assert shown.loc[("balanced", "coloured", "2"), "Relative to minimum"] == "1.25"
    assert shown.loc[("random", "white", "2"), "Relative to minimum"] == "3 [2.775, 3.225]"


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_computed_minima(name, tmp_path):
    small_theory([2]).to_parquet(tmp_path / "measures.parquet")
    render_table(name, tmp_path / "measures.parquet", tmp_path / name)
    assert_alike(tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_a_training_study_has_no_such_table(name):
    with pytest.raises(UserError, match="kind theory"):
        TABLES[name](synthetic_study(depths=(2,))[0])
