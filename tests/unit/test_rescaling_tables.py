"""Tables of a rescaling study count every network, and set the worst of them beside the control's best."""

import numpy as np
import pandas as pd
import pytest
from drawing import tables_of
from printed import assert_alike, assert_headed
from synthetic import synthetic_study
from synthetic_rescaling import ALPHAS, CONSTANT, DEPTHS, ORBIT_RATIO, RADII, RANGES, SEEDS, error, synthetic_rescaling

from flatminima.errors import UserError
from flatminima.figures.rescaling.tables import STATEMENTS
from flatminima.figures.tables import render_table
from flatminima.studies.registry import KINDS

TABLES = tables_of("rescaling")
MEASURED = ["measured", "family", "depth"]


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    return synthetic_rescaling()[0]


@pytest.fixture(scope="module")
def theorems(study) -> pd.DataFrame:
    return TABLES["theorems"](study).set_index(MEASURED)


def test_orbits_count_networks_and_summarise_those_that_learned(study):
    table = TABLES["orbits"](study).set_index(["kind", "family", "depth"])
    assert len(table) == 2 * (len(DEPTHS) + 1)
    assert table.xs("relu", level="family")[["networks", "diverged"]].drop_duplicates().to_numpy().tolist() == [
        [SEEDS, 1]
    ]
    assert list(table.loc[("units", "convolutional", 3), ["networks", "diverged"]]) == [1, 0]
    row = table.loc[("layers", "relu", 2)]
    parts = ("median", "low", "high")
    quantiles = np.percentile([8, 9], [50, 5, 95])
    assert [row[f"gauss_newton_sharpness_{part}"] for part in parts] == pytest.approx(list(quantiles))
    least = quantiles / ORBIT_RATIO["layers"]
    assert [row[f"orbit_minimum_{part}"] for part in parts] == pytest.approx(list(least))
    assert row["orbit_ratio_median"] == pytest.approx(ORBIT_RATIO["layers"])
    assert row["least_trace_median"] == pytest.approx(3 * least[0])
    assert row["test_error_median"] == pytest.approx((error(2, 0) + error(2, 1)) / 2)
    assert row[["orbit_gap", "orbit_change", "products"]].to_list() == pytest.approx([2e-8, 2e-9, 55])


def test_fully_connected_networks_come_first(study):
    for table in (table(study) for table in TABLES.values()):
        first = table.groupby(table.columns[:2].tolist() if "measured" in table else ["kind"])["family"].first()
        assert set(first) <= {"relu", "residual_linear"}


def test_theorems_have_a_row_for_every_shape_that_was_measured(theorems):
    counts = theorems.groupby("measured").size()
    assert set(counts.index) == {statement.measured for statement in STATEMENTS}
    assert counts["error of gradients"] == len(DEPTHS) + 1
    assert counts["eigenvalues raised / promised"] == len(DEPTHS)
    assert counts["area (two weights), error of closed form"] == 1
    assert not theorems.index.duplicated().any()


@pytest.mark.parametrize(
    ("measured", "worst", "control"),
    [
        ("change of outputs, layers rescaled", 2e-16, 0.5),
        ("change of loss in images of a box", 1e-16, 0.2),
        ("share of networks whose boxes meet", 0, 1),
        ("log volume, image over box", 5, -5),
        ("error of gradients", 1e-15 * ALPHAS[-1], 0.5),
        ("growth of sharpness, largest α", ALPHAS[-1] ** 2, 1.5),
        ("growth of the trace, largest α", 2 * ALPHAS[-1] ** 2, 3),
        ("change of test error", 0, 0.4),
        ("eigenvalues raised / promised", 1.5, 0.5),
        ("error of the law, all eigenvalues", 1e-12, 2),
        ("sharpness in balls / best constant", 2 / CONSTANT, RADII[0] ** 2 / 2 / CONSTANT),
        ("error of law, radial coordinates", 2e-15, 99),
        ("change of outputs, radial coordinates", 2e-16, 3),
        ("change of minimum over units", 2e-9, 0.3),
    ],
)
def test_the_worst_network_and_the_controls_best(theorems, measured, worst, control):
    """Two networks of depth 2, whose values differ: the worst over settings and networks, the least bad control."""
    row = theorems.loc[(measured, "relu", 2)]
    assert row["worst"] == pytest.approx(worst, rel=1e-9, abs=0)
    assert row["control_best"] == pytest.approx(control, rel=1e-9, abs=0)
    assert row["networks"] == SEEDS - 1


def test_areas_and_linear_networks(study, theorems):
    growth = theorems.loc[("area (two weights), growth with its range", "relu", 2)]
    assert growth["worst"] == pytest.approx(min(np.log2(RANGES[1:]) / np.log2(RANGES[:-1])))
    assert growth["control_best"] == 1
    linear = theorems.loc[("minimum / least of all linear networks", "residual_linear", 3)]
    assert list(linear[["worst", "control_best"]]) == pytest.approx([1 + 1e-6, 1.1], rel=1e-9)
    traces = theorems.loc[("error of the least trace's closed form", "residual_linear", 3)]
    assert list(traces[["worst", "control_best"]]) == pytest.approx([1e-10, 9], rel=1e-9)
    controls = study[~study["control"].isin(["touching", "split"])]
    alone = TABLES["theorems"](controls).set_index(MEASURED)
    assert np.isnan(alone.loc[("share of networks whose boxes meet", "relu", 2), "control_best"])


def test_one_bad_network_is_the_worst(study):
    chosen = (
        study["case"].eq("two_layers_convolutional") & study["control"].eq("") & study["statistic"].eq("hessian_error")
    )
    chosen &= study["alpha"].eq(ALPHAS[0])
    table = TABLES["theorems"](study.assign(value=study["value"].mask(chosen, 0.7))).set_index(MEASURED)
    assert table.loc[("error of Hessian products", "convolutional", 3), "worst"] == 0.7
    assert table.loc[("error of Hessian products", "relu", 3), "worst"] == 1e-15


@pytest.mark.parametrize("name", TABLES)
def test_every_column_has_a_heading(study, name):
    assert_headed(TABLES[name](study))


@pytest.mark.parametrize("name", TABLES)
def test_three_formats_have_the_same_rows(study, name, tmp_path):
    study.to_parquet(tmp_path / "measures.parquet")
    render_table(KINDS["rescaling"], name, tmp_path / "measures.parquet", tmp_path / name)
    assert_alike(tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_a_training_study_has_no_such_table(name):
    with pytest.raises(UserError, match="kind rescaling"):
        TABLES[name](synthetic_study(depths=(2,))[0])
