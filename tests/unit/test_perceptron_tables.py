"""Tables of a perceptron study hold what was computed, every attempt once, and read the same in all three formats."""

import numpy as np
import pytest
from printed import assert_alike, assert_headed
from synthetic import synthetic_study
from synthetic_perceptron import ERROR, EXCESS, INSTANCES, LOADS, RATIO, SIZES, SOLVED, synthetic_perceptron, top

from flatminima.errors import UserError
from flatminima.figures.perceptron_tables import TABLES
from flatminima.figures.render import NO_DETAILS
from flatminima.figures.tables import render_table


@pytest.fixture(scope="module")
def study():
    return synthetic_perceptron()


def test_thresholds_have_a_row_per_load_and_one_per_meeting(study):
    table = TABLES["thresholds"](*study)
    loads = table[table["threshold"] == ""]
    assert list(loads["alpha"]) == list(LOADS)
    assert loads["maximal_margin"].to_numpy() == pytest.approx([top(load) for load in LOADS])
    assert loads["isolation_distance"].to_numpy() == pytest.approx(0.1 * np.array(LOADS))
    assert loads["monotone_margin"].to_numpy() == pytest.approx(0.2 * np.array(LOADS))
    events = table.set_index("threshold").loc[["last monotone", "last without a gap", "capacity"]]
    assert list(events["alpha"]) == [0.73, 0.75, 0.83]
    assert list(events["maximal_margin"]) == [0.15, 0.1, 0]
    assert events.loc["last monotone", "monotone_margin"] == 0.15
    assert events.loc["last without a gap", "connected_margin"] == 0.1
    assert events["isolation_distance"].isna().all()
    assert table["alpha"].is_monotonic_increasing


def test_solvers_count_every_attempt_once(study):
    table = TABLES["solvers"](*study).set_index(["solver", "alpha"])
    assert len(table) == sum(len(counts) for counts in SOLVED.values())
    assert (table["instances"] == INSTANCES).all()
    assert {name: table.loc[name, "solved"].to_dict() for name in SOLVED} == SOLVED


def test_solvers_summarise_what_was_solved_alone(study):
    table = TABLES["solvers"](*study).set_index(["solver", "alpha"])
    assert (table["distance"] == 0.02).all()
    half = table.loc[("sgd", 0.5)]
    assert half["iterations_median"] == 15
    assert half["iterations_low"] == pytest.approx(10.5)
    assert half["minimal_margin_median"] == 0.1
    for name in RATIO:
        assert table.loc[(name, 0.5), "flip_error_ratio_median"] == RATIO[name]
        assert table.loc[(name, 0.5), "local_entropy_excess_high"] == EXCESS[name]
    assert table.loc[("annealing", 0.4)].filter(like="_median").isna().all()


def test_agreement_takes_the_worst_error_of_each_size(study):
    table = TABLES["agreement"](*study)
    assert list(table["size"]) == [11, 11, 13, 13]
    assert table["alpha"].to_numpy() == pytest.approx([float(load) for loads in SIZES.values() for load in loads])
    assert table["difference"].to_numpy() == pytest.approx(np.tile([ERROR, 5 * ERROR], 2))
    assert (table["entropy"] - table["theory"]).to_numpy() == pytest.approx(table["difference"].to_numpy())
    assert table["local_error"].to_numpy() == pytest.approx(ERROR * np.array([2, 10, 1, 5]))


def test_agreement_within_two_errors_is_known_for_the_largest_size(study):
    shares = TABLES["agreement"](*study).groupby("size")["local_share"].apply(list)
    assert np.isnan(shares[11]).all()
    assert shares[13] == [1, 0]


def test_sizes_of_one_load_are_kept_apart(study):
    """Three patterns of nine weights and nine of 27 are the same alpha."""
    measures, curves = study
    for load in (float(shares[0]) for shares in SIZES.values()):
        curves = curves.assign(y=curves["y"].mask(np.isclose(curves["y"], load), 1 / 3))
        chosen = np.isclose(measures["step_fraction"], load)
        measures = measures.assign(step_fraction=measures["step_fraction"].mask(chosen, 1 / 3))
    table = TABLES["agreement"](measures, curves).set_index(["size", "alpha"])
    assert table.loc[(11, 1 / 3), "local_error"] == pytest.approx(2 * ERROR)
    assert table.loc[(13, 1 / 3), "local_error"] == pytest.approx(ERROR)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_has_a_heading(study, name):
    assert_headed(TABLES[name](*study))


@pytest.mark.parametrize("name", TABLES)
def test_files_of_a_table(study, name, tmp_path):
    for table, kind in zip(study, ("measures", "curves"), strict=True):
        table.to_parquet(tmp_path / f"{kind}.parquet")
    render_table(name, tmp_path / "measures.parquet", tmp_path / name, tmp_path / "curves.parquet")
    assert_alike(tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_curves_are_asked_for(study, name, tmp_path):
    study[0].to_parquet(tmp_path / "measures.parquet")
    with pytest.raises(UserError, match=f"table '{name}' .*--details"):
        render_table(name, tmp_path / "measures.parquet", tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_a_training_study_has_no_such_table(name):
    with pytest.raises(UserError, match="kind perceptron"):
        TABLES[name](synthetic_study(depths=(2,))[0], NO_DETAILS)
