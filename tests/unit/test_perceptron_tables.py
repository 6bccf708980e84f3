"""Tables of a perceptron study hold what was computed, every attempt once, and read the same in all three formats."""

import numpy as np
import pytest
from drawing import tables_of
from printed import assert_alike, assert_headed
from synthetic import synthetic_study
from synthetic_perceptron import (
    ERROR,
    EXCESS,
    INSTANCES,
    LOADS,
    RATIO,
    SIZES,
    SOLVED,
    WEIGHTS,
    at_loads,
    synthetic_perceptron,
    top,
)

from flatminima.errors import UserError
from flatminima.figures.render import NO_DETAILS
from flatminima.figures.table_files import readable
from flatminima.figures.tables import render_table
from flatminima.studies.registry import KINDS

TABLES = tables_of("perceptron")


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
    table = TABLES["solvers"](*study).set_index(["solver", "size", "alpha"]).sort_index()
    assert len(table) == sum(len(counts) * len(WEIGHTS[name]) for name, counts in SOLVED.items())
    assert (table["instances"] == INSTANCES).all()
    for name, sizes in WEIGHTS.items():
        assert all(table.loc[(name, size), "solved"].to_dict() == SOLVED[name] for size in sizes)


def test_solvers_summarise_what_was_solved_alone(study):
    table = TABLES["solvers"](*study).set_index(["solver", "size", "alpha"])
    assert (table["distance"] == 0.02).all()
    half = table.loc[("sgd", 201, 0.5)]
    assert half["iterations_median"] == 20
    assert half["iterations_low"] == pytest.approx(11)
    assert half["minimal_margin_median"] == 0.1
    for name in RATIO:
        assert table.loc[(name, 201, 0.5), "flip_error_ratio_median"] == RATIO[name]
        assert table.loc[(name, 201, 0.5), "local_entropy_excess_high"] == EXCESS[name]
    assert table.loc[("annealing", 201, 0.4)].filter(like="_median").isna().all()


def test_success_has_a_row_per_size_and_two_limits(study):
    """Sizes do not matter here: all instances are solved at 0.7 and none at 0.8; neighbours end between .5 and .7."""
    table = TABLES["success"](*study)
    assert list(table["weights"]) == ["101", "201", "401", "∞ (1/√N)", "∞ (1/N)", "201", "201"]
    own = table[table["solver"] == "reinforced-bp"]
    assert own["half_solved_median"].to_numpy() == pytest.approx(np.full(5, 0.75), abs=1e-3)
    assert own["half_near_median"].to_numpy() == pytest.approx(np.full(5, 0.6), abs=1e-3)
    assert (own["instances"].dropna() == INSTANCES).all()


def test_success_excludes_what_is_outside_both_limits(study):
    """The wider limit, that of 1/√N, is 0.644 to 0.856: nothing published is outside it."""
    table = TABLES["success"](*study)
    known = "0.75, 0.77–0.78, 0.776, 0.784, 0.83"
    assert list(table["excluded"]) == [""] * 7
    assert list(table["open"]) == ["", "", "", known, known, "", ""]
    measures, curves = study
    closer = at_loads(measures, {0.7: 0.745, 0.8: 0.755})
    own = TABLES["success"](closer, curves).iloc[:5]
    assert 0.73 < own["half_solved_low"].min() < own["half_solved_high"].max() < 0.77
    assert list(own["excluded"]) == ["", "", "", *["0.77–0.78, 0.776, 0.784, 0.83"] * 2]
    assert list(own["open"]) == ["", "", "", "0.75", "0.75"]


def test_open_ends_are_written_as_such(study):
    shown = readable(TABLES["success"](*study)).set_index("Solver")
    assert shown.loc["annealing", "Half solved at"] == "< 0.399"
    assert shown.loc["annealing", "Half have one at one flip at"] == "–"
    assert shown.loc["sgd", "Half have one at one flip at"] == "> 0.5005"


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
        measures = at_loads(measures, {load: 1 / 3})
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
    render_table(KINDS["perceptron"], name, tmp_path / "measures.parquet", tmp_path / name, tmp_path / "curves.parquet")
    assert_alike(tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_curves_are_asked_for(study, name, tmp_path):
    study[0].to_parquet(tmp_path / "measures.parquet")
    with pytest.raises(UserError, match=f"table '{name}' .*--details"):
        render_table(KINDS["perceptron"], name, tmp_path / "measures.parquet", tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_a_training_study_has_no_such_table(name):
    with pytest.raises(UserError, match="kind perceptron"):
        TABLES[name](synthetic_study(depths=(2,))[0], NO_DETAILS)
