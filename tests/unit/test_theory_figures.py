"""Figures of a theory study show what their claims select and say in their titles what that amounts to."""

import re

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from matplotlib.figure import Figure
from matplotlib.text import Text
from planted_theory import PLANTED
from synthetic import synthetic_study
from synthetic_theory import (
    CONDITIONS,
    DEPTHS,
    MINIMUM,
    PRICE,
    RATIOS,
    SEEDS,
    STATEMENTS,
    STEPS,
    synthetic_theory,
    with_value,
)
from theory_study import small_theory

from flatminima.errors import EmptyFigureError, UserError
from flatminima.figures.render import THEORY, render


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    return synthetic_theory()


@pytest.fixture(scope="module")
def drawn(study) -> dict[str, tuple[Figure, pd.DataFrame]]:
    return {name: draw(name, study) for name in THEORY}


@pytest.fixture(scope="module")
def computed() -> pd.DataFrame:
    return small_theory([2, 3])


def title(figure: Figure) -> str:
    return " ".join(figure.get_suptitle().split())


def written(figure: Figure) -> str:
    """All text of a figure but its title."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


TITLES = {
    "theory-overview": "Theory says how flat a minimum can be, and zero residuals end there for white inputs only",
    "least-sharpness": "No minimum lies below theory's least sharpness, and the minima in closed form lie on it",
    "random-minima": "Random minima are all sharper than the least, and not more so in deeper networks",
    "any-inputs": "Where inputs are not white, the least sharpness is attained as well, though not by balanced minima",
    "first-interface": "Where inputs are not white, the first two layers of a flattest minimum are not coupled",
    "attacks": "No search breaks what theory states, and each false statement beside it is broken",
    "witnesses": "How flat a minimum is shows in its path cosine, path gain and path residual, but not in its singular "
    "overlap and balance defect",
    "step-size": "Zero residuals end at the least sharpness for steps up to 0.1 of the largest stable one",
    "arrival": "Not every run from zero residuals arrives at a minimum: those on symmetric maps with a negative "
    "eigenvalue need not",
    "predicted-price": "Zero residuals end where the price of balance predicts, up to 1.20 times the least sharpness",
    "balance-price": "The price of balance keeps growing as inputs get further from white, and never exceeds the "
    "proved bound",
    "catapult": "A growing step drives networks to flatter minima, and none settles above the limit of stability",
    "scaled-residual": "No run ends below the least sharpness in the sweep of Marion & Chizat",
}


@pytest.mark.parametrize("name", THEORY)
def test_the_title_says_what_was_found(drawn, name):
    assert title(drawn[name][0]) == TITLES[name]


@pytest.mark.parametrize("name", THEORY)
def test_a_title_has_one_number_at_most(drawn, name):
    assert len(re.findall(r"(?<![A-Z])\d[\d.,]*", title(drawn[name][0]))) <= 1


@pytest.mark.parametrize(("name", "change", "sentence"), PLANTED)
def test_the_title_turns_with_the_result(study, name, change, sentence):
    assert sentence not in TITLES[name]
    planted = change(study) if callable(change) else with_value(study, change[0], change[1], **change[2])
    figure, _ = draw(name, planted)
    assert sentence in title(figure)


def test_every_title_is_planted_the_other_way_round():
    assert {name for name, _, _ in PLANTED} == set(THEORY)


def test_least_sharpness_shows_the_minima_of_its_claims(drawn):
    figure, plotted = drawn["least-sharpness"]
    assert len(plotted) == (2 + 3) * len(DEPTHS) * SEEDS
    assert set(plotted.loc[plotted["inputs"] == "coloured", "start"]) == {"flattest", "random"}
    medians = plotted.groupby(["start", "inputs"])["sharpness"].median()
    for construction, (white, _) in RATIOS.items():
        assert medians[construction, "white"] == pytest.approx(white * MINIMUM)
    assert (plotted["as_control"] == (plotted["start"] == "random")).all()
    assert f"random minima (n = {len(DEPTHS) * SEEDS})" in written(figure)


def test_random_minima_are_ranked_within_depth_and_inputs(drawn):
    figure, plotted = drawn["random-minima"]
    assert len(plotted) == 2 * len(DEPTHS) * SEEDS
    for _, line in plotted.groupby(["inputs", "depth"]):
        assert list(line["share"]) == pytest.approx(np.arange(1, SEEDS + 1) / SEEDS)
        assert line["sharpness_ratio"].is_monotonic_increasing
    assert f"n = {len(DEPTHS) * SEEDS}" in written(figure)


def test_any_inputs_shows_the_best_search_from_far_of_each_condition(drawn):
    figure, plotted = drawn["any-inputs"]
    each = len(DEPTHS) * SEEDS
    assert plotted["way"].value_counts().to_dict() == {"flattest": each, "balanced": each, "descent": 4}
    found = plotted[plotted["way"] == "descent"]
    assert list(found["excess"]) == pytest.approx([-1e-14] * 4, rel=0.01, abs=0)
    assert (plotted.loc[plotted["way"] == "balanced", "excess"] == 0.25).all()
    assert "flattest found by searches (n = 4)" in written(figure)


def test_first_interface_tells_the_first_from_later_ones(drawn):
    figure, plotted = drawn["first-interface"]
    counts = {"white": 3 * SEEDS, "later": SEEDS, "first": 2 * SEEDS, "control": 2 * SEEDS}
    assert plotted["group"].value_counts().to_dict() == counts
    residuals = plotted.groupby("group")["residual"].agg(["min", "max"])
    assert residuals.loc["first"].to_list() == pytest.approx([0.5, 0.55])
    assert residuals.loc["later"].to_list() == residuals.loc["white"].to_list() == [0, 0]
    assert residuals.loc["control"].to_list() == [2, 2]
    assert f"inputs not white, first interface (n = {2 * SEEDS})" in written(figure)


def test_attacks_count_violations_of_true_statements_apart_from_controls(drawn):
    figure, plotted = drawn["attacks"]
    attempts = len(CONDITIONS) * len(DEPTHS) * SEEDS
    sizes = plotted.groupby(["case", "control"]).size()
    assert (sizes == attempts).all()
    both = {(name, control) for name in STATEMENTS for control in ("", "planted")}
    assert set(sizes.index) == both - {("attack_coloured", "planted")}
    broken = plotted.groupby(["as_control", "case", "control"])["broken"].sum()
    assert (broken[False] == 0).all()
    assert broken[True, "attack_coloured", ""] == attempts / 4
    assert broken[True, "attack_bound", "planted"] == attempts
    closest = plotted[plotted["control"] == ""].groupby("case")["approach"].min()
    assert closest["attack_coloured"] == pytest.approx(0.3)
    assert closest["attack_bound"] == pytest.approx(1 - 1e-14, rel=1e-15)
    assert f"0 of {attempts} broken" in written(figure)
    assert f"false: I2 where inputs are not white: {attempts // 4} of {attempts} broken" in written(figure)


def test_attacks_leave_out_attempts_whose_product_has_moved(study):
    moved = with_value(study, "product_defect", 1e-6, case="attack_path", condition="wide")
    _, plotted = draw("attacks", moved)
    assert set(plotted.loc[plotted["case"] == "attack_path", "condition"]) == {"square"}


def test_witnesses_take_the_worst_layer(drawn):
    _, plotted = drawn["witnesses"]
    values = plotted.set_index(["statistic", "inputs", "excess"])["distance"]
    for statistic, inputs, excess in values.index:
        known = {"path_cosine": excess**2, "path_gain": excess, "path_residual": 2 * excess}
        expected = (known | {"singular_overlap": 0.2, "balance_defect": 3.0})[statistic]
        assert values[statistic, inputs, excess] == pytest.approx(expected, rel=1e-6, abs=0)


def test_witnesses_state_the_power_of_each_statistic(drawn):
    texts = written(drawn["witnesses"][0])
    known = {"path cosine": 2, "path gain": 1, "path residual": 1, "singular overlap": 0, "balance defect": 0}
    for name, power in known.items():
        assert f"{name}: power {power}.0" in texts
    assert "n = 6 minima" in texts


def test_step_size_shows_the_findings_of_its_claim(drawn):
    figure, plotted = drawn["step-size"]
    assert set(plotted["map"]) == {"turned"}
    assert set(plotted["inputs"]) == {"white"}
    own, control = plotted[~plotted["as_control"]], plotted[plotted["as_control"]]
    steps = own[own["start"] == "residual"].set_index(["depth", "step"])
    assert steps.loc[(2, 0.5), "effect"] == pytest.approx(1.0025)
    assert (own.loc[own["start"] == "flow", "effect"] == 1).all()
    assert (own["units"] == SEEDS).all()
    assert control["effect"].to_list() == pytest.approx([1.15] * len(control))
    assert set(own["step"].dropna()) == set(control["step"]) == {step for step in STEPS if step < 1}
    assert f"zero residuals (n = {SEEDS})" in written(figure)


def test_step_size_says_where_runs_did_not_arrive(study):
    away = with_value(study, "excess_loss", 0.1, case="residual_turned_white", seed=1, setting=0.5)
    figure, plotted = draw("step-size", away)
    assert set(plotted.loc[(plotted["start"] == "residual") & (plotted["step"] == 0.5), "units"]) == {SEEDS - 1}
    assert f"zero residuals (n = {SEEDS - 1} to {SEEDS})" in written(figure)


def test_arrival_shows_the_share_of_every_kind_of_map(drawn):
    figure, plotted = drawn["arrival"]
    shares = plotted[~plotted["as_control"]].groupby("map")["effect"].unique()
    assert {name: list(values) for name, values in shares.items()} == {"turned": [1.0], "reflected": [0.0]}
    assert plotted["low"].max() == pytest.approx(0.025 ** (1 / SEEDS))
    assert f"symmetric maps with a negative eigenvalue (n = {SEEDS} each)" in written(figure)


def test_predicted_price_sets_measured_against_predicted(drawn):
    figure, plotted = drawn["predicted-price"]
    flow = plotted[~plotted["as_control"]]
    assert (flow["sharpness_ratio"] == flow["balance_price"]).all()
    assert set(flow["balance_price"]) == set(PRICE.values())
    assert set(flow["case"]) == {"flow_turned_white", "flow_turned_coloured"}
    assert set(plotted.loc[plotted["as_control"], "sharpness_ratio"].round(9)) == {1.1, 1.2}
    assert f"gradient flow (n = {2 * len(DEPTHS) * SEEDS})" in written(figure)


def test_balance_price_shows_the_dearest_of_all_searches(drawn):
    figure, plotted = drawn["balance-price"]
    assert len(plotted) == 3 * len(DEPTHS) * 2 * SEEDS
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() in ("o", "s")]
    for line in lines:
        assert list(line.get_ydata()) == pytest.approx([10**0.5, 1000**0.5])
    assert len(lines) == len(DEPTHS)
    assert f"random problems (n = {2 * len(DEPTHS) * SEEDS})" in written(figure)


def test_catapult_shows_where_steps_started_and_settled(drawn):
    figure, plotted = drawn["catapult"]
    assert len(plotted) == 2 * SEEDS * 4
    runs, starts = plotted[~plotted["as_control"]], plotted[plotted["as_control"]]
    settled = runs[runs["counted"]]
    assert set(settled["seed"]) == set(range(1, SEEDS))
    assert settled["sharpness_ratio"].to_numpy() == pytest.approx(0.9 / settled["step"].to_numpy())
    assert starts["limited"].to_numpy() == pytest.approx(1.8)
    assert f"(n = {3 * (SEEDS - 1)} of {4 * SEEDS})" in written(figure)


def test_scaled_residual_keeps_the_sharpness_of_minima_alone(drawn):
    figure, plotted = drawn["scaled-residual"]
    assert len(plotted) == SEEDS * 2 * len(STEPS)
    assert plotted["reached"].sum() == 2 * (SEEDS + SEEDS // 2)
    assert plotted.groupby("start_scale")["sharpness_ratio"].agg(["min", "max"]).to_numpy() == pytest.approx(
        np.array([[1.5, 1.5], [2.5, 2.5]])
    )
    assert f"n = {plotted['reached'].sum()} of {len(plotted)} runs" in written(figure)


def test_overview_shows_what_claims_count(drawn):
    figure, plotted = drawn["theory-overview"]
    each = len(DEPTHS) * SEEDS
    counts = {"random": 2 * each, "closed": 2 * each}
    counts |= {f"{inputs}-flow": each for inputs in PRICE} | {f"{inputs}-default": 2 * each for inputs in PRICE}
    assert plotted["group"].value_counts().to_dict() == counts
    ends = plotted.groupby("group")["sharpness_ratio"].unique()
    assert list(ends["white-flow"]) == [PRICE["white"]]
    assert list(ends["coloured-flow"]) == [PRICE["coloured"]]
    assert f"white inputs, trained from zero residuals (n = {each})" in written(figure)


def test_overview_leaves_out_rows_without_data(study):
    figure, plotted = draw("theory-overview", study[study["start"].isin(RATIOS)])
    assert set(plotted["group"]) == {"random", "closed"}
    assert "trained from" not in written(figure)


@pytest.mark.parametrize("name", THEORY)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    assert_legible(drawn[name][0])


@pytest.mark.parametrize("name", THEORY)
def test_every_figure_of_computed_minima(computed, name, tmp_path):
    computed.to_parquet(tmp_path / "measures.parquet")
    render(name, tmp_path / "measures.parquet", None, LEDGER, tmp_path / name)
    assert (tmp_path / f"{name}.svg").stat().st_size > 10_000
    assert "absent" not in pd.read_csv(tmp_path / f"{name}.csv").columns


@pytest.mark.parametrize("name", THEORY)
def test_a_training_study_has_no_theory(name):
    measures, details = synthetic_study(depths=(2,))
    with pytest.raises(EmptyFigureError, match="kind theory") as error:
        draw(name, measures, details)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["path-cosine", "sharpness"])
def test_a_theory_study_has_no_training(study, name):
    with pytest.raises(UserError):
        draw(name, study[study["case"].str.startswith("attack")])


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("theory-overview", {"start": [*RATIOS, "flow", "default"]}),
        ("least-sharpness", {"start": RATIOS}),
        ("random-minima", {"start": ["random"]}),
        ("any-inputs", {"inputs": ["coloured"], "case": ["attack_bound"]}),
        ("first-interface", {"case": ["flattest_coloured", "random_coloured"]}),
        ("attacks", {"start": ["near", "far"]}),
        ("witnesses", {"start": ["prescribed"]}),
        ("step-size", {"start": ["residual", "flow", "default"]}),
        ("arrival", {"start": ["residual", "flow"]}),
        ("predicted-price", {"start": ["flow"]}),
        ("catapult", {"start": ["catapult"]}),
        ("balance-price", {"case": ["price_search", "price_random"]}),
        ("scaled-residual", {"case": ["scaled_residual"]}),
    ],
)
def test_a_figure_without_its_data_says_so(study, name, lost):
    kept = ~np.logical_or.reduce([study[column].isin(values) for column, values in lost.items()])
    with pytest.raises(EmptyFigureError, match=f"figure {name}: no "):
        draw(name, study[kept])


def test_runs_of_which_none_arrived_are_drawn(study):
    away = study.assign(value=study["value"].mask(study["statistic"] == "excess_loss", 1.0))
    figure, plotted = draw("step-size", away)
    assert (plotted["units"] == 0).all()
    assert title(figure) == "Too few runs from zero residuals arrive to tell where they end"
    with pytest.raises(EmptyFigureError, match="figure catapult"):
        draw("catapult", away)


def test_two_processes_write_the_same_bytes(study, tmp_path):
    study.to_parquet(tmp_path / "measures.parquet")
    assert_same_bytes(tmp_path, list(THEORY))
