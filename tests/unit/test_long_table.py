"""One row per network, statistic and layer, in an order that can be read off."""

import numpy as np
import pandas as pd
import pytest

from flatminima.record import final, full_name, long_table

LABELS = pd.DataFrame({"task": "noisy", "seed": [0, 1]}, index=[7, 3])
LABELS = LABELS.assign(study="digits", case="linear", control="", setting=0.5, depth=3)


def test_networks_and_layers():
    """Layer 0 stands for whole networks; labels are repeated for each layer of a network."""
    table = long_table(LABELS, {"loss": [0.5, 0.25], "norm": [[1, 2, 3], [4, 5, 6]]})
    first = ["study", "case", "control", "setting", "depth", "seed", "layer", "statistic", "value", "error_bound"]
    assert table.columns.tolist() == [*first, "task"]
    assert table.index.tolist() == list(range(8))
    assert table["statistic"].tolist() == ["loss"] * 2 + ["norm"] * 6
    assert table["seed"].tolist() == [0, 1, 0, 0, 0, 1, 1, 1]
    assert table["layer"].tolist() == [0, 0, 1, 2, 3, 1, 2, 3]
    assert table["value"].tolist() == [0.5, 0.25, 1, 2, 3, 4, 5, 6]
    assert table["value"].dtype == np.float64
    assert table["error_bound"].isna().all()
    assert set(table["study"]) == {"digits"}


def test_bounds_and_first_layers():
    """Bounds in the shape of their statistic, or one for all; the first layer has no path residual."""
    values = {"gain": [[1.0, 2.0], [3.0, 4.0]], "loss": [0.5, 0.25], "path_residual": [[0.1], [0.2]]}
    bounds = {"gain": [[0.1, 0.2], [0.3, 0.4]], "loss": 1e-3}
    table = long_table(LABELS, values, bounds).set_index("statistic")
    assert table.loc["gain", "error_bound"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert table.loc["loss", "error_bound"].tolist() == [1e-3, 1e-3]
    assert table.loc["path_residual", "error_bound"].isna().all()
    assert table.loc["path_residual", "layer"].tolist() == [2, 2]
    assert table.loc["gain", "layer"].tolist() == [1, 2, 1, 2]


def test_the_table_pivots_back():
    """Nothing is lost: a wide table of the same numbers."""
    values = np.random.default_rng(0).standard_normal((2, 4))
    wide = long_table(LABELS, {"norm": values}).pivot_table(index="seed", columns="layer", values="value")
    np.testing.assert_array_equal(wide.to_numpy(), values)
    assert wide.columns.tolist() == [1, 2, 3, 4]


def test_another_number_of_networks():
    with pytest.raises(ValueError, match="reshape"):
        long_table(LABELS, {"loss": [1.0, 2.0, 3.0]})


def test_labels_that_every_table_has_must_be_there():
    with pytest.raises(KeyError, match="control"):
        long_table(LABELS.drop(columns="control"), {"loss": [1.0, 2.0]})


def test_networks_at_the_end_of_training():
    """Tables of networks that are not trained have no column that says so."""
    rows = long_table(LABELS.assign(final=[True, False]), {"loss": [1.0, 2.0]})
    assert final(rows)["value"].tolist() == [1.0]
    assert final(rows.drop(columns="final"))["value"].tolist() == [1.0, 2.0]


def test_names_of_cases_and_of_their_controls():
    assert [full_name("relu", control) for control in ("", "unbalanced")] == ["relu", "relu-unbalanced"]
