"""The figures that claims on linear networks and on practice rest on, against effects that are set by hand."""

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from matplotlib.figure import Figure
from synthetic import synthetic_study
from synthetic_coupling import NULLS, SEEDS, STEPS, doses, practice, scales

from flatminima.claims.effects import network_values
from flatminima.claims.ledger import Criterion
from flatminima.claims.networks import Place, networks_of
from flatminima.errors import UserError
from flatminima.figures import frames
from flatminima.figures.claimed import Claimed
from flatminima.figures.render import EVIDENCE, NO_DETAILS, TRAINING
from flatminima.figures.training.dose_response import changes
from flatminima.figures.training.start_scale import slopes

T_FOUR = 2.776
"""97.5 % point of Student's t with four degrees of freedom, from published tables; seeds 0 to 4 have a deviation of
sqrt(2.5) times their spacing."""
MARGIN = T_FOUR * 0.01 * np.sqrt(2.5) / np.sqrt(5)

STUDIES = {
    "dose-response": doses(lambda ratio, seed: 0.2 * (ratio - 1) + 0.001 * seed),
    "coupling-excess": practice(),
    "start-scale": scales(),
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[Figure, pd.DataFrame]]:
    return {name: draw(name, measures, NO_DETAILS) for name, measures in STUDIES.items()}


def words(page: Figure) -> str:
    """The title, however it is broken into lines."""
    return " ".join(page.get_suptitle().split())


def texts(page: Figure) -> str:
    """All that is written in and above the panels."""
    return "\n".join(text.get_text() for panel in page.axes for text in panel.texts)


def test_excess_is_over_the_nearest_null_with_an_interval_over_seeds(drawn):
    _, plotted = drawn["coupling-excess"]
    whole = plotted[plotted["survivors"] == 5]
    assert len(whole) == 2 * 2 * 3
    for end, value in {"excess": 0.08, "low": 0.08 - MARGIN, "high": 0.08 + MARGIN}.items():
        np.testing.assert_allclose(whole[end], value, atol=2e-5)


def test_survivors_are_counted(drawn):
    _, plotted = drawn["coupling-excess"]
    lost = plotted[plotted["setting"] == 3.2]
    assert set(lost["survivors"]) == {3}
    assert set(lost["diverged"]) == {2}
    np.testing.assert_allclose(lost["excess"], 0.07, rtol=1e-12)  # seeds 2, 3 and 4
    assert lost[["low", "high"]].isna().all(axis=None), "no interval of three seeds"


def test_the_step_of_least_training_loss_is_marked_and_decides_the_title(drawn):
    page, plotted = drawn["coupling-excess"]
    assert set(plotted.loc[plotted["best"], "setting"]) == {0.8}
    assert words(page) == (
        "Detected beyond chance, at the step size of least loss: coupling in all cases, evenness in all cases"
    )
    assert [text.get_text() for text in page.axes[0].get_yticklabels()] == [
        "ReLU, task noisy", "depth 2, n = 5", "depth 3, n = 5"
    ]  # fmt: skip


def test_no_case_is_beyond_chance_where_own_deviation_is_that_of_a_null():
    """The nulls of practice(), with the trained networks replaced by their permuted nulls drawn again."""
    measures = practice()
    own = measures["statistic"].isin(["own_cosine", "own_gain"])
    again = measures[measures["control"] == "permuted_again"].assign(control="")
    measures = pd.concat([measures[~(own & (measures["control"] == ""))], again[again["layer"] > 0]])
    page, plotted = draw("coupling-excess", measures, NO_DETAILS)
    assert words(page).endswith("coupling in no case, evenness in no case")
    assert (plotted.loc[plotted["best"], "high"] < 0).all()


def test_of_few_seeds_nothing_is_said():
    measures = practice()
    page, _ = draw("coupling-excess", measures[measures["seed"] < 4], NO_DETAILS)
    assert words(page) == "Coupling beyond chance, against chance: too few seeds to tell"


@pytest.mark.parametrize("statistic", ["own_cosine", "own_gain"])
def test_excess_is_what_the_claims_judge(statistic):
    measures = practice()
    asked = {
        "name": "beyond chance", "cases": ["relu"], "statistic": statistic, "deviation": True,
        "against": list(NULLS), "at_least": 0.0,
        "control": {"description": "again", "controls": ["untrained_again"]},
    }  # fmt: skip
    values = network_values(Criterion.model_validate(asked), Place("relu", "", 3), networks_of(measures))
    _, plotted = draw("coupling-excess", measures, NO_DETAILS)
    shown = plotted[(plotted["depth"] == 3) & (plotted["statistic"] == statistic)]
    expected = values.groupby("setting").mean()
    np.testing.assert_allclose(shown.set_index("setting")["excess"], expected, rtol=1e-12)


def test_dose_response_shows_networks_at_minima_with_their_worst_layer(drawn):
    _, plotted = drawn["dose-response"]
    assert set(plotted["setting"]) == {0.05, 0.5, 0.97}
    far = 0.2 * plotted["excess"] + 0.001 * plotted["seed"]
    for statistic, factor in {"path_gain": 1, "product_norm": 1, "path_cosine": 1, "right_residual": 2}.items():
        np.testing.assert_allclose(plotted[statistic], factor * far, rtol=1e-9)
    two = plotted[plotted["depth"] == 2]
    np.testing.assert_allclose(two["path_gain_envelope"], np.arccosh(1 + two["excess"]) / 2, rtol=1e-9)
    np.testing.assert_allclose(two["path_cosine_envelope"], 1 - 1 / (1 + two["excess"]), rtol=1e-9)


def test_a_deviation_that_falls_with_sharpness_is_told_from_one_that_does_not(drawn):
    page, _ = drawn["dose-response"]
    assert words(page) == "In all cases, flatter minima are more balanced and coupled"
    assert "falls in 2/2 cases; above the limit: 0/30" in texts(page)
    claimed = Claimed(LEDGER, STUDIES["dose-response"])
    for change in changes(claimed, "path_gain"):
        np.testing.assert_allclose(change, 0.2 * (1.8 - 1.05), rtol=1e-9)
    flat, _ = draw("dose-response", doses(lambda _, seed: 0.3 + 0.001 * seed), NO_DETAILS)
    assert words(flat) == "Flatter minima were not seen to be more balanced or coupled"
    assert "falls in 0/2 cases" in texts(flat)
    # 1 - cosine is at most 1 - ratio^(-m/2): .05 and .07 at 1.05, .29 and .40 at 1.4.
    assert "\nabove the limit: 15/30" in texts(flat)
    few, _ = draw("dose-response", STUDIES["dose-response"].query("seed < 4"), NO_DETAILS)
    assert words(few).endswith("too few seeds to compare")


@pytest.mark.parametrize("curvature", [0.0, -0.05])
def test_slopes_are_recovered_whatever_the_form_of_the_scales_own_effect(curvature):
    """A plain regression on both logarithms would ascribe the curvature of one to the other."""
    _, plotted = draw("start-scale", scales(curvature=curvature), NO_DETAILS)
    sharpness, scale = slopes(plotted).values()
    np.testing.assert_allclose(sharpness, (-0.03, -0.03 - MARGIN, -0.03 + MARGIN), atol=2e-5)
    assert scale.value == pytest.approx(-0.1 + curvature, abs=1e-9)  # the secant of log + log^2 over -1, 0, 1, 2


def test_start_scale_says_both_slopes_and_what_they_stand_on(drawn):
    page, plotted = drawn["start-scale"]
    assert words(page) == "Coupling beyond chance falls with the scale of the start; it falls with sharpness"
    assert "twice the sharpness: −0.03 [−0.05, −0.01]" in texts(page)
    assert "twice the start: −0.10 [−0.10, −0.10]" in texts(page)
    assert f"{len(plotted)} networks, n = 5 seeds" in texts(page)
    assert len(plotted) == 4 * 3 * len(SEEDS)


@pytest.mark.parametrize(
    ("slope", "of_scale", "told"),
    [
        (0.03, 0.1, "rises with the scale of the start; it rises with sharpness"),
        (0.0, -0.1, "falls with the scale of the start; it was not seen to change with sharpness"),
    ],
)
def test_the_title_of_start_scale_has_the_signs_of_both_claims(slope, of_scale, told):
    page, _ = draw("start-scale", scales(slope, of_scale), NO_DETAILS)
    assert words(page) == f"Coupling beyond chance {told}"


@pytest.mark.parametrize("name", EVIDENCE)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    assert_legible(drawn[name][0])


def test_two_processes_write_the_same_bytes(tmp_path):
    pd.concat(STUDIES.values()).to_parquet(tmp_path / "measures.parquet")
    assert_same_bytes(tmp_path, list(EVIDENCE))


@pytest.mark.parametrize(
    ("name", "cure"),
    [("dose-response", "more steps"), ("coupling-excess", "two layers"), ("start-scale", "`start_scale`")],
)
def test_a_study_without_the_data_is_told_what_is_missing(name, cure):
    measures = practice()
    trained = measures[(measures["control"] == "") & (measures["family"] == "relu")]
    with pytest.raises(UserError, match=cure) as error:
        draw(name, trained, NO_DETAILS)
    assert "\n" not in str(error.value)


def test_start_scale_of_one_seed_is_told_to_take_more():
    measures = scales()
    with pytest.raises(UserError, match="`seeds`"):
        draw("start-scale", measures[measures["seed"] == 0], NO_DETAILS)


def test_nulls_are_no_networks_of_record():
    measures = practice()
    assert set(frames.networks(measures)["control"]) == {""}
    assert set(frames.trained(measures)["control"]) == {""}
    assert len(frames.networks(measures)) == 2 * len(STEPS) * len(SEEDS)


@pytest.mark.parametrize("name", TRAINING)
def test_the_other_figures_do_not_show_nulls(name):
    measures, shared = synthetic_study(depths=(3, 4))
    relu = measures[(measures["case"] == "relu") & (measures["control"] == "") & measures["final"]]
    cosines = relu[relu["statistic"].isin(["path_cosine", "path_gain"])]
    cosines = cosines.replace({"statistic": {"path_cosine": "own_cosine", "path_gain": "own_gain"}})
    rows = pd.concat([cosines, relu[relu["statistic"] == "diverged"]])
    nulls = [rows.assign(control=null) for null in NULLS]
    before, after = draw(name, measures, shared), draw(name, pd.concat([measures, *nulls]), shared)
    pd.testing.assert_frame_equal(before[1].reset_index(drop=True), after[1].reset_index(drop=True))
    assert before[0].get_suptitle() == after[0].get_suptitle()
