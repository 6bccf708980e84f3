"""Figures of a perceptron study show what was computed, say it in their titles, and say so where it is missing."""

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from scipy.stats import beta
from synthetic import synthetic_study
from synthetic_perceptron import (
    DISTANCES,
    ISOLATION,
    LOAD,
    LOADS,
    MARGINS,
    SOLVED,
    local,
    synthetic_perceptron,
    top,
)

from flatminima.errors import EmptyFigureError
from flatminima.figures import local_entropy, perceptron_selection, style
from flatminima.figures.render import NO_DETAILS, PERCEPTRON, render


@pytest.fixture(scope="module")
def study():
    return synthetic_perceptron()


@pytest.fixture(scope="module")
def drawn(study):
    return {name: draw(name, *study) for name in PERCEPTRON}


def without(table, *names):
    assert table["experiment"].isin(names).any()
    return table[~table["experiment"].isin(names)]


def test_capacity_shows_both_ways_to_the_boundary(drawn):
    figure, plotted = drawn["capacity"]
    points = plotted[plotted["curve"] == "maximal_margin"]
    assert dict(zip(points["alpha"], points["margin"], strict=True)) == {load: top(load) for load in LOADS}
    entropy = plotted[plotted["curve"] == "entropy"]
    assert len(entropy) == len(LOADS) * len(MARGINS)
    title = figure.get_suptitle()
    assert "at α = 0.5 entropy falls from 0.300 at margin 0\nto 0 at margin 0.500" in title
    assert "capacity at margin 0 is 0.8300" in title


def test_literature_marker_is_the_capacity_of_krauth_and_mezard(drawn):
    left = drawn["capacity"][0].axes[0]
    marker = next(line for line in left.lines if line.get_marker() == "*")
    assert marker.get_xydata().tolist() == [[0, 0.833]]


def test_many_loads_are_thinned_and_keep_both_ends(study):
    measures, curves = study
    entropy = curves[curves["experiment"] == "entropy"]
    more = [entropy[entropy["y"] == LOAD].assign(y=load) for load in np.linspace(0.41, 0.59, 9) if load != LOAD]
    _, plotted = draw("capacity", measures, pd.concat([curves, *more]))
    shown = plotted.loc[plotted["curve"] == "entropy", "alpha"].unique()
    assert len(shown) == 5
    assert {min(LOADS), max(LOADS)} <= set(shown)


def test_typical_distance_joins_distance_and_entropy(drawn):
    figure, plotted = drawn["typical-distance"]
    assert len(plotted) == len(LOADS) * len(MARGINS)
    relative = plotted["margin"] / plotted["alpha"].map(top)
    assert plotted["distance"].to_numpy() == pytest.approx(0.3 - 0.1 * relative)
    assert plotted["entropy"].to_numpy() == pytest.approx(0.3 * (1 - relative), abs=1e-12)
    assert "30.0 % of the weights at margin 0, in 20.0 % at the maximal margin 0.500" in figure.get_suptitle()


def test_local_entropy_drops_points_without_a_saddle_point(drawn):
    figure, plotted = drawn["local-entropy"]
    counts = plotted.groupby("margin").size()
    assert counts[0.0] == (DISTANCES >= 1e-3).sum() < counts[0.25] == counts[0.5] == len(DISTANCES)
    d = plotted["distance"]
    assert plotted["all_weights"].to_numpy() == pytest.approx(-d * np.log(d) - (1 - d) * np.log(1 - d))
    title = figure.get_suptitle()
    assert f"none around up to distance {ISOLATION:.2g}" in title
    assert "margin 0.500 local entropy is at least 0.0025 at all distances from 10⁻⁴ to 0.4" in title
    words = " ".join(text.get_text() for text in figure.axes[1].texts)
    assert "at a bar a curve ends" in words


def test_local_entropy_without_an_end_draws_no_bar(study):
    measures, curves = study
    figure, _ = draw("local-entropy", measures, curves[~curves["value"].isna() & ~(curves["x"] < 1e-3)])
    assert "bar" not in " ".join(text.get_text() for text in figure.axes[1].texts)


def test_splines_pass_through_the_points():
    distance = pd.Series(DISTANCES)
    fine, values = local_entropy.smooth(distance, pd.Series(local(DISTANCES, 0.25)))
    assert values == pytest.approx(local(fine, 0.25), abs=1e-4)


def test_transitions_end_where_margins_meet(drawn):
    figure, plotted = drawn["transitions"]
    last = plotted[plotted["curve"] != "maximal_margin"].groupby("curve")["alpha"].max()
    assert last.to_dict() == {"connected_margin": 0.75, "monotone_margin": 0.73, "isolation_distance": 0.6}
    highest = plotted[plotted["curve"] == "maximal_margin"].set_index("alpha")["margin"]
    assert highest[0.75] == 0.1
    assert highest[0.73] == 0.15
    beyond = highest[highest.index > 0.75]
    assert beyond.to_numpy() == pytest.approx((0.83 - beyond.index) / 0.4, rel=1e-6)
    assert "Up to α = 0.730" in figure.get_suptitle()
    assert "capacity 0.830" in figure.get_suptitle()


def test_solvers_have_exact_confidence_intervals(drawn):
    figure, plotted = drawn["solvers"]
    shares = plotted.set_index(["solver", "alpha"])
    for name, counts in SOLVED.items():
        for load, solved in counts.items():
            low, high = beta.ppf([0.025, 0.975], [solved, solved + 1], [5 - solved, 4 - solved])
            row = shares.loc[(name, load)]
            assert row["share"] == solved / 4
            assert row["low"] == pytest.approx(np.nan_to_num(low))
            assert row["high"] == pytest.approx(1.0 if solved == 4 else high)
    titles = [panel.get_title() for panel in figure.axes if panel.get_visible()]
    assert titles == ["reinforced BP", "SGD", "annealing"]
    title = figure.get_suptitle()
    assert title.startswith("The best of 3 solvers reach α = 0.7; a gap opens around all typical solutions at 0.750")
    assert "0 of 12 attempts succeed (4 instances of each α)" in title


def test_solvers_that_solve_nothing_are_drawn(study):
    measures, curves = study
    unsolved = measures.assign(value=measures["value"].mask(measures["statistic"] == "solved", 0.0))
    figure, plotted = draw("solvers", unsolved, curves)
    assert plotted["share"].max() == 0
    assert "solve nothing" in figure.get_suptitle()


def test_every_solver_has_its_own_look_without_colour():
    looks = [solver.look for solver in perceptron_selection.SOLVERS.values()]
    assert len({look["marker"] for look in looks}) == len(looks) == 8


def test_flips_compare_at_the_solvers_own_load(drawn):
    figure, plotted = drawn["flips"]
    assert set(plotted["solver"]) == {"theory", "reinforced-bp", "sgd"}
    assert set(plotted["alpha"]) == {LOAD}
    excess = plotted[(plotted["panel"] == "local entropy excess") & (plotted["margin"] == top(LOAD))]
    expected = local(excess["distance"], 0.5) - local(excess["distance"], 0.0)
    assert excess["value"].to_numpy() == pytest.approx(expected.to_numpy())
    title = figure.get_suptitle()
    assert "2 solvers find at α = 0.5 make 25–50 % of the errors of typical ones\nafter flips of 2 %" in title
    assert "0.030 to 0.050 nats per weight" in title


def test_flips_take_the_nearest_load_that_was_solved(study):
    measures, curves = study
    near = curves["experiment"].str.contains("flip_error_|bp_entropy_") & (curves["y"] == LOAD)
    lost = measures["statistic"].isin(["flip_error_ratio", "local_entropy_excess"]) & (
        measures["step_fraction"] == LOAD
    )
    figure, plotted = draw("flips", measures.assign(value=measures["value"].mask(lost)), curves[~near])
    assert set(plotted.loc[plotted["solver"] != "theory", "alpha"]) == {0.4}
    assert "find at α = 0.4 make 25–50 %" in figure.get_suptitle()


def test_enumeration_pairs_counts_with_theory(drawn):
    figure, plotted = drawn["enumeration"]
    local_, entropy = (plotted[plotted["panel"] == name] for name in ("local entropy", "entropy"))
    assert len(entropy) == 4
    assert local_["x"].max() < 0.5
    for rows in (local_, entropy):
        off = (rows["exact"] - rows["theory"]) / rows["standard_error"]
        assert off.to_numpy() == pytest.approx(np.where(rows["alpha"] < 0.4, 1, 5))
    assert "up to 13 weights" in figure.get_suptitle()
    assert "within 0.010 nats\nper weight, and how many surround a solution to within 0.010" in figure.get_suptitle()


def test_overview_compares_with_margin_zero(drawn):
    figure, plotted = drawn["perceptron-overview"]
    assert set(plotted["panel"]) == {"a", "b", "c"}
    rare = plotted[plotted["panel"] == "a"]
    assert rare["margin"].min() == 0
    assert rare["value"].iloc[0] == pytest.approx(0.3)
    ratio = local(0.02, 0.5) / local(0.02, 0.0)
    assert f"have {ratio:.1f} times\nthe local entropy at distance 0.02" in figure.get_suptitle()
    assert "what 2 solvers find at α = 0.5 has 2.0 to 2.0 times" in figure.get_suptitle()


@pytest.mark.parametrize("name", PERCEPTRON)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    with style.mpl.rc_context(style.RC):
        assert_legible(drawn[name][0])


@pytest.mark.parametrize("name", PERCEPTRON)
def test_a_training_study_has_no_perceptron(name):
    with pytest.raises(EmptyFigureError, match="kind perceptron") as error:
        draw(name, synthetic_study(depths=(2,))[0], NO_DETAILS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("capacity", "entropy"),
        ("capacity", "maximal_margin"),
        ("typical-distance", "typical_distance"),
        ("local-entropy", "local_entropy"),
        ("transitions", "isolation_distance"),
        ("flips", "flip_error"),
        ("enumeration", "exact_local"),
        ("perceptron-overview", "entropy"),
    ],
)
def test_a_figure_without_its_curve_says_so(study, name, lost):
    measures, curves = study
    with pytest.raises(EmptyFigureError, match=f"figure {name}: no curve .*{lost}"):
        draw(name, measures, without(curves, lost))


@pytest.mark.parametrize(("name", "lost"), [("transitions", "thresholds"), ("solvers", "thresholds")])
def test_a_figure_without_thresholds_says_so(study, name, lost):
    measures, curves = study
    with pytest.raises(EmptyFigureError, match=f"figure {name}: no threshold"):
        draw(name, without(measures, lost), curves)


def test_one_load_and_one_solver_are_enough(study, tmp_path):
    """The smallest configuration: one alpha of theory, one solver, one size and load."""
    measures, curves = study
    shapes = [
        "entropy",
        "typical_distance",
        "exact_entropy",
        "exact_entropy_theory",
        "exact_local",
        "exact_local_theory",
    ]
    kept = ~curves["experiment"].str.endswith("_sgd") & ~(curves["experiment"].isin(shapes) & (curves["y"] != LOAD))
    kept |= curves["experiment"].str.startswith("exact") & curves["y"].between(0.3, 0.31)
    over = ["isolation_distance", "connected_margin", "monotone_margin", "maximal_margin"]
    kept &= ~(curves["experiment"].isin(over) & (curves["x"] != LOAD))
    measures[~measures["optimiser"].isin(["sgd", "annealing"])].to_parquet(tmp_path / "measures.parquet")
    curves[kept].to_parquet(tmp_path / "curves.parquet")
    for name in PERCEPTRON:
        render(name, tmp_path / "measures.parquet", tmp_path / "curves.parquet", LEDGER, tmp_path / name)
        assert (tmp_path / f"{name}.svg").stat().st_size > 10_000
        assert "absent" not in pd.read_csv(tmp_path / f"{name}.csv").columns


def test_two_processes_write_the_same_bytes(study, tmp_path):
    for table, name in zip(study, ("measures", "curves"), strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    assert_same_bytes(tmp_path, list(PERCEPTRON))
