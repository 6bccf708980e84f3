"""Figures of a perceptron study show what was computed, say it in their titles, and say so where it is missing."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from scipy.stats import beta
from synthetic import synthetic_study
from synthetic_perceptron import (
    DISTANCES,
    INSTANCES,
    LOAD,
    LOADS,
    MARGINS,
    NEIGHBOURS,
    PLANTED,
    RATIO,
    SOLVED,
    WEIGHTS,
    at_loads,
    local,
    synthetic_perceptron,
    top,
)

from flatminima.errors import EmptyFigureError
from flatminima.figures import style
from flatminima.figures.perceptron import attempts, local_entropy
from flatminima.figures.render import NO_DETAILS, render
from flatminima.studies.registry import KINDS

PERCEPTRON = list(KINDS["perceptron"].figures)


@pytest.fixture(scope="module")
def study():
    return synthetic_perceptron()


@pytest.fixture(scope="module")
def drawn(study):
    return {name: draw(name, *study) for name in PERCEPTRON}


def said(figure):
    """The title on one line; it has one number at most."""
    title = " ".join(figure.get_suptitle().split())
    assert len(re.findall(r"\d+(?:\.\d+)?", title)) <= 1
    return title


def without(table, *names):
    """A table without some cases or curves."""
    column = "case" if "case" in table else "curve"
    assert table[column].isin(names).any()
    return table[~table[column].isin(names)]


def test_capacity_shows_both_ways_to_the_boundary(drawn):
    figure, plotted = drawn["capacity"]
    points = plotted[plotted["curve"] == "maximal_margin"]
    assert dict(zip(points["alpha"], points["margin"], strict=True)) == {load: top(load) for load in LOADS}
    entropy = plotted[plotted["curve"] == "entropy"]
    assert len(entropy) == len(LOADS) * len(MARGINS)
    assert said(figure) == "Solutions of higher margin are exponentially rarer, at every load shown"


def test_literature_marker_is_the_capacity_of_krauth_and_mezard(drawn):
    left = drawn["capacity"][0].axes[0]
    marker = next(line for line in left.lines if line.get_marker() == "*")
    assert marker.get_xydata().tolist() == [[0, 0.833]]


def test_many_loads_are_thinned_and_keep_both_ends(study):
    measures, curves = study
    entropy = curves[curves["curve"] == "entropy"]
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
    assert said(figure) == "Solutions of higher margin lie closer together, at every load shown"


def test_local_entropy_drops_points_without_a_saddle_point(drawn):
    figure, plotted = drawn["local-entropy"]
    counts = plotted.groupby("margin").size()
    assert counts[0.0] == (DISTANCES >= 1e-3).sum() < counts[0.25] == counts[0.5] == len(DISTANCES)
    d = plotted["distance"]
    assert plotted["all_weights"].to_numpy() == pytest.approx(-d * np.log(d) - (1 - d) * np.log(1 - d))
    assert said(figure) == (
        "At α = 0.5, typical solutions have no others at some distances, "
        "but those of the highest margin have others at every distance shown"
    )
    assert "bar: no saddle point" in " ".join(text.get_text() for text in figure.axes[1].texts)


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
    assert said(figure) == "From a load below the capacity on, typical solutions of every margin are isolated"


def test_solvers_have_exact_confidence_intervals(drawn):
    figure, plotted = drawn["solvers"]
    shares = plotted.set_index(["solver", "size", "alpha"])
    for name, counts in SOLVED.items():
        for size, (load, solved) in product(WEIGHTS[name], counts.items()):
            low, high = beta.ppf([0.025, 0.975], [solved, solved + 1], [INSTANCES + 1 - solved, INSTANCES - solved])
            row = shares.loc[(name, size, load)]
            assert row["share"] == solved / INSTANCES
            assert row["low"] == pytest.approx(np.nan_to_num(low))
            assert row["high"] == pytest.approx(1.0 if solved == INSTANCES else high)
    titles = [panel.get_title() for panel in figure.axes if panel.axison]
    assert titles == ["reinforced BP", "SGD", "annealing"]


def test_solvers_say_what_the_verdict_says(drawn, study):
    figure, _ = drawn["solvers"]
    assert said(figure) == (
        "Within its steps every solver tested fails on most instances beyond the overlap gap; "
        "reinforced BP still solves most of them up to α = 0.7"
    )
    measures, curves = study
    two = measures[measures["solver"] != "annealing"]
    for changed, words in (
        (at_loads(two, {0.4: 0.8, 0.8: 0.4}), "no solver is seen to fail"),
        (at_loads(measures, {0.7: 0.71}), "is not seen to solve most"),
    ):
        assert words in said(draw("solvers", changed, curves)[0])


def test_solvers_without_claimed_loads_claim_nothing(study):
    measures, curves = study
    beyond = measures["solver"].ne("") & measures["alpha"].gt(0.6)
    figure, _ = draw("solvers", measures[~beyond], curves)
    assert said(figure) == "Share of random instances that 3 solvers solve within their steps"


def test_estimates_stand_in_the_cell_after_the_last_solver(drawn):
    (words,) = [text.get_text() for text in drawn["solvers"][0].axes[3].texts]
    assert [line.split()[0] for line in words.splitlines()[2:]] == ["0.75", "0.77–0.78", "0.776", "0.784", "0.83"]


def test_neighbours_show_what_was_counted_around_claimed_solutions(drawn):
    _, plotted = drawn["neighbours"]
    rows = plotted[plotted["panel"].isin(["a", "c"]) & (plotted["solver"] == "reinforced-bp")]
    assert set(rows.loc[rows["panel"] == "a", "size"]) == set(WEIGHTS["reinforced-bp"])
    assert set(rows.loc[rows["panel"] == "c", "size"]) == {max(WEIGHTS["reinforced-bp"])}
    for row in rows.itertuples():
        assert row.median == NEIGHBOURS[row.alpha] * row.flips
        assert row.solutions == SOLVED["reinforced-bp"][row.alpha]
        assert row.expected == 0.01
    others = plotted[(plotted["panel"] == "b") & (plotted["solver"] != "planted")]
    assert set(others["solver"]) == {"reinforced-bp", "sgd"}
    assert set(others["size"]) == {201}
    planted = plotted[plotted["solver"] == "planted"]
    assert (planted["median"] == PLANTED * planted["flips"]).all()


def test_neighbours_say_in_how_many_cases_there_are_more(drawn, study):
    """Of nine cases of reinforced BP and one of SGD that have five solutions, three have none, fewer than planted."""
    assert said(drawn["neighbours"][0]) == (
        "Around solutions that solvers find, more others lie within three flips than around planted ones "
        "in most, not all, of 10 cases"
    )
    measures, curves = study
    planted = measures["case"] == "planted"
    for factor, words in ((-1.0, "in all 10 cases"), (1e4, "in none of 10 cases")):
        changed = measures.assign(value=measures["value"].mask(planted, factor))
        assert said(draw("neighbours", changed, curves)[0]).endswith(words)


def test_neighbours_end_where_half_have_none(drawn):
    """All have some at 0.5 and none at 0.7; all instances are solved at 0.7 and none at 0.8."""
    _, plotted = drawn["neighbours"]
    ends = plotted[plotted["panel"] == "d"]
    assert list(ends["size"]) == list(WEIGHTS["reinforced-bp"])
    assert ends["half_near_median"].to_numpy() == pytest.approx(np.full(3, 0.6), abs=1e-3)
    assert ends["half_solved_median"].to_numpy() == pytest.approx(np.full(3, 0.75), abs=1e-3)


def test_counts_of_zero_are_drawn_as_none(drawn):
    panel = drawn["neighbours"][0].axes[0]
    assert panel.get_yticks()[0] == 0
    assert panel.yaxis.get_major_formatter()(0) == "none"


def test_every_solver_has_its_own_look_without_colour():
    looks = [solver.look for solver in attempts.SOLVERS.values()]
    assert len({look["marker"] for look in looks}) == len(looks) == 8


def test_flips_compare_at_the_solvers_own_load(drawn):
    _, plotted = drawn["flips"]
    assert set(plotted["solver"]) == {"theory", "reinforced-bp", "sgd"}
    assert set(plotted["alpha"]) == {LOAD}
    ratios = plotted[plotted["panel"] == "flip error ratio"].set_index("solver")
    assert (ratios["value"] == ratios.index.map(RATIO)).all()
    assert (ratios["solutions"] == [SOLVED[name][LOAD] for name in ratios.index]).all()
    assert set(ratios["size"]) == {201}
    excess = plotted[(plotted["panel"] == "local entropy excess") & (plotted["margin"] == top(LOAD))]
    expected = local(excess["distance"], 0.5) - local(excess["distance"], 0.0)
    assert excess["value"].to_numpy() == pytest.approx(expected.to_numpy())


def test_flips_say_in_how_many_cases_fewer_errors_are_made(drawn, study):
    words = "After random flips of weights, solutions that solvers find make fewer errors than typical ones in "
    assert said(drawn["flips"][0]) == f"{words}all 10 cases"
    measures, curves = study
    more = measures["value"].mask(measures["statistic"] == "flip_error_ratio", 2.0)
    assert said(draw("flips", measures.assign(value=more), curves)[0]) == f"{words}none of 10 cases"


def test_flips_take_the_nearest_load_that_was_solved(study):
    measures, curves = study
    near = curves["curve"].str.contains("bp_entropy_") & (curves["y"] == LOAD)
    lost = measures["statistic"].isin(["flip_error_ratio", "local_entropy_excess"]) & (measures["alpha"] == LOAD)
    _, plotted = draw("flips", measures.assign(value=measures["value"].mask(lost)), curves[~near])
    assert set(plotted.loc[plotted["solver"] != "theory", "alpha"]) == {0.4}


def test_enumeration_pairs_counts_with_theory(drawn):
    figure, plotted = drawn["enumeration"]
    local_, entropy = (plotted[plotted["panel"] == name] for name in ("local entropy", "entropy"))
    assert len(entropy) == 4
    assert local_["x"].max() < 0.5
    for rows in (local_, entropy):
        off = (rows["exact"] - rows["theory"]) / rows["standard_error"]
        assert off.to_numpy() == pytest.approx(np.where(rows["alpha"] < 0.4, 1, 5))
    assert (
        said(figure) == "Theory for large N counts the solutions of small perceptrons to within 0.010 nats per weight"
    )


def test_overview_says_what_was_found(drawn):
    figure, plotted = drawn["perceptron-overview"]
    assert set(plotted["panel"]) == {"a", "b", "c"}
    rare = plotted[plotted["panel"] == "a"]
    assert rare["margin"].min() == 0
    assert rare["value"].iloc[0] == pytest.approx(0.3)
    counted = plotted[(plotted["panel"] == "c") & (plotted["solver"] == "sgd")].set_index("alpha")["median"]
    assert counted.to_dict() == {load: NEIGHBOURS[load] for load in (0.4, 0.5)}
    assert said(figure) == (
        "Solutions of high margin are rarer (a) and lie in denser regions (b); solutions that solvers find have more "
        "others nearby than planted ones in most, not all, of 10 cases (c)"
    )


def test_overview_says_the_opposite_where_it_is_found(study):
    measures, curves = study
    lead = measures["value"].mask(measures["statistic"] == "lead", -0.1)
    entropy = curves["curve"] == "entropy"
    rising = curves.assign(value=curves["value"].mask(entropy, -curves["value"]))
    title = said(draw("perceptron-overview", measures.assign(value=lead), rising)[0])
    assert title.startswith("Solutions of high margin are not rarer (a) and lie in not always denser regions (b)")


@pytest.mark.parametrize("name", PERCEPTRON)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    style.styled(assert_legible)(drawn[name][0])


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
        ("enumeration", "exact_local"),
        ("perceptron-overview", "entropy"),
    ],
)
def test_a_figure_without_its_curve_says_so(study, name, lost):
    measures, curves = study
    with pytest.raises(EmptyFigureError, match=f"no curve .*{lost}"):
        draw(name, measures, without(curves, lost))


@pytest.mark.parametrize(("name", "lost"), [("transitions", "thresholds"), ("solvers", "thresholds")])
def test_a_figure_without_thresholds_says_so(study, name, lost):
    measures, curves = study
    with pytest.raises(EmptyFigureError, match="no threshold"):
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
    kept = ~curves["curve"].str.endswith("_sgd") & ~(curves["curve"].isin(shapes) & (curves["y"] != LOAD))
    kept |= curves["curve"].str.startswith("exact") & curves["y"].between(0.3, 0.31)
    over = ["isolation_distance", "connected_margin", "monotone_margin", "maximal_margin"]
    kept &= ~(curves["curve"].isin(over) & (curves["x"] != LOAD))
    measures[~measures["solver"].isin(["sgd", "annealing"])].to_parquet(tmp_path / "measures.parquet")
    curves[kept].to_parquet(tmp_path / "curves.parquet")
    for name in PERCEPTRON:
        render(
            KINDS["perceptron"],
            name,
            tmp_path / "measures.parquet",
            tmp_path / "curves.parquet",
            LEDGER,
            tmp_path / name,
        )
        assert (tmp_path / f"{name}.svg").stat().st_size > 10_000
        assert "absent" not in pd.read_csv(tmp_path / f"{name}.csv").columns


def test_two_processes_write_the_same_bytes(study, tmp_path):
    for table, name in zip(study, ("measures", "curves"), strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    assert_same_bytes(tmp_path, PERCEPTRON)
