"""Figures hold exactly the values of the measures, and are the same bytes every time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from matplotlib.figure import Figure
from synthetic import SEEDS, STARTS, SWEPT, WIDTH, synthetic_study

from flatminima.errors import UserError
from flatminima.figures.render import TRAINING as FIGURES
from flatminima.figures.render import render


@pytest.fixture(scope="module")
def study() -> tuple[pd.DataFrame, pd.DataFrame]:
    return synthetic_study()


@pytest.fixture(scope="module")
def drawn(study) -> dict[str, tuple[Figure, pd.DataFrame]]:
    return {name: draw(name, *study) for name in FIGURES}


def finals(measures: pd.DataFrame, statistic: str) -> pd.DataFrame:
    return measures[measures["final"] & (measures["statistic"] == statistic)]


def swept(measures: pd.DataFrame, task: str) -> pd.DataFrame:
    names = [name for name, (_, of_task, *_) in SWEPT.items() if of_task == task]
    return measures[measures["experiment"].isin([*names, "residual_flow"] if task == "noisy" else names)]


def test_sharpness_shows_every_swept_network(study, drawn):
    measures, _ = study
    _, plotted = drawn["sharpness"]
    expected = finals(swept(measures, "noisy"), "sharpness")
    key = ["experiment", "depth", "step_fraction", "seed"]
    both = plotted.merge(expected, on=key, validate="one_to_one")
    assert len(both) == len(plotted) == len(expected)
    pd.testing.assert_series_equal(both["sharpness"], both["value"], check_names=False)


def test_sharpness_median_and_interval_are_over_seeds(study, drawn):
    measures, _ = study
    _, plotted = drawn["sharpness"]
    expected = finals(measures, "sharpness")
    for (experiment, depth, fraction), rows in plotted.groupby(["experiment", "depth", "step_fraction"]):
        here = (expected["experiment"] == experiment) & (expected["depth"] == depth)
        values = np.sort(expected[here & (expected["step_fraction"] == fraction)]["value"].dropna())
        if len(values):
            assert rows["median"].unique() == pytest.approx([np.median(values)])
            assert rows["low"].unique() == pytest.approx([np.percentile(values, 5)])
            assert rows["high"].unique() == pytest.approx([np.percentile(values, 95)])
        else:
            assert rows["median"].isna().all()


def test_diverged_replicas_are_counted_in_table_picture_and_title(study, drawn):
    measures, _ = study
    figure, plotted = drawn["sharpness"]
    expected = int(finals(swept(measures, "noisy"), "diverged")["value"].sum())
    assert expected > 0
    groups = plotted.drop_duplicates(["experiment", "depth", "step_fraction"])
    assert plotted["diverged"].sum() == groups["diverged_replicas"].sum() == expected
    numbers = [int(text.get_text()) for axes in figure.axes for text in axes.texts]
    assert sum(numbers) == expected
    assert f"{expected} of {len(plotted)} diverged" in figure.get_suptitle()


def test_linear_networks_that_oscillate_do_not_count_as_flat_minima(study, drawn):
    measures, _ = study
    away = finals(measures, "excess_loss").query("value > 0.02")
    assert len(away) > 0
    _, plotted = drawn["sharpness"]
    shown = plotted[plotted["family"] == "linear"]
    expected = away[away["experiment"].isin(shown["experiment"])]
    assert (~shown["at_minimum"] & ~shown["diverged"]).sum() == len(expected)
    title, *_ = drawn["sharpness"][0].get_suptitle().splitlines()
    converged = plotted[plotted["at_minimum"] & (plotted["family"] != "relu")]
    low = np.percentile(converged["sharpness"] / converged["minimal_sharpness"], 5)
    assert title.startswith(f"Linear networks at a minimum end at {low:.2f} to ")
    for name in ("gains", "coupling"):
        _, points = drawn[name]
        assert not points["step_fraction"].isin(away["step_fraction"]).any()


def test_a_study_where_all_diverged_is_drawn():
    measures, overlaps = synthetic_study(depths=(2,))
    lost = measures.assign(value=measures["value"].where(measures["statistic"] == "diverged"))
    lost.loc[lost["statistic"] == "diverged", "value"] = 1.0
    figure, plotted = draw("sharpness", lost, overlaps)
    assert plotted["diverged"].all()
    assert figure.get_suptitle() == f"(5–95 % of networks, task noisy; {len(plotted)} of {len(plotted)} diverged)"


@pytest.mark.parametrize("task", ["noisy", "mild"])
def test_sharpness_of_one_task(study, task):
    measures, overlaps = study
    _, plotted = draw(f"sharpness-{task}", measures, overlaps)
    assert set(plotted["experiment"]) == set(swept(measures, task)["experiment"])


def test_gains_are_those_of_the_flattest_step_size_and_of_its_control(study, drawn):
    measures, _ = study
    _, plotted = drawn["gains"]
    assert set(plotted["experiment"]) == {"linear", "relu"}
    away = finals(measures, "excess_loss").query("value > 0.02")["step_fraction"].unique()
    for (experiment, depth), points in plotted.groupby(["experiment", "depth"]):
        ranks = finals(measures, "loss" if experiment == "relu" else "sharpness_ratio")
        ranks = ranks[(ranks["experiment"] == experiment) & (ranks["depth"] == depth)]
        if experiment != "relu":
            ranks = ranks[~ranks["step_fraction"].isin(away)]
        flattest = ranks.groupby("step_fraction")["value"].median().idxmin()
        assert set(points["step_fraction"]) == {flattest}
        for control, name in ((False, experiment), (True, f"{experiment}-unbalanced")):
            for statistic in ("path_gain", "product_norm"):
                rows = finals(measures, statistic)
                rows = rows[(rows["experiment"] == name) & (rows["depth"] == depth)]
                rows = rows[rows["step_fraction"] == flattest].dropna(subset=["value"])
                shown = points[(points["control"] == control) & (points["statistic"] == statistic)]
                both = shown.merge(rows, on=["seed", "layer"], suffixes=("", "_measured"))
                assert len(both) == len(shown) == len(rows) > 0
                assert (both["value"] == both["value_measured"]).all()


def test_gains_of_relu_networks_have_the_interval_over_samples(study, drawn):
    measures, _ = study
    _, plotted = drawn["gains"]
    relu = plotted[(plotted["family"] == "relu") & ~plotted["control"] & (plotted["statistic"] == "path_gain")]
    for bound, name in (("low", "path_gain_q05"), ("high", "path_gain_q95")):
        rows = finals(measures, name).query("experiment == 'relu'")
        both = relu.merge(rows, on=["depth", "step_fraction", "seed", "layer"], suffixes=("", "_measured"))
        assert len(both) == len(relu) > 0
        assert (both[bound] == both["value_measured"]).all()
    assert plotted.loc[plotted["family"] == "linear", ["low", "high"]].isna().all(axis=None)


def test_coupling_shows_the_flattest_network_and_its_control(study, drawn):
    measures, overlaps = study
    _, plotted = drawn["coupling"]
    assert set(plotted["depth"]) == {4}
    key = ["experiment", "depth", "step_fraction", "seed"]
    measured = overlaps[key].drop_duplicates()
    away = finals(measures, "excess_loss").query("value > 0.02")[key]
    ranks = {
        "linear": finals(measures, "sharpness_ratio").query("experiment == 'linear' and depth == 4"),
        "residual_linear": finals(measures, "sharpness_ratio").query("experiment == 'residual' and depth == 4"),
        "relu": finals(measures, "loss").query("experiment == 'relu' and depth == 4"),
    }
    for family, rank in ranks.items():
        cells = plotted[plotted["family"] == family]
        rank = rank.merge(measured, on=key).merge(away, on=key, how="left", indicator=True)
        expected = rank[rank["_merge"] == "left_only"].sort_values("value").iloc[0]
        shown = cells.loc[~cells["control"], key].drop_duplicates()
        assert (shown == expected[key]).all(axis=None)
        trained = cells.loc[~cells["control"], key].drop_duplicates().iloc[0]
        control = cells.loc[cells["control"], key].drop_duplicates().iloc[0]
        assert control["experiment"] == f"{trained['experiment']}-unbalanced"
        assert (control[key[1:]] == trained[key[1:]]).all()
        assert len(cells) == 2 * 3 * WIDTH**2
    both = plotted.merge(overlaps, on=[*key, "layer", "left", "right"], suffixes=("", "_measured"))
    assert len(both) == len(plotted)
    assert (both["overlap"] == both["overlap_measured"]).all()


def test_training_carries_the_last_network_of_a_finished_replica(study, drawn):
    measures, _ = study
    _, plotted = drawn["training"]
    cosines = measures[measures["statistic"] == "path_cosine"].query("experiment == 'start_pytorch' and depth == 3")
    worst = cosines.groupby(["seed", "step"])["value"].min()
    steps = worst.index.get_level_values("step").unique().sort_values()
    curve = plotted.query("experiment == 'start_pytorch' and depth == 3 and statistic == 'path_cosine'")
    assert list(curve["step"]) == list(steps)
    for step, median in zip(curve["step"], curve["median"], strict=True):
        latest = [worst[seed][worst[seed].index <= step].iloc[-1] for seed in range(SEEDS)]
        assert median == np.median(latest)


def test_training_shows_all_starts_and_no_sweep(drawn):
    _, plotted = drawn["training"]
    assert set(plotted["experiment"]) == {f"start_{start}" for start in STARTS}


def test_path_cosine_shows_the_worst_interface_of_every_final_network(study, drawn):
    measures, _ = study
    _, plotted = drawn["path-cosine"]
    key = ["experiment", "depth", "step_fraction", "seed"]
    for statistic in ("path_cosine", "singular_overlap"):
        rows = finals(measures, statistic).dropna(subset=["value"])
        worst = rows.groupby(key, dropna=False)["value"].min().reset_index()
        both = plotted.merge(worst, on=key, validate="one_to_one")
        assert len(both) == len(plotted) == len(worst)
        assert (both[statistic] == both["value"]).all()


def test_path_cosine_title_states_the_rank_correlations(drawn):
    figure, plotted = drawn["path-cosine"]
    linear = plotted[(plotted["family"] != "relu") & (plotted["kind"] == "trained")]
    expected = linear["sharpness_ratio"].rank().corr(linear["path_cosine"].rank())
    assert f"path cosine {expected:.2f}".replace("-", "−") in figure.get_suptitle()


def test_overview_repeats_the_other_figures(study, drawn):
    _, plotted = drawn["overview"]
    assert set(plotted["depth"]) == {4}
    for panel, name, value in (
        ("Sharpness against step size", "sharpness", "sharpness"),
        ("Gain from input to layer k", "gains", "value"),
        ("Sharpness along training", "training", "median"),
        ("Coupling of neighbouring layers", "path-cosine", "path_cosine"),
    ):
        shown = plotted.loc[plotted["panel"] == panel, value].dropna()
        _, whole = drawn[name]
        assert len(shown) > 0
        assert shown.isin(whole.loc[whole["depth"] == 4, value]).all()


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    assert_legible(drawn[name][0])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_what_there_is_without_relu(study, name):
    measures, overlaps = study
    _, plotted = draw(name, measures[measures["family"] != "relu"], overlaps[overlaps["family"] != "relu"])
    assert len(plotted) > 0
    assert "relu" not in set(plotted["family"])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_convolutional_networks(study, name):
    """Made of the ReLU networks of the study, without what is not measured for convolutions."""
    measures, overlaps = study
    measured = measures[measures["experiment"].isin(["relu", "relu-unbalanced"])].replace(
        {
            "family": {"relu": "convolutional"},
            "experiment": {"relu": "filters", "relu-unbalanced": "filters-unbalanced"},
        }
    )
    measured = measured[measured["statistic"] != "singular_overlap"]
    page, plotted = draw(name, pd.concat([measures, measured]), overlaps)
    assert_legible(page)
    if name in ("sharpness", "gains", "path-cosine"):
        relu, filters = (plotted[plotted["experiment"].isin([e, f"{e}-unbalanced"])] for e in ("relu", "filters"))
        assert set(filters["family"]) == {"convolutional"}
        shared = ["depth", "step_fraction", "seed", "sharpness" if name == "sharpness" else "depth"]
        assert len(filters) == len(relu) > 0
        np.testing.assert_array_equal(filters[shared], relu[shared])


def lacking(measures: pd.DataFrame, name: str) -> pd.DataFrame:
    return {
        "sharpness": measures[measures["experiment"] == "residual_flow"],
        "gains": measures[~measures["experiment"].str.endswith("-unbalanced")],
        "coupling": measures[~measures["experiment"].str.endswith("-unbalanced")],
        "training": measures[measures["final"]],
        "path-cosine": measures[measures["layer"] == 0],
        "overview": measures[measures["layer"] < 0],
    }[name]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("sharpness", "step_sizes"),
        ("gains", "`unbalance`"),
        ("coupling", "`unbalance`"),
        ("training", "`snapshots`"),
        ("path-cosine", "depths"),
        ("overview", "no "),
    ],
)
def test_a_study_without_the_data_is_told_what_is_missing(study, name, cure):
    measures, overlaps = study
    with pytest.raises(UserError, match=cure) as error:
        draw(name, lacking(measures, name), overlaps)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("sharpnes", "'sharpness'"), ("sharpness-nosiy", "'noisy'"), ("shrapness-noisy", "'sharpness'")],
)
def test_unknown_names_are_answered_with_the_nearest(study, name, message):
    with pytest.raises(UserError, match=message):
        draw(name, *study)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"measures\.parquet: no such file"):
        render("gains", tmp_path / "measures.parquet", tmp_path / "overlaps.parquet", LEDGER, tmp_path / "gains")


def test_two_processes_write_the_same_bytes(tmp_path):
    measures, overlaps = synthetic_study(depths=(2, 3))
    measures.to_parquet(tmp_path / "measures.parquet")
    overlaps.to_parquet(tmp_path / "overlaps.parquet")
    assert_same_bytes(tmp_path, [*FIGURES, "sharpness-mild"])


def test_the_csv_is_the_table_drawn_in_full_precision(study, drawn, tmp_path):
    measures, overlaps = study
    measures.to_parquet(tmp_path / "measures.parquet")
    overlaps.to_parquet(tmp_path / "overlaps.parquet")
    render("training", tmp_path / "measures.parquet", tmp_path / "overlaps.parquet", LEDGER, tmp_path / "v1.training")
    written = pd.read_csv(tmp_path / "v1.training.csv")
    pd.testing.assert_frame_equal(written, drawn["training"][1], check_exact=True, check_dtype=False)
    assert Path(tmp_path / "v1.training.png").read_bytes().startswith(b"\x89PNG")
