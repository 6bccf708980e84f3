"""Figures of a rescaling study hold the values of its measures and say in their titles what these amount to."""

import numpy as np
import pandas as pd
import pytest
from drawing import LEDGER, assert_legible, assert_same_bytes, draw
from matplotlib.figure import Figure
from rescaling_study import demonstrations, orbit_settings, trained
from synthetic import synthetic_study
from synthetic_rescaling import (
    ALPHAS,
    AREA,
    DEPTHS,
    LEAST,
    OFFSETS,
    ORBIT_RATIO,
    RADII,
    RANGES,
    RESCALED_SPECTRUM,
    SEEDS,
    TRAINED_SPECTRUM,
    error,
    sharpness,
    synthetic_rescaling,
)
from torch import nn

from flatminima.errors import EmptyFigureError
from flatminima.figures import style
from flatminima.figures.render import NO_DETAILS, render
from flatminima.figures.rescaling import orbits as orbits_figure
from flatminima.rescaling.coordinates import volumes
from flatminima.rescaling.trained_orbits import measure_linear_orbits, measure_orbits
from flatminima.stages.rescale import show_theorems
from flatminima.studies.registry import KINDS

RESCALING = list(KINDS["rescaling"].figures)
NETWORKS = len(DEPTHS) * (SEEDS - 1)
"""Fully connected networks that did not diverge; the convolutional one is not among them."""
Study = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def study() -> Study:
    return synthetic_rescaling()


@pytest.fixture(scope="module")
def drawn(study) -> dict[str, tuple[Figure, pd.DataFrame]]:
    return {name: draw(name, *study) for name in RESCALING}


@pytest.fixture(scope="module")
def computed() -> Study:
    """Two networks of three layers and a linear one, whose least sharpness is of no concern here."""
    subjects, settings = [trained(seed=seed) for seed in (0, 1)], (demonstrations(), orbit_settings())
    theorems, areas = show_theorems("small", subjects, *settings), volumes("small", settings[0])
    linear = trained(activation=nn.Identity, bias=False, family="linear")
    orbits = (
        measure_orbits("small", subjects, settings[1]),
        measure_linear_orbits("small", [linear], {3: 1.0}, settings[1]),
    )
    return pd.concat([theorems[0], areas[0], *orbits]), pd.concat([theorems[1], areas[1]])


def with_value(study: Study, case: str, statistic: str, value: float, control: str = "", **where) -> Study:
    """The study with one statistic of a case changed, in the rows where columns have the given values."""
    measures, curves = study
    chosen = (measures["case"] == case) & (measures["control"] == control) & (measures["statistic"] == statistic)
    chosen &= np.logical_and.reduce([measures[key] == is_ for key, is_ in where.items()])
    assert chosen.any()
    return measures.assign(value=measures["value"].mask(chosen, value)), curves


def title(figure: Figure) -> str:
    """The figure's one message, on one line."""
    return " ".join(figure.get_suptitle().split())


def settings(detailed: int) -> int:
    """How many rows there are if one network of each depth has all settings and the others the two ends."""
    return len(DEPTHS) * (detailed + 2 * (SEEDS - 2))


def test_alpha_shows_growth_and_unchanged_errors_next_to_the_control(drawn):
    figure, plotted = drawn["alpha"]
    assert len(plotted) == 2 * settings(len(ALPHAS))
    rectified = plotted[plotted["kind"] == "rectifier"]
    growth = np.maximum(rectified["alpha"], 1 / rectified["alpha"]) ** 2
    assert rectified["sharpness_growth"].to_numpy() == pytest.approx(growth.to_numpy())
    assert rectified["trace_growth"].to_numpy() == pytest.approx(2 * growth.to_numpy())
    assert rectified.groupby(["depth", "seed"])["test_error"].nunique().eq(1).all()
    assert title(figure) == "Sharpness grows as the square of the factor, while test error stays"
    assert figure.axes[0].get_title() == f"depth {DEPTHS[0]}, n = {SEEDS - 1}"


def test_alpha_reports_test_errors_that_move_and_other_laws(study):
    moved = with_value(study, "two_layers", "test_error_change", 0.07, depth=3, seed=1, alpha=100.0)
    assert title(draw("alpha", *moved)[0]).endswith("square of the factor, but test error changes")
    slow = with_value(study, "two_layers", "growth_exponent", 1.0, depth=3, seed=1, alpha=100.0)
    assert title(draw("alpha", *slow)[0]) == "Sharpness does not grow as the square of the factor, but test error stays"


def test_the_network_with_most_settings_is_shown_in_detail(drawn):
    for name, setting in (("alpha", "alpha"), ("balls", "radius"), ("coordinates", "offset")):
        plotted = drawn[name][1]
        counts = plotted[plotted["family"] == "relu"].groupby(["depth", "seed", "detailed"])[setting].nunique()
        assert set(counts.index.get_level_values("seed")[counts.index.get_level_values("detailed")]) == {0}
        assert counts.xs(False, level="detailed").eq(2).all()


def test_volume_compares_areas_with_the_closed_form(drawn):
    figure, plotted = drawn["volume"]
    areas = plotted.set_index(["curve", "x"])["value"]
    assert areas["area_law", RANGES[-1]] == pytest.approx(AREA * np.log2(RANGES[-1]))
    assert len(plotted) == 3 * len(RANGES)
    assert title(figure).startswith("The set of low loss grows without end: images of a box never meet")
    assert f"apart in {NETWORKS + 1} of n = {NETWORKS + 1}" in figure.axes[0].get_title("left")


def test_volume_counts_boxes_that_meet_and_areas_that_do_not_grow(study):
    met = draw("volume", *with_value(study, "boxes", "meeting_boxes", 1.0, depth=2, seed=1))[0]
    assert f"apart in {NETWORKS} of n = {NETWORKS + 1}" in met.axes[0].get_title("left")
    assert title(met).endswith("images of a box meet, shrink or hold other losses")
    still = draw("volume", *with_value(study, "area", "area_growth", 1.0, range=RANGES[-1]))[0]
    assert title(still).startswith("The set of low loss does not grow as theory says: images of a box never meet")


def test_the_drawn_boxes_are_disjoint_and_of_equal_area(drawn):
    """theory.md D2 with n_1 = n_2 = 1."""
    boxes = [patch for patch in drawn["volume"][0].axes[0].patches if hasattr(patch, "get_width")]
    sides = np.array(
        [[box.get_x(), box.get_x() + box.get_width(), box.get_width() * box.get_height()] for box in boxes]
    )
    sides = sides[sides[:, 0].argsort()]
    assert len(sides) == 5
    assert (sides[1:, 0] > sides[:-1, 1]).all()
    assert sides[:, 2] == pytest.approx(sides[0, 2])
    centre = boxes[2]
    assert (2 * centre.get_x() + centre.get_width()) / 2 == pytest.approx(1)


def test_spectrum_is_relative_to_the_trained_networks_largest(drawn):
    figure, plotted = drawn["spectrum"]
    for depth in DEPTHS:
        for name, values in (("trained", TRAINED_SPECTRUM), ("rescaled", RESCALED_SPECTRUM)):
            rows = plotted[(plotted["depth"] == depth) & (plotted["spectrum"] == f"spectrum_{name}")]
            assert list(rows["rank"]) == [1, 2, 3, 4]
            assert list(rows["ratio"]) == pytest.approx(list(values / TRAINED_SPECTRUM[0]))
    assert title(figure) == (
        "One rescaling makes most of the directions that have curvature sharper than the sharpest was, "
        "no fewer than theory promises"
    )
    assert figure.axes[0].get_title() == "depth 2:\n3 of 4 lifted\n(2 promised)"


def test_spectrum_leaves_out_zero_and_reports_broken_promises(study):
    """One of four eigenvalues cannot be told from zero: three directions have curvature, of which one is lifted."""
    measures, curves = with_value(study, "many_directions", "large_eigenvalues", 1.0)
    zero = (curves["curve"] == "spectrum_trained") & (curves["x"] == 3)
    figure, _ = draw("spectrum", measures, curves.assign(value=curves["value"].mask(zero, 1e-17)))
    assert "makes few of the directions" in title(figure)
    assert title(figure).endswith("the sharpest was, fewer than theory promises")
    assert figure.axes[1].get_title() == "depth 3:\n1 of 3 lifted\n(2 promised)"


def test_negative_eigenvalues_are_drawn_as_such(drawn):
    lines = {line.get_label(): line for line in drawn["spectrum"][0].axes[0].get_lines()}
    negative = lines["rescaled: −λ of negative ones"]
    assert list(negative.get_xdata()) == [4]
    assert list(negative.get_ydata()) == pytest.approx([-RESCALED_SPECTRUM[-1] / TRAINED_SPECTRUM[0]])
    assert list(lines["trained"].get_xdata()) == [1, 2, 3]


def test_balls_compare_rescaled_networks_with_the_best_constant(drawn):
    figure, plotted = drawn["balls"]
    assert len(plotted) == 2 * settings(len(RADII))
    least = plotted.groupby("kind")["epsilon_sharpness"].min()
    assert least["rescaled"] == 2
    assert least["trained"] == pytest.approx(RADII[0] ** 2 / 2)
    assert title(figure) == (
        "After rescaling, losses within every ball rise to a constant function's and beyond; as trained they stay below"
    )


def test_balls_report_losses_that_do_not_rise_and_those_that_did(study):
    low = with_value(study, "balls", "epsilon_sharpness", 0.1, depth=2, seed=0, radius=RADII[1])
    assert "losses do not rise within every ball" in title(draw("balls", *low)[0])
    high = with_value(study, "balls", "epsilon_sharpness", 0.9, "trained", depth=2, seed=0, radius=RADII[-1])
    assert title(draw("balls", *high)[0]).endswith("as trained they do so in some")


def test_coordinates_follow_the_law_and_rotations_do_not(drawn):
    figure, plotted = drawn["coordinates"]
    changed = plotted[plotted["kind"] != "rotated"]
    assert changed["curvature_growth"].to_numpy() == pytest.approx(changed["offset"].to_numpy() ** -2)
    assert len(changed) == 2 * (settings(len(OFFSETS)) + 2)
    assert title(figure) == "Curvature follows the coordinates, by theory's law, while the function stays"
    assert figure.axes[1].get_title("left").endswith(f"n = {NETWORKS + 1} networks")
    assert "slope −2.00" in figure.axes[1].get_legend_handles_labels()[1][-1]


def test_coordinates_report_a_law_that_fails_and_a_function_that_changes(study):
    off = with_value(study, "radial", "curvature_error", 0.1, depth=2, seed=0, offset=OFFSETS[0])
    assert title(draw("coordinates", *off)[0]) == (
        "Curvature does not follow theory's law for coordinates, but the function stays"
    )
    other = with_value(off, "radial", "function_change", 0.1, depth=2, seed=0, offset=OFFSETS[0])
    assert title(draw("coordinates", *other)[0]).endswith("coordinates, while the function changes")


def test_landscape_has_one_minimum_and_the_trained_network_beside_it(drawn):
    figure, plotted = drawn["landscape"]
    least = plotted.loc[plotted["sharpness"].idxmin()]
    assert [least["factor_1"], least["factor_2"]] == pytest.approx(list(10 ** np.array(LEAST)))
    assert title(figure) == (
        "Over all rescalings sharpness has one minimum, certified, and training ended at less than twice the least"
    )


def test_landscape_reports_training_that_ended_far_away_and_bounds_that_do_not_meet(study):
    far = with_value(study, "orbit_layers", "gauss_newton_sharpness", 1e3, depth=3, seed=0)
    assert title(draw("landscape", *far)[0]).endswith("training ended at more than twice the least")
    open_ = with_value(study, "orbit_layers", "orbit_gap", 0.1, depth=3, seed=0)
    assert "one minimum and training" in title(draw("landscape", *open_)[0])


def test_landscape_counts_every_minimum(study):
    measures, curves = study
    corner = (curves["curve"] == "landscape") & (curves["x"] > LEAST[0] + 1) & (curves["y"] > LEAST[1] + 1)
    assert corner.any()
    changed = curves.assign(value=curves["value"].mask(corner & (curves["x"] == curves.loc[corner, "x"].max()), 9.0))
    assert "sharpness has several minima and training" in title(draw("landscape", measures, changed)[0])


def test_orbits_show_every_network_that_learned(drawn):
    figure, plotted = drawn["orbits"]
    assert len(plotted) == 2 * (NETWORKS + 1)
    for kind, ratio in ORBIT_RATIO.items():
        rows = plotted[plotted["kind"] == kind]
        assert (rows["gauss_newton_sharpness"] / rows["orbit_minimum"]).to_numpy() == pytest.approx(ratio)
    assert set(plotted["gauss_newton_sharpness"]) == {8, 9, 12, 13, 40}
    assert title(figure) == (
        "Among networks of one depth and step size no relation of test error with sharpness or its floors is detected"
    )
    assert figure.axes[0].get_title("left") == f"n = {NETWORKS + 1} networks"
    for panel in figure.axes[1:4]:
        assert panel.get_title("left").splitlines()[1] == "all: −1.00 [−1.00, 1.00], not detected"


@pytest.mark.parametrize(
    ("sign", "words"), [(1, "rises with sharpness as trained; with least sharpness"), (-1, "falls with sharpness")]
)
def test_orbits_say_what_test_error_follows(sign, words):
    """Eight groups of three, in which test error has the order of sharpness; that of the floors, in half of them."""
    rows = pd.DataFrame({"family": "relu", "depth": 2, "step_size": np.repeat(np.arange(8.0), 3)})
    order = np.tile([1.0, 2, 3], 8)
    mixed = np.where(rows["step_size"] % 2, order, 4 - order)
    rows = rows.assign(gauss_newton_sharpness=order, orbit_minimum=mixed, least_trace=mixed)
    rows["test_error"] = sign * rows["gauss_newton_sharpness"]
    found = orbits_figure.message(rows)
    assert f"Among networks of one depth and step size test error {words}" in found
    assert found.endswith("and least trace of all rescalings no relation is detected")


def test_orbits_of_one_kind_are_filled(study):
    """Where only layers were rescaled, their markers are filled and the legend has no hollow ones."""
    measures, curves = study
    figure, plotted = draw("orbits", measures[~measures["case"].str.startswith("orbit_units")], curves)
    assert len(plotted) == NETWORKS + 1
    labels = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert labels == {*(f"depth {depth}" for depth in DEPTHS), "convolutional", orbits_figure.EQUAL}
    assert [panel.get_xlabel() for panel in figure.axes[1:]] == list(orbits_figure.MEASURES.values())


def test_overview_has_no_ceiling_and_a_floor(drawn):
    figure, plotted = drawn["rescaling-overview"]
    rectified = plotted[plotted["kind"] == "rectified"]
    assert len(rectified) == len(DEPTHS) * (len(ALPHAS) + 1)
    trained = rectified[rectified["alpha"] == 1]
    assert trained["sharpness_ratio"].to_numpy() == pytest.approx(ORBIT_RATIO["layers"])
    assert list(trained["test_error"]) == pytest.approx([error(depth, 0) for depth in DEPTHS])
    largest = rectified.groupby("depth")["sharpness_ratio"].max()
    assert largest.to_numpy() == pytest.approx(1e4 * ORBIT_RATIO["layers"])
    linear = plotted[plotted["family"] == "residual_linear"]
    assert sorted(linear["sharpness_ratio"]) == pytest.approx([1, 1, 1 + 1e-6, 1 + 1e-6, 10, 10, 100, 100], abs=1e-9)
    assert title(figure) == (
        "Rescaling makes a network ever sharper, never flatter than its floor; "
        "for linear networks this floor is the least of all minima"
    )
    assert figure.axes[0].get_title("left").endswith(f"(n = {len(DEPTHS)} networks)")


def test_overview_is_about_sharpness_over_the_floor(study):
    lower = with_value(study, "orbit_layers", "orbit_minimum", sharpness(2, 0) / 3, depth=2, seed=0)
    _, plotted = draw("rescaling-overview", *lower)
    trained = plotted[(plotted["alpha"] == 1) & (plotted["depth"] == 2)]
    assert trained["sharpness_ratio"].item() == pytest.approx(3)


def test_overview_reports_what_is_flatter_than_the_floor_and_errors_that_move(study):
    broken = with_value(study, "two_layers", "sharpness", 1.0, depth=2, seed=0, alpha=ALPHAS[0])
    broken = with_value(broken, "two_layers", "test_error", 0.9, depth=2, seed=0, alpha=ALPHAS[0])
    figure, _ = draw("rescaling-overview", *broken)
    assert "ever sharper, and sometimes flatter than its floor" in title(figure)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels[:2] == [
        f"depth 2: test error {100 * error(2, 0):.1f}–90.0 %",
        f"depth 3: test error {100 * error(3, 0):.1f} %",
    ]


def test_overview_reports_linear_networks_above_the_least_and_sharpness_that_stays(study):
    above = with_value(study, "orbit_linear", "orbit_ratio", 1.5, depth=2, seed=0)
    assert title(draw("rescaling-overview", *above)[0]).endswith("this floor is not the least of all minima")
    still = with_value(study, "two_layers", "sharpness_growth", 1.0, depth=2, seed=0, alpha=ALPHAS[0])
    assert title(draw("rescaling-overview", *still)[0]).startswith("Rescaling does not make a network ever sharper")


@pytest.mark.parametrize(
    ("value", "text"), [(8e-5, "8×10⁻⁵"), (1.02e8, "10⁸"), (0.0, "0"), (9.7, "10¹"), (3.2e15, "3×10¹⁵")]
)
def test_numbers_for_people(value, text):
    assert style.scientific(value) == text


@pytest.mark.parametrize("name", RESCALING)
def test_text_is_large_enough_and_on_the_page(drawn, name):
    assert_legible(drawn[name][0])


@pytest.mark.parametrize("name", RESCALING)
def test_one_depth_with_the_ends_alone_is_drawn(study, name, tmp_path):
    """As few settings as a configuration may have: a small test of the workflow has no more."""
    measures, curves = study
    few = measures["setting"].isna() | measures["setting"].isin([*ALPHAS[::3], *RADII[::2], *OFFSETS[::2], *RANGES])
    measures = measures[few & (measures["depth"] == 3) | measures["case"].str.startswith("area")]
    measures.to_parquet(tmp_path / "measures.parquet")
    curves[curves["depth"].eq(3) | curves["curve"].str.startswith("area")].to_parquet(tmp_path / "curves.parquet")
    render(
        KINDS["rescaling"], name, tmp_path / "measures.parquet", tmp_path / "curves.parquet", LEDGER, tmp_path / name
    )
    assert (tmp_path / f"{name}.svg").stat().st_size > 10_000
    assert "absent" not in pd.read_csv(tmp_path / f"{name}.csv").columns


@pytest.mark.parametrize("name", RESCALING)
def test_every_figure_of_computed_networks(computed, name, tmp_path):
    for table, kind in zip(computed, ("measures", "curves"), strict=True):
        table.to_parquet(tmp_path / f"{kind}.parquet")
    render(
        KINDS["rescaling"], name, tmp_path / "measures.parquet", tmp_path / "curves.parquet", LEDGER, tmp_path / name
    )
    assert (tmp_path / f"{name}.svg").stat().st_size > 10_000
    assert "absent" not in pd.read_csv(tmp_path / f"{name}.csv").columns


@pytest.mark.parametrize("name", RESCALING)
def test_a_training_study_has_no_rescaling(name):
    with pytest.raises(EmptyFigureError, match="kind rescaling") as absence:
        draw(name, *synthetic_study(depths=(2,)))
    assert "\n" not in str(absence.value)


@pytest.mark.parametrize("name", ["volume", "spectrum", "coordinates", "landscape"])
def test_a_study_without_curves_says_so(study, name):
    with pytest.raises(EmptyFigureError, match="no curve"):
        draw(name, study[0], NO_DETAILS)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("alpha", "two_layers"),
        ("volume", "boxes"),
        ("spectrum", "many_directions"),
        ("balls", "balls"),
        ("coordinates", "radial"),
        ("landscape", "orbit_layers"),
        ("orbits", "orbit_layers"),
        ("rescaling-overview", "two_layers"),
        ("rescaling-overview", "orbit_layers"),
        ("rescaling-overview", "orbit_linear"),
    ],
)
def test_a_figure_without_its_measures_says_so(study, name, lost):
    measures, curves = study
    with pytest.raises(EmptyFigureError, match=f"no network of case {lost}"):
        draw(name, measures[~measures["case"].str.startswith(lost)], curves)


def test_two_processes_write_the_same_bytes(study, tmp_path):
    for table, name in zip(study, ("measures", "curves"), strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    assert_same_bytes(tmp_path, RESCALING)
