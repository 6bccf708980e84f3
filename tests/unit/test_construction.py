"""Minima made to order are as flat, as balanced and as many as was asked for."""

import numpy as np
import pytest

from flatminima.settings.theory import Minima
from flatminima.theory.construction import construct

INSTANCES, DRAWS, RATIOS, DEPTHS = 3, 2, [1.001, 1.5, 20.0], [1, 2, 4]
CONDITION = {"inputs": 4, "outputs": 3, "hidden": 4, "rank": 3, "spread": 5.0, "ill": 10.0}
KEYS = ["case", "depth", "seed"]


def settings_of(**changes):
    values = {
        "condition": CONDITION,
        "depths": DEPTHS,
        "instances": INSTANCES,
        "draws": DRAWS,
        "scale": 0.3,
        "ratios": RATIOS,
    }
    named = {name: {"value": value, "source": "chosen"} for name, value in (values | changes).items()}
    return Minima.model_validate(named)


@pytest.fixture(scope="module")
def table():
    return construct("theory", settings_of())


def values(table, statistic, experiment, layer=None):
    chosen = table[(table["statistic"] == statistic) & table["case"].str.fullmatch(experiment)]
    return chosen if layer is None else chosen[chosen["layer"] == layer]


def test_every_minimum_is_there_once(table):
    """Instances at every depth; times draws or ratios, which a single layer does not have."""
    assert not table.duplicated([*KEYS, "statistic", "layer"]).any()
    counts = values(table, "sharpness", ".*").groupby(["case", "depth"]).size().to_dict()
    expected = {}
    for inputs in ("white", "coloured"):
        for depth in DEPTHS:
            expected |= {(f"{name}_{inputs}", depth): INSTANCES for name in ("flattest", "balanced")}
            if depth > 1:
                expected[f"random_{inputs}", depth] = INSTANCES * DRAWS
                expected[f"prescribed_{inputs}", depth] = INSTANCES * len(RATIOS)
    assert counts == expected
    assert (values(table, "diverged", ".*")["value"] == 0).all()
    assert table["value"].notna().all()


def test_i2_white_problems_have_the_white_minimum(table):
    """Gains of T are drawn with the largest at one: 2 m."""
    rows = values(table, "minimal_sharpness", ".*_white")
    np.testing.assert_allclose(rows["value"], 2 * rows["depth"], rtol=1e-9)


@pytest.mark.parametrize("inputs", ["white", "coloured"])
def test_i3_flattest_minima(table, inputs):
    """Ratio one, gains, cosines and residuals as I4 says, and partial products within the band of I5."""
    name = f"flattest_{inputs}"
    np.testing.assert_allclose(values(table, "sharpness_ratio", name)["value"], 1, rtol=1e-10)
    for statistic in ("path_gain", "path_cosine"):
        np.testing.assert_allclose(values(table, statistic, name)["value"], 1, rtol=1e-6)
    assert values(table, "path_residual", name)["value"].max() < 1e-5
    norms, upper = (values(table, statistic, name)["value"].to_numpy() for statistic in ("product_norm", "band_upper"))
    assert (norms >= 1 - 1e-9).all()
    assert (norms <= upper + 1e-9).all()
    assert len(norms) == INSTANCES * (1 + 3)


def test_i6_balanced_minima(table):
    """No defect; flattest for white inputs, or for a single layer, alone."""
    assert values(table, "balance_defect", "balanced_.*")["value"].max() < 1e-12
    assert values(table, "balance_defect", "(flattest|random)_.*", layer=1)["value"].min() > 1e-3
    np.testing.assert_allclose(values(table, "sharpness_ratio", "balanced_white")["value"], 1, rtol=1e-10)
    coloured = values(table, "sharpness_ratio", "balanced_coloured")
    deep = coloured["depth"] > 1
    assert (coloured.loc[deep, "value"] > 1 + 1e-6).all()
    np.testing.assert_allclose(coloured.loc[~deep, "value"], 1, rtol=1e-10)


def test_random_minima_are_sharper(table):
    ratios = values(table, "sharpness_ratio", "random_.*")["value"]
    assert ratios.min() > 1
    assert ratios.max() > 1.1
    assert ratios.nunique() == len(ratios)
    wild = construct("theory", settings_of(scale=1.0, depths=[2]))
    tame = construct("theory", settings_of(scale=0.01, depths=[2]))
    medians = [values(part, "sharpness_ratio", "random_.*")["value"].median() for part in (tame, table, wild)]
    assert medians[0] < 1.1 < medians[2]
    assert medians == sorted(medians)


@pytest.mark.parametrize("inputs", ["white", "coloured"])
def test_prescribed_sharpness(table, inputs):
    """The setting is the ratio that was asked for; every problem has all of them."""
    rows = values(table, "sharpness_ratio", f"prescribed_{inputs}")
    np.testing.assert_allclose(rows["value"], rows["setting"], rtol=1e-9)
    assert (rows.groupby(["depth", "setting"]).size() == INSTANCES).all()
    if inputs == "coloured":
        least = values(table, "minimal_sharpness", "prescribed_coloured")
        ratios = least.groupby(["depth", "value"])["setting"].apply(sorted)
        assert ratios.tolist() == [RATIOS] * (2 * INSTANCES)
    if inputs == "white":
        sharpness = values(table, "sharpness", "prescribed_white")
        np.testing.assert_allclose(sharpness["value"], 2 * sharpness["depth"] * sharpness["setting"], rtol=1e-8)
    assert values(table, "sharpness", f"(flattest|balanced|random)_{inputs}")["setting"].isna().all()


def test_path_cosines_fall_with_sharpness(table):
    """docs/theory.md: at ratio 1 + e a cosine is at least (1 + e)^{-m/2}; and far from flattest minima it is less."""
    cosines = values(table, "path_cosine", "prescribed_.*")
    least = cosines["setting"] ** (-cosines["depth"] / 2)
    assert (cosines["value"] >= least - 1e-9).all()
    medians = cosines.groupby("setting")["value"].median()
    assert medians.is_monotonic_decreasing
    assert medians.iloc[0] > 0.99 > 0.95 > medians.iloc[-1]


def test_minima_repeat_and_depend_on_the_study(table):
    assert construct("theory", settings_of()).equals(table)
    assert not np.array_equal(construct("other", settings_of())["value"], table["value"])
