"""The price of balance against closed forms, dense references and its proved ceiling."""

import numpy as np
import pytest
from references import path_by_search, spectrum_at_minimum
from theory_study import sourced

from flatminima.minima.linear import LinearProblems
from flatminima.settings.theory import Price
from flatminima.theory.price import balance_price, example, price_ceiling, prices, search

CONDITIONS = [2.5, 10.0, 1e3, 1e6]


def price_of(end_to_end, moment, depth):
    return balance_price(LinearProblems.of(end_to_end[None], moment[None], depth)).item()


def rank_one(condition, size=3):
    """T that reads the direction of least variance alone, among inputs of a condition."""
    return np.eye(size)[-1:], np.diag(np.geomspace(1.0, 1 / condition, size))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_two_layers_of_the_example(condition):
    """theory.md I3: Sx = diag(1, e), T = diag(e, 1): balanced end 2(1 + e), least 2 sqrt(e)(1 + e)."""
    problem = example(condition, 2)
    assert problem.least.item() == pytest.approx(2 * condition**-0.5 * (1 + 1 / condition), rel=1e-9)
    assert balance_price(problem).item() == pytest.approx(condition**0.5, rel=1e-9)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_white_inputs_are_free_of_charge(depth):
    maps = np.random.default_rng(depth).standard_normal((4, 3, 5))
    prices = balance_price(LinearProblems.of(maps, np.tile(np.eye(5), (4, 1, 1)), depth))
    assert prices.numpy() == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_price_of_random_problems(depth):
    """Dense Hessians of balanced minima built from matrix powers, over a search for the least."""
    rng = np.random.default_rng(depth)
    end_to_end, root = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    moment = root @ root.T
    left, values, right = np.linalg.svd(end_to_end)
    shares = np.diag(values ** (1 / depth))
    weights = [shares @ right, *[shares] * (depth - 2), left @ shares]
    least, _ = path_by_search(end_to_end, depth, moment)
    expected = spectrum_at_minimum(weights, moment)[-1] / least
    assert expected > 1.001
    assert price_of(end_to_end, moment, depth) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("depth", "condition"), [(2, 10.0), (3, 10.0), (3, 1e4), (5, 1e6)])
def test_maps_of_rank_one(depth, condition):
    """The least is m max_t ((t + (1 - t) c) t^{m-1})^{1/m} over mixtures of two directions, on a grid; exactly."""
    share = np.linspace(0, 1, 200_001)
    least = depth * np.max((share + (1 - share) * condition) ** (1 / depth) * share ** (1 - 1 / depth))
    price = price_of(*rank_one(condition), depth)
    assert price == pytest.approx(condition / least, rel=1e-8)
    assert price == pytest.approx(((condition - 1) / (depth - 1)) ** (1 - 1 / depth), rel=1e-9)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_no_price_exceeds_its_ceiling(depth, condition):
    """Random maps, some of them near the dearest."""
    rng = np.random.default_rng(depth)
    end_to_end, moment = rank_one(condition)
    for scale in np.geomspace(1e-6, 1, 30):
        near = np.vstack([end_to_end, scale * rng.standard_normal((2, 3))])
        assert price_of(near, moment, depth) <= price_ceiling(condition, depth) * (1 + 1e-9)


def test_the_ceiling_is_attained_at_two_layers_and_close_to_it_at_more():
    assert price_ceiling(1e4, 2) == 100
    assert price_ceiling(2.0, 3) == pytest.approx((1 + 2**0.5 + 2) / 3)
    for depth in (3, 4, 5):
        limit = ((1e12 - 1) / (depth - 1)) ** (1 - 1 / depth)
        assert 1 < price_ceiling(1e12, depth) / limit < 1.01
    with pytest.raises(ValueError, match="depth is 1"):
        price_ceiling(10.0, 1)


@pytest.mark.parametrize("condition", [10.0, 1e4])
def test_a_search_finds_the_dearest_of_two_layers(condition):
    found = search(condition, 2, 2, 300, np.random.default_rng(0))
    assert found == pytest.approx(condition**0.5, rel=1e-6)


def test_tidy_rows():
    values = {"ill": [10.0], "depths": [2, 3], "searched": [2], "restarts": 2, "evaluations": 40}
    table = prices("theory", Price.model_validate(sourced(**values, drawn=3, spread=5.0, instances=4)))
    assert (table["value"] > 0).where(table["statistic"] != "diverged", table["value"] == 0).all()
    wide = table.pivot(index=["case", "depth", "seed"], columns="statistic", values="value")
    assert wide.groupby(["case", "depth"]).size().to_dict() == {
        (name, depth): count for name, count in (("price_random", 4), ("price_search", 2)) for depth in (2, 3)
    }
    assert (wide["balance_price"].between(1 - 1e-9, wide["price_ceiling"] * (1 + 1e-9))).all()
    assert wide["price_example"].notna().groupby("case").all().to_dict() == {
        "price_random": False,
        "price_search": True,
    }
    assert set(table["setting"]) == {10.0}
