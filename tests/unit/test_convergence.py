"""Ends of gradient flow and descent on random maps against closed forms; sizes are tiny, the maps 2 x 2."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from references import DTYPE, layers, path_by_search, spectrum_at_minimum
from scipy.linalg import fractional_matrix_power

from flatminima.settings.theory import Convergence
from flatminima.theory.convergence import converge
from flatminima.theory.problems import label_tasks, square_maps
from flatminima.training.descent import MomentProblem, gradient_descent, gradient_flow

STARTS = ["residual", "flow", "default", "catapult"]
STABLE, UNSTABLE, FAR_OFF = [0.1, 0.9], 1.5, 4.0
SETTLED = 1e-8
KEYS = ["case", "control", "map", "inputs", "depth", "setting", "seed"]


def settings_of(**changes):
    """Maps of gains 2 and 1/2."""
    values = {
        "size": 2,
        "spread": 4.0,
        "ill": 3.0,
        "depths": [2, 3],
        "instances": 2,
        "step_sizes": [*STABLE, UNSTABLE, FAR_OFF],
        "steps": 1500,
        "flow_time": 400,
        "tolerance": 1e-6,
        "growing_steps": [0.05, 0.2, 0.9],
        "start_ratio": 10.0,
        "kick": 0.01,
    }
    named = {name: {"value": value, "source": "chosen"} for name, value in (values | changes).items()}
    return Convergence.model_validate(named)


@pytest.fixture(scope="module")
def tables():
    return {start: converge("theory", start, settings_of()) for start in STARTS}


def networks(table, name=None):
    """One row per network, one column per statistic, numbered by layer where it has layers."""
    if name is not None:
        full = table["case"] + ("-" + table["control"]).where(table["control"] != "", "")
        table = table[full.str.fullmatch(name)]
    layer = table["layer"].astype(str).where(table["layer"] > 0, "")
    return (
        table.assign(column=table["statistic"] + layer)
        .pivot(index=KEYS, columns="column", values="value")
        .reset_index()
    )


def problem_of(maps):
    maps = torch.from_numpy(maps)
    return MomentProblem(torch.eye(maps.shape[-1], dtype=DTYPE).expand_as(maps), maps, maps.square().sum((1, 2)))


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_i6_flow_from_zero_residuals_ends_at_roots_of_the_map(depth):
    """Symmetric positive T and white inputs: the layers stay equal and commute with T, so W_k = T^{1/m}."""
    maps = square_maps("positive", 3, 3, 4.0, np.random.default_rng(depth))
    start = [torch.eye(3, dtype=DTYPE).expand(3, 3, 3)] * depth
    end = gradient_flow(start, problem_of(maps), 60.0, steps=1, snapshots=0, job="roots")
    for weight in end.parameters:
        for k in range(3):
            np.testing.assert_allclose(weight[k], fractional_matrix_power(maps[k], 1 / depth), atol=1e-8)


def test_i6_flow_conserves_imbalance_and_descent_does_not():
    """W_{k+1}' W_{k+1} - W_k W_k' of any start, while the weights themselves go far."""
    weights, _ = layers(4, 3, [2, 4, 3, 2])
    problem = problem_of(square_maps("turned", 3, 2, 4.0, np.random.default_rng(0)))

    def imbalances(weights):
        return [after.mT @ after - before @ before.mT for before, after in pairwise(weights)]

    flow = gradient_flow(weights, problem, 20.0, steps=1, snapshots=0, job="flow").parameters
    rates = torch.full((3,), 0.05, dtype=DTYPE)
    descent = gradient_descent(weights, problem, rates, steps=400, tolerance=0, snapshots=0, job="descent").parameters
    for start, flowed, descended in zip(*(imbalances(w) for w in (weights, flow, descent)), strict=True):
        torch.testing.assert_close(flowed, start, rtol=0, atol=1e-7)
        assert (descended - start).abs().max() > 1e-3
    assert all((a - b).norm() > 0.3 for a, b in zip(weights, flow, strict=True))


@pytest.mark.parametrize("depth", [2, 3])
def test_i6_statistics_where_the_flow_ends(tables, depth):
    """At W_k = T^{1/m} with s = 2 all are known: sharpness 2 m 2^{2-2/m}, gains, norms, cosines and overlaps one."""
    chosen = networks(tables["flow"], "flow_positive_white")
    chosen = chosen[chosen["depth"] == depth]
    assert len(chosen) == 2
    inner = [f"{name}{k}" for name in ("path_cosine", "product_norm", "singular_overlap") for k in range(1, depth)]
    outer = [f"path_gain{k}" for k in range(1, depth + 1)]
    for name in ["sharpness_ratio", "path_gain_fraction", *outer, *inner]:
        np.testing.assert_allclose(chosen[name], 1, rtol=1e-7, err_msg=name)
    for name in ["sharpness", "minimal_sharpness"]:
        np.testing.assert_allclose(chosen[name], 2 * depth * 2 ** (2 - 2 / depth), rtol=1e-8)
    np.testing.assert_allclose(chosen["end_to_end_gain"], 2, rtol=1e-12)
    np.testing.assert_allclose(chosen["band_upper1"], (depth - 1) ** 0.5, rtol=1e-9)
    assert chosen["path_residual2"].max() < 1e-7
    assert chosen["loss"].abs().max() < 1e-12


def test_m1_flow_from_zero_residuals_ends_at_the_price_of_balance(tables):
    """A real label task or a random map: the ratio is that of T's balanced minimum; one where inputs are white."""
    ends = networks(tables["flow"], "flow_(labels|turned)_(white|coloured)")
    assert (ends["arrived"] == 1).mean() > 0.7
    ends = ends[(ends["arrived"] == 1) & (ends["excess_loss"] < 1e-12)]
    assert set(ends["case"]) == {f"flow_{m}_{inputs}" for m in ("labels", "turned") for inputs in ("white", "coloured")}
    np.testing.assert_allclose(ends["sharpness_ratio"], ends["balance_price"], rtol=1e-6)
    np.testing.assert_allclose(ends["price_error"], np.abs(ends["sharpness_ratio"] / ends["balance_price"] - 1))
    white = ends["inputs"] == "white"
    np.testing.assert_allclose(ends.loc[white, "balance_price"], 1, rtol=1e-12)
    assert (ends.loc[ends["case"] == "flow_labels_coloured", "balance_price"] > 1.1).all()
    control = networks(tables["flow"], "flow_(labels|turned)_white-unbalanced")
    assert control["price_error"].median() > 0.05


@pytest.mark.parametrize("depth", [2, 3])
def test_prices_of_label_tasks_against_dense_hessians(tables, depth):
    """Balanced layers by numpy's singular vectors, I1 by its definition, the least by a search over the sphere."""
    maps, moments = label_tasks(2)
    rows = networks(tables["flow"], "flow_labels_coloured")
    rows = rows[(rows["depth"] == depth) & (rows["arrived"] == 1)].set_index("seed")
    assert len(rows)
    for seed, row in rows.iterrows():
        left, values, right = np.linalg.svd(maps[seed % 2])
        share = np.diag(values ** (1 / depth))
        weights = [share @ right, *[share] * (depth - 2), left @ share]
        least, _ = path_by_search(maps[seed % 2], depth, moments[seed % 2])
        price = spectrum_at_minimum(weights, moments[seed % 2])[-1] / least
        assert row["balance_price"] == pytest.approx(price, rel=1e-8)


@pytest.mark.parametrize("start", STARTS)
def test_runs_arrive_where_loss_and_gradient_are_small(tables, start):
    """Also recorded, as zero, of runs that diverged; the price of balance is there for those that arrived."""
    rows = networks(tables[start])
    small = (rows["excess_loss"] <= 1e-6) & (rows["gradient_norm"] <= 1e-4)
    assert rows["arrived"].tolist() == small.astype(float).tolist()
    assert 0 < rows["arrived"].mean() < 1
    if start != "catapult":
        assert (rows["balance_price"].notna() == small).all()
        assert (rows["price_error"].notna() == small).all()
    else:
        assert not {"balance_price", "price_error"} & set(rows)


@pytest.mark.parametrize("kind", ["positive", "turned", "reflected"])
@pytest.mark.parametrize("inputs", ["white", "coloured"])
def test_i6_flow_from_zero_residuals_stays_balanced(tables, kind, inputs):
    chosen = networks(tables["flow"], f"flow_{kind}_{inputs}")
    assert chosen["balance_defect1"].max() < 1e-8
    assert chosen["balance_defect2"].max() < 1e-8
    assert networks(tables["flow"], f"flow_{kind}_{inputs}-unbalanced")["balance_defect1"].min() > 0.05


def test_i6_white_inputs_and_only_these_let_the_flow_end_flattest(tables):
    """Balanced minima are flattest for white inputs; where T and Sx do not commute they need not be."""
    ends = networks(tables["flow"], "flow_(positive|turned)_.*(white|coloured)")
    assert ends["excess_loss"].abs().max() < 1e-10
    white = ends["inputs"] == "white"
    np.testing.assert_allclose(ends.loc[white, "sharpness_ratio"], 1, rtol=1e-7)
    assert (ends["sharpness_ratio"] >= 1 - 1e-9).all()
    assert ends.loc[~white, "sharpness_ratio"].max() > 1.01


def test_m1_reflected_maps_are_not_reached(tables):
    """Depth 3: the layers' negative direction stops at zero and leaves that part of T, (1/2)^2 of 2^2 + (1/2)^2."""
    ends = networks(tables["flow"], "flow_reflected_white")
    ends = ends[ends["depth"] == 3]
    assert len(ends) == 2
    np.testing.assert_allclose(ends["excess_loss"], 0.25 / 4.25, atol=1e-4)
    np.testing.assert_allclose(ends["loss"], 0.25, atol=5e-4)
    coloured = networks(tables["flow"], "flow_reflected_coloured")
    assert coloured.loc[coloured["depth"] == 3, "excess_loss"].min() > 1e-3


def test_m1_zero_residuals_end_flattest_at_every_stable_step(tables):
    """Symmetric positive T and white inputs: ratio 1 to 1e-5; turned maps a little above, never below."""
    positive = networks(tables["residual"], "residual_positive_white")
    stable = positive["setting"].isin(STABLE)
    np.testing.assert_allclose(positive.loc[stable, "sharpness_ratio"], 1, atol=1e-5)
    assert stable.sum() == 8
    turned = networks(tables["residual"], "residual_turned_white")
    ratios = turned.loc[turned["setting"].isin(STABLE), "sharpness_ratio"]
    assert ratios.between(1 - 1e-6, 1.05).all()


@pytest.mark.parametrize("start", ["residual", "default", "catapult"])
def test_i7_runs_settle_only_where_they_are_stable(tables, start):
    """Networks that reached a minimum have lambda_max <= 2 / eta; none does above 2 / (least sharpness)."""
    ends = networks(tables[start], f"{start}_[a-z]*_[a-z]*")
    ends = ends[(ends["excess_loss"].abs() < SETTLED)]
    assert len(ends) >= 20
    assert (ends["sharpness"] <= 1.001 * ends["stability_limit"]).all()
    assert (ends["sharpness"] >= ends["minimal_sharpness"] * (1 - 1e-4)).all()
    assert ends["setting"].max() < 1


def test_catapults_start_sharp_and_land_below_the_limit(tables):
    """Ten times the least sharpness is stable at the first step, whose limit is twenty, but not at the next."""
    starts = networks(tables["catapult"], "catapult_start_.*").assign(part="start")
    ends = networks(tables["catapult"], "catapult_[a-z]*_(white|coloured)").assign(part="end")
    first, second = (starts["setting"] == fraction for fraction in (0.05, 0.2))
    np.testing.assert_allclose(starts.loc[first, "sharpness_ratio"], 10, rtol=1e-9)
    assert starts.loc[first, "excess_loss"].abs().max() < 1e-12
    assert (starts.loc[first, "stability_limit"] / starts.loc[first, "minimal_sharpness"]).to_numpy() == pytest.approx(
        20
    )
    stayed = ends.loc[ends["setting"] == 0.05, "sharpness_ratio"]
    assert stayed.between(8.5, 11.5).all()
    assert not np.allclose(stayed, 10, rtol=1e-6)
    landed = ends[(ends["setting"] == 0.2) & (ends["excess_loss"].abs() < SETTLED)]
    assert len(landed) >= 12
    assert (starts.loc[second, "sharpness_ratio"] > 5).all()
    assert (landed["sharpness_ratio"] <= 5.001).all()


def test_each_step_of_a_catapult_starts_where_the_last_one_ended(tables):
    """The same sharpness, and no network where the last run diverged."""
    starts = networks(tables["catapult"], "catapult_start_.*").set_index(["map", "inputs", "depth", "seed"])
    ends = networks(tables["catapult"], "catapult_[a-z]*_(white|coloured)").set_index(
        ["map", "inputs", "depth", "seed"]
    )
    for before, after in pairwise([0.05, 0.2, 0.9]):
        ended = ends.loc[ends["setting"] == before, ["sharpness", "balance_defect1", "diverged"]]
        begun = starts.loc[starts["setting"] == after, ["sharpness", "balance_defect1", "diverged"]]
        np.testing.assert_allclose(begun.loc[ended.index], ended, rtol=1e-9)


@pytest.mark.parametrize("start", STARTS)
def test_diverged_runs_stay_without_values(tables, start):
    """NaN in all statistics but `diverged` and `arrived`, of which none is missing; the others' values are there."""
    rows = tables[start].fillna({"setting": 0.0})
    assert rows.loc[rows["statistic"] == "arrived", "value"].notna().all()
    rows = rows[~rows["statistic"].isin(["stability_limit", "arrived", "balance_price", "price_error"])]
    diverged = rows[rows["statistic"] == "diverged"].set_index(KEYS)["value"]
    assert set(diverged) <= {0.0, 1.0}
    others = rows[rows["statistic"] != "diverged"].set_index(KEYS)
    assert set(others.index) == set(diverged.index)
    np.testing.assert_array_equal(others["value"].isna(), diverged[others.index] == 1)
    counts = others.groupby([*KEYS, "statistic"])["value"].size().unstack()
    assert (counts.groupby("depth").nunique(dropna=False) == 1).all(axis=None)
    if start in ("residual", "default"):
        diverged = diverged[diverged.index.get_level_values("map") != "labels"]
        diverged = diverged[diverged.index.get_level_values("control") == ""]
        far = diverged[diverged.index.get_level_values("setting") == FAR_OFF]
        assert len(far) == 2 * 12
        assert far.mean() > 0.9
        assert (diverged[diverged.index.get_level_values("setting") == 0.1] == 0).all()


def test_where_all_runs_diverge_only_that_is_left():
    table = converge("theory", "default", settings_of(step_sizes=[50.0], depths=[2], steps=100))
    assert set(table["statistic"]) == {"diverged", "arrived"}
    assert len(table) == 2 * 16
    assert (table["value"] == (table["statistic"] == "diverged")).all()


@pytest.mark.parametrize("start", ["flow", "residual"])
def test_controls_compute_the_same_functions(tables, start):
    """The same loss to rounding, the same problem, but unbalanced layers and, with that, sharper minima."""
    whole = networks(tables[start])
    control = whole["control"] == "unbalanced"
    runs, controls = whole[~control].reset_index(), whole[control].reset_index()
    controls["control"] = ""
    runs, controls = (frame.set_index(KEYS).sort_index() for frame in (runs, controls))
    assert runs.index.equals(controls.index)
    energy = 1 + runs["loss"].abs()
    assert ((runs["loss"] - controls["loss"]).abs() <= 1e-9 * energy)[runs["diverged"] == 0].all()
    np.testing.assert_array_equal(runs["minimal_sharpness"], controls["minimal_sharpness"])
    np.testing.assert_array_equal(runs["diverged"], controls["diverged"])
    settled = runs["excess_loss"].abs() < SETTLED
    assert settled.sum() >= 10
    assert (controls["sharpness"] / runs["sharpness"])[settled].median() > 1.5
    assert (controls["balance_defect1"] > 1.5 * runs["balance_defect1"])[settled].mean() > 0.8


def test_rows_are_labelled(tables):
    """No two rows of one network; step sizes in units of 2 / (least sharpness); kinds of maps and inputs."""
    kinds = ("positive", "turned", "reflected", "labels")
    for start, table in tables.items():
        chosen = kinds[:3] if start == "catapult" else kinds
        tasks = {f"{kind}_{inputs}" for kind in chosen for inputs in ("white", "coloured")}
        extra = ["setting"] if start == "catapult" else []
        assert not table.duplicated(["case", "control", "depth", "seed", "statistic", "layer", *extra]).any()
        assert set(table["map"] + "_" + table["inputs"]) == tasks
        parts = {"catapult", "catapult_start"} if start == "catapult" else {start}
        names = {f"{part}_{task}" for part in parts for task in tasks}
        controls = {"", "unbalanced"} if start in ("flow", "residual") else {""}
        assert all(set(rows["control"]) == controls for _, rows in table.groupby("case"))
        assert set(table["case"]) == names
        assert set(table["start"]) == {start}
        if start != "flow":
            rows = table[(table["statistic"] == "minimal_sharpness") & table["value"].notna()]
            np.testing.assert_allclose(rows["step_size"], rows["setting"] * 2 / rows["value"], rtol=1e-12)


def test_all_starts_have_the_same_problems(tables):
    """Least sharpnesses by kind and depth; other depths and kinds have others."""
    values = {
        start: {
            key: sorted(set(group["value"].dropna()))
            for key, group in table[table["statistic"] == "minimal_sharpness"].groupby(["map", "inputs", "depth"])
        }
        for start, table in tables.items()
    }
    for value in values.values():
        assert value == {key: values["flow"][key] for key in value}
    coloured = [value for (_, inputs, _), found in values["flow"].items() if inputs == "coloured" for value in found]
    assert len(coloured) == len(set(coloured)) == 4 * 2 * 2


def test_runs_of_one_problem_start_at_the_same_weights():
    """Steps that are nearly nothing end where they start, whatever their size; other problems start elsewhere."""
    table = converge("theory", "default", settings_of(step_sizes=[1e-9, 2e-9], depths=[2], steps=30))
    ends = table[(table["statistic"] == "path_cosine") & (table["control"] == "")]
    ends = ends.sort_values(["map", "inputs", "seed"])["value"].to_numpy()
    np.testing.assert_allclose(ends[::2], ends[1::2], rtol=1e-5)
    assert len(set(ends[::2].round(4))) == 16


def test_runs_repeat_and_depend_on_the_study():
    small = settings_of(depths=[2], instances=1, steps=30, growing_steps=[0.05, 0.2])
    for start in ("default", "catapult"):
        one, same, other = (converge(study, start, small) for study in ("theory", "theory", "other"))
        assert one.equals(same)
        assert not np.array_equal(one["value"], other["value"], equal_nan=True)


def test_kicks_have_the_length_asked_for():
    """One unit a layer: each weight moves by a hundredth of itself, so T moves by (1 +- 0.01)^2 or 1 - 0.01^2."""
    settings = settings_of(size=1, spread=1.0, depths=[2], instances=9, steps=1, growing_steps=[1e-9], kick=0.01)
    losses = networks(converge("theory", "catapult", settings), "catapult_[a-z]*_(white|coloured)")["excess_loss"]
    possible = np.array([0.0201, -0.0199, -0.0001]) ** 2
    errors = np.abs(losses.to_numpy()[:, None] - possible)
    assert errors.min(1).max() < 1e-8
    assert set(errors.argmin(1)) == {0, 1, 2}


def test_gradients_are_relative_to_the_first_and_steps_are_counted():
    ends = converge("theory", "residual", settings_of(depths=[2], steps=1, step_sizes=[1e-9]))
    np.testing.assert_allclose(ends.loc[ends["statistic"] == "gradient_norm", "value"][:12], 1, rtol=1e-6)
    assert set(ends["step"]) == {1}


def test_runs_stop_when_their_gradient_is_small(tables):
    ends = tables["residual"][tables["residual"]["control"] == ""]
    norms = ends[(ends["statistic"] == "gradient_norm") & (ends["setting"].isin(STABLE)) & (ends["step"] < 1500)]
    assert len(norms) >= 20
    assert norms["value"].between(0, 1e-6).all()
    assert norms["step"].between(20, 1480).all()
