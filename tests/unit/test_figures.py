"""Figures hold exactly the values of the measures, and are the same bytes every time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from matplotlib.figure import Figure
from synthetic import SEEDS, STARTS, SWEPT, synthetic_study

from flatminima.errors import UserError
from flatminima.figures.render import TRAINING as FIGURES
from flatminima.figures.render import render

NETWORK = ["case", "depth", "setting", "seed"]


@pytest.fixture(scope="module")
def study() -> tuple[pd.DataFrame, pd.DataFrame]:
    return synthetic_study()


@pytest.fixture(scope="module")
def drawn(study) -> dict[str, tuple[Figure, pd.DataFrame]]:
    return {name: draw(name, *study) for name in FIGURES}


def words(page: Figure) -> str:
    """The title, however it is broken into lines."""
    return " ".join(page.get_suptitle().split())


def finals(measures: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Of trained networks: no control."""
    return measures[measures["final"] & (measures["control"] == "") & (measures["statistic"] == statistic)]


def swept(measures: pd.DataFrame, task: str) -> pd.DataFrame:
    names = [name for name, (_, of_task, *_) in SWEPT.items() if of_task == task]
    return measures[measures["case"].isin(names) & (measures["control"] == "")]


def test_sharpness_shows_every_swept_network(study, drawn):
    measures, _ = study
    _, plotted = drawn["sharpness"]
    expected = finals(swept(measures, "noisy"), "sharpness_ratio")
    both = plotted.merge(expected, on=NETWORK, validate="one_to_one")
    assert len(both) == len(plotted) == len(expected)
    pd.testing.assert_series_equal(both["sharpness_ratio"], both["value"], check_names=False)


def test_step_sizes_are_in_critical_units_but_those_of_adam(drawn):
    """The synthetic least sharpness is 15 m / 2: critical steps are 2 / (7.5 m)."""
    _, plotted = drawn["sharpness"]
    adam = plotted["optimiser"] == "adam"
    critical = plotted["step_size"] * 7.5 * plotted["depth"] / 2
    np.testing.assert_allclose(plotted["x"], critical.mask(adam, plotted["step_size"]), rtol=1e-3)


def test_sharpness_median_and_interval_are_over_seeds(study, drawn):
    measures, _ = study
    _, plotted = drawn["sharpness"]
    expected = finals(measures, "sharpness_ratio")
    for (experiment, depth, fraction), rows in plotted.groupby(["case", "depth", "setting"]):
        here = (expected["case"] == experiment) & (expected["depth"] == depth)
        values = np.sort(expected[here & (expected["setting"] == fraction)]["value"].dropna())
        assert rows["survivors"].unique() == [len(values)]
        if len(values):
            assert rows["median"].unique() == pytest.approx([np.median(values)])
            assert rows["low"].unique() == pytest.approx([np.percentile(values, 5)])
            assert rows["high"].unique() == pytest.approx([np.percentile(values, 95)])
        else:
            assert rows["median"].isna().all()


def test_every_diverged_network_is_in_the_table_and_its_step_in_the_strip(study, drawn):
    measures, _ = study
    figure, plotted = drawn["sharpness"]
    expected = finals(swept(measures, "noisy"), "diverged").query("value == 1")
    assert plotted["diverged"].sum() == len(expected) > 0
    crosses = [line for panel in figure.axes for line in panel.lines if line.get_marker() == "x"]
    shapes = expected[["family", "depth", "setting"]].drop_duplicates()
    assert sum(len(line.get_xdata()) for line in crosses) == len(shapes)


def test_medians_of_few_survivors_or_away_from_minima_are_not_sound(study, drawn):
    measures, _ = study
    away = finals(measures, "excess_loss").query("value > 0.02")
    assert len(away) > 0
    _, plotted = drawn["sharpness"]
    linear = plotted[plotted["family"] == "linear"]
    assert not linear.loc[linear["setting"].isin(away["setting"]), "sound"].any()
    few = plotted["survivors"] < plotted["replicas"] / 2
    assert few.any()
    assert not plotted.loc[few, "sound"].any()
    _, shown = drawn["overview"]
    steps = shown[(shown["panel"] == "steps") & (shown["family"] == "linear") & (shown["diverged"] == False)]  # noqa: E712
    assert not steps["setting"].isin(away["setting"]).any()


def test_the_title_of_sharpness_follows_the_data(study, drawn):
    measures, shared = study
    assert words(drawn["sharpness"][0]) == (
        "Once the step is large, sharpness falls as the step grows; zero residuals end at the least sharpness"
    )
    ratio = measures["statistic"] == "sharpness_ratio"
    rising = measures.assign(value=measures["value"].mask(ratio, measures["value"].mask(ratio) ** 0 * 1.5))
    rising.loc[ratio & measures["value"].notna(), "value"] = 1 + measures["setting"]
    page, _ = draw("sharpness", rising, shared)
    assert words(page) == (
        "Once the step is large, sharpness was not seen to fall as the step grows; "
        "zero residuals end above the least sharpness"
    )


def test_a_study_where_all_diverged_is_drawn():
    measures, shared = synthetic_study(depths=(2,))
    lost = measures.assign(value=measures["value"].where(measures["statistic"] == "diverged"))
    lost.loc[lost["statistic"] == "diverged", "value"] = 1.0
    figure, plotted = draw("sharpness", lost, shared)
    assert plotted["diverged"].all()
    assert figure.get_suptitle() == "Sharpness where training ends"
    figure, plotted = draw("overview", lost, shared)
    assert plotted["diverged"].all()
    assert "no linear network ended at a flat minimum" in words(figure)


@pytest.mark.parametrize("task", ["noisy", "mild"])
def test_sharpness_of_one_task(study, task):
    _, plotted = draw(f"sharpness-{task}", *study)
    assert set(plotted["case"]) == set(swept(study[0], task)["case"])


def ends_of_seeds(measures: pd.DataFrame) -> pd.DataFrame:
    """Of each seed at depth 4 the flattest and the sharpest minimum, one seed after the other, by hand."""
    ratios = finals(measures, "sharpness_ratio").query("depth == 4 and case in ['linear', 'linear_mild']")
    away = finals(measures, "excess_loss").query("value > 0.02")["setting"].unique()
    ratios = ratios[~ratios["setting"].isin(away)].dropna(subset=["value"])
    ends = []
    for _, seed in ratios.groupby(["case", "seed"]):
        in_order = seed.sort_values("value")
        ends += [in_order.iloc[0], in_order.iloc[-1]]
    rows = pd.DataFrame(ends)
    return rows.assign(flat=rows["value"] < 1.1)


def test_overview_compares_the_flattest_and_the_sharpest_minimum_of_each_seed(study, drawn):
    """Of the experiments with both kinds, the one whose minima differ most in sharpness."""
    measures, _ = study
    ends = ends_of_seeds(measures)
    means = ends.groupby(["case", "flat"])["value"].mean().unstack()  # noqa: PD010
    chosen = (means[False] / means[True]).idxmax()
    expected = ends[ends["case"] == chosen].set_index(["setting", "seed"])
    _, plotted = drawn["overview"]
    gains = plotted[plotted["panel"] == "gains"]
    assert set(gains["case"]) == {chosen}
    shown = gains.drop_duplicates(["setting", "seed"]).set_index(["setting", "seed"])
    assert set(shown.index) == set(expected.index)
    for index, row in shown.iterrows():
        assert (row["ratio"], row["flat"]) == (expected.loc[index, "value"], expected.loc[index, "flat"])


def test_overview_shows_gains_from_one_at_the_input_to_that_of_the_whole_path(study, drawn):
    measures, _ = study
    _, plotted = drawn["overview"]
    gains = plotted[plotted["panel"] == "gains"]
    assert (gains.loc[gains["layer"] == 0, "gain"] == 1).all()
    np.testing.assert_allclose(gains["equal_steps"], 0.7 ** (gains["layer"] / 4))
    inner = gains[gains["layer"] > 0]
    both = inner.merge(finals(measures, "path_gain"), on=[*NETWORK, "layer"], validate="one_to_one")
    assert len(both) == len(inner) > 0
    np.testing.assert_allclose(both["gain"], both["value"] * 0.7 ** (both["layer"] / 4))


def test_overview_shows_the_largest_component_of_the_signal_on_each_side_of_an_interface(study, drawn):
    _, shared = study
    _, plotted = drawn["overview"]
    vectors = plotted[plotted["panel"] == "vectors"]
    for side in ("left", "right"):
        shown = vectors[vectors["side"] == side]
        both = shown.merge(shared, on=[*NETWORK, "layer", "rank"], validate="one_to_one")
        assert len(both) == len(shown) > 0
        assert (both["share"] == both[side]).all()
        largest = shared.groupby([*NETWORK, "layer"])[side].max().rename("largest").reset_index()
        both = shown.merge(largest, on=[*NETWORK, "layer"])
        assert (both["share"] == both["largest"]).all()
    assert len(vectors) == 2 * 3 * len(vectors.drop_duplicates(NETWORK))


@pytest.mark.parametrize(
    ("at_flat", "words_of"),
    [
        (0.02, "At depth 4, flat minima are more balanced and more coupled than sharp ones"),
        (0.9, "At depth 4, flat minima are less balanced and less coupled than sharp ones"),
        (
            None,
            "Flat minima against sharp ones, depth 4: no difference in balance detected, "
            "no difference in coupling detected",
        ),
    ],
)
def test_the_title_of_the_overview_follows_the_data(study, at_flat, words_of):
    """Deviations of .3, more by seed, at sharp minima; less, more, or at random below 1.25 times the least."""
    measures, shared = study
    linear = (measures["family"] == "linear") & measures["final"] & (measures["layer"] > 0) & measures["value"].notna()
    ratios = finals(measures, "sharpness_ratio").rename(columns={"value": "ratio"})[[*NETWORK, "ratio"]]
    ratio = measures.merge(ratios, on=NETWORK, how="left")["ratio"].to_numpy()
    flat = 0.3 + 0.2 * np.sin(99 * measures["seed"] + 7 * ratio) if at_flat is None else at_flat
    far = 0.02 * (measures["seed"] % 3) + np.where(ratio < 1.25, flat, 0.3)
    planted = measures.copy()
    planted.loc[linear & (measures["statistic"] == "path_gain"), "value"] = np.exp(far)
    planted.loc[linear & measures["statistic"].isin(["left_residual", "right_residual"]), "value"] = far
    page, _ = draw("overview", planted, shared)
    assert words(page) == words_of


def test_overview_without_a_flat_minimum_or_its_table_says_so(study):
    measures, shared = study
    sharp = measures["final"] & (measures["statistic"] == "sharpness_ratio") & (measures["family"] == "linear")
    page, plotted = draw(
        "overview", measures.assign(value=measures["value"].mask(sharp, measures["value"] + 0.5)), shared
    )
    assert set(plotted["panel"]) == {"steps"}
    assert "no linear network ended at a flat minimum" in words(page)
    assert any("no flat minimum" in text.get_text() for panel in page.axes for text in panel.texts)
    page, plotted = draw("overview", measures)
    assert set(plotted["panel"]) == {"steps", "gains"}
    assert any("not in this record" in text.get_text() for panel in page.axes for text in panel.texts)


def test_training_carries_the_last_network_of_a_finished_replica(study, drawn):
    measures, _ = study
    _, plotted = drawn["training"]
    cosines = measures[measures["statistic"] == "path_cosine"].query("case == 'start_pytorch' and depth == 5")
    worst = cosines.groupby(["seed", "step"])["value"].min()
    steps = worst.index.get_level_values("step").unique().sort_values()
    curve = plotted.query("case == 'start_pytorch' and depth == 5 and statistic == 'path_cosine'")
    assert list(curve["step"]) == list(steps)
    for step, median in zip(curve["step"], curve["median"], strict=True):
        latest = [worst[seed][worst[seed].index <= step].iloc[-1] for seed in range(SEEDS)]
        assert median == np.median(latest)


def test_training_shows_all_starts_and_no_sweep(drawn):
    _, plotted = drawn["training"]
    assert set(plotted["case"]) == {f"start_{start}" for start in STARTS}


def test_path_cosine_shows_the_worst_interface_of_every_final_linear_network(study, drawn):
    measures, _ = study
    _, plotted = drawn["path-cosine"]
    linear = measures[measures["family"] == "linear"]
    for statistic in ("path_cosine", "singular_overlap"):
        rows = linear[linear["final"] & (linear["statistic"] == statistic)].dropna(subset=["value"])
        key = [*NETWORK, "control"]
        worst = rows.groupby(key, dropna=False)["value"].min().reset_index()
        both = plotted.merge(worst, on=key, validate="one_to_one")
        assert len(both) == len(plotted) == len(worst)
        assert (both[statistic] == both["value"]).all()
    counted = plotted[plotted["kind"] == "at a minimum"]
    assert set(counted["case"]) == {"linear", "linear_mild"}, "those that the claim names"
    assert not counted["setting"].isin([1.2]).any()


def test_the_title_of_the_path_cosine_follows_the_data(study, drawn):
    """Cosines are made to fall with sharpness, overlaps are random; then the other way round."""
    measures, shared = study
    told = "The {} falls more closely with sharpness than the {} does"
    assert words(drawn["path-cosine"][0]) == told.format("path cosine", "singular overlap")
    other = {"path_cosine": "singular_overlap", "singular_overlap": "path_cosine"}
    page, _ = draw("path-cosine", measures.replace({"statistic": other}), shared)
    assert words(page) == told.format("singular overlap", "path cosine")
    same = measures[measures["statistic"] != "singular_overlap"]
    again = same[same["statistic"] == "path_cosine"].assign(statistic="singular_overlap")
    page, _ = draw("path-cosine", pd.concat([same, again]), shared)
    assert words(page) == "Path cosine and singular overlap follow sharpness equally closely"


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    assert_legible(drawn[name][0])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_what_there_is_without_relu(study, name):
    measures, shared = study
    _, plotted = draw(name, measures[measures["family"] != "relu"], shared)
    assert len(plotted) > 0
    assert "relu" not in set(plotted["family"])


def test_sharpness_shows_convolutional_networks(study):
    """Made of the ReLU networks of the study."""
    measures, shared = study
    names = {"family": {"relu": "convolutional"}, "case": {"relu": "filters"}}
    page, plotted = draw(
        "sharpness", pd.concat([measures, measures[measures["case"] == "relu"].replace(names)]), shared
    )
    assert_legible(page)
    relu, filters = (plotted[plotted["case"] == experiment] for experiment in ("relu", "filters"))
    assert set(filters["family"]) == {"convolutional"}
    columns = ["depth", "setting", "seed", "sharpness_ratio"]
    np.testing.assert_array_equal(filters[columns], relu[columns])


def lacking(measures: pd.DataFrame, name: str) -> pd.DataFrame:
    return {
        "sharpness": measures[measures["case"] == "residual_flow"],
        "training": measures[measures["final"]],
        "path-cosine": measures[measures["family"] == "relu"],
        "overview": measures[measures["case"] == "residual_flow"],
    }[name]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("sharpness", "step_sizes"),
        ("training", "`snapshots`"),
        ("path-cosine", "add one"),
        ("overview", "no "),
    ],
)
def test_a_study_without_the_data_is_told_what_is_missing(study, name, cure):
    measures, shared = study
    with pytest.raises(UserError, match=cure) as error:
        draw(name, lacking(measures, name), shared)
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
        render("overview", tmp_path / "measures.parquet", tmp_path / "shared.parquet", LEDGER, tmp_path / "new")


def test_two_processes_write_the_same_bytes(tmp_path):
    measures, shared = synthetic_study(depths=(2, 3))
    measures.to_parquet(tmp_path / "measures.parquet")
    shared.to_parquet(tmp_path / "shared.parquet")
    assert_same_bytes(tmp_path, [*FIGURES, "sharpness-mild"])


def test_the_csv_is_the_table_drawn_in_full_precision(study, drawn, tmp_path):
    measures, shared = study
    measures.to_parquet(tmp_path / "measures.parquet")
    shared.to_parquet(tmp_path / "shared.parquet")
    render("training", tmp_path / "measures.parquet", tmp_path / "shared.parquet", LEDGER, tmp_path / "v1.training")
    written = pd.read_csv(tmp_path / "v1.training.csv")
    pd.testing.assert_frame_equal(written, drawn["training"][1], check_exact=True, check_dtype=False)
    assert Path(tmp_path / "v1.training.png").read_bytes().startswith(b"\x89PNG")
