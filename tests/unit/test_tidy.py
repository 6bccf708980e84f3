"""Statistics of replicas as rows of the tidy table."""

import numpy as np
import pandas as pd
import pytest
import torch
from references import DTYPE

from flatminima.minima.statistics import Statistic, inner, join, scatter, tidy
from flatminima.record import COLUMNS, QUANTILES

LABELS = pd.DataFrame({"study": "tiny", "seed": [4, 7]}, index=[10, 20]).assign(
    case="a", control="", setting=0.5, depth=3
)
WHOLE = torch.tensor([1.5, 2.5], dtype=DTYPE)
LAYERS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=DTYPE)


def rows_of(name, statistic):
    table = tidy(LABELS, {name: statistic})
    assert table.columns.tolist() == [*COLUMNS]
    assert table.index.tolist() == list(range(len(table)))
    assert set(table["statistic"]) == {name}
    return list(table[["seed", "layer", "value"]].itertuples(index=False, name=None))


def test_statistics_of_whole_networks_are_of_layer_zero():
    assert rows_of("loss", Statistic(WHOLE)) == [(4, 0, 1.5), (7, 0, 2.5)]


def test_statistics_of_layers_count_from_one():
    first, second = [(4, k, float(k)) for k in (1, 2, 3)], [(7, k, float(k + 3)) for k in (1, 2, 3)]
    assert rows_of("path_gain", Statistic(LAYERS)) == first + second


@pytest.mark.parametrize("suffix", QUANTILES)
def test_residuals_count_from_layer_two(suffix):
    """Layer 1's need not vanish at a flattest minimum, and are not there."""
    assert [row[1] for row in rows_of(f"path_residual{suffix}", Statistic(LAYERS))] == [2, 3, 4, 2, 3, 4]


def test_a_single_inner_layer_is_not_a_whole_network():
    assert rows_of("path_cosine", Statistic(WHOLE[:, None])) == [(4, 1, 1.5), (7, 1, 2.5)]


def test_error_bounds_stand_next_to_their_values():
    """NaN for statistics that have none."""
    table = tidy(LABELS, {"a": Statistic(WHOLE, WHOLE / 10), "b": Statistic(LAYERS), "c": Statistic(LAYERS, -LAYERS)})
    assert table["error_bound"][:2].tolist() == [0.15, 0.25]
    assert table["error_bound"][2:8].isna().all()
    np.testing.assert_array_equal(table["error_bound"][8:], -table["value"][8:])


def test_joined_groups_follow_one_another():
    groups = [
        {"a": Statistic(LAYERS, LAYERS), "b": Statistic(WHOLE)},
        {"b": Statistic(-WHOLE), "a": Statistic(-LAYERS[:1], LAYERS[:1])},
    ]
    joined = join(groups)
    assert joined["a"].value.equal(torch.cat([LAYERS, -LAYERS[:1]]))
    assert joined["a"].error_bound.equal(torch.cat([LAYERS, LAYERS[:1]]))
    assert joined["b"].value.tolist() == [1.5, 2.5, -1.5, -2.5]
    assert joined["b"].error_bound is None


def test_scattered_values_leave_the_others_without_one():
    spread = scatter(Statistic(LAYERS, -LAYERS), torch.tensor([3, 1]), 4)
    assert spread.value[[3, 1]].equal(LAYERS)
    assert spread.error_bound[[3, 1]].equal(-LAYERS)
    assert spread.value[[0, 2]].isnan().all()
    assert spread.value.shape == (4, 3)
    whole = scatter(Statistic(WHOLE), torch.tensor([0, 2]), 3)
    assert whole.error_bound is None
    np.testing.assert_array_equal(whole.value, [1.5, np.nan, 2.5])


def test_statistics_of_interfaces_are_absent_for_a_single_layer():
    assert inner("path_cosine", LAYERS[:, :0]) == {}
    assert inner("path_cosine", LAYERS)["path_cosine"].value is LAYERS
