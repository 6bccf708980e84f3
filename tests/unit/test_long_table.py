"""One row per network, statistic and layer, in an order that can be read off."""

import numpy as np
import pandas as pd
import pytest

from flatminima.record import long_table

LABELS = pd.DataFrame({"study": "digits", "seed": [0, 1]}, index=[7, 3])


def test_networks_and_layers():
    """Layer 0 stands for whole networks; labels are repeated for each layer of a network."""
    table = long_table(LABELS, {"loss": [0.5, 0.25], "norm": [[1, 2, 3], [4, 5, 6]]})
    assert table.columns.tolist() == ["study", "seed", "layer", "statistic", "value", "error_bound"]
    assert table.index.tolist() == list(range(8))
    assert table["statistic"].tolist() == ["loss"] * 2 + ["norm"] * 6
    assert table["seed"].tolist() == [0, 1, 0, 0, 0, 1, 1, 1]
    assert table["layer"].tolist() == [0, 0, 1, 2, 3, 1, 2, 3]
    assert table["value"].tolist() == [0.5, 0.25, 1, 2, 3, 4, 5, 6]
    assert table["value"].dtype == np.float64
    assert table["error_bound"].isna().all()
    assert set(table["study"]) == {"digits"}


def test_bounds_and_first_layers():
    """Bounds in the shape of their statistic, or one for all; layers between two others may start at 2."""
    values = {"gain": [[1.0, 2.0], [3.0, 4.0]], "loss": [0.5, 0.25], "angle": [[0.1], [0.2]]}
    bounds = {"gain": [[0.1, 0.2], [0.3, 0.4]], "loss": 1e-3}
    table = long_table(LABELS, values, bounds, {"angle": 2}).set_index("statistic")
    assert table.loc["gain", "error_bound"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert table.loc["loss", "error_bound"].tolist() == [1e-3, 1e-3]
    assert table.loc["angle", "error_bound"].isna().all()
    assert table.loc["angle", "layer"].tolist() == [2, 2]
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
