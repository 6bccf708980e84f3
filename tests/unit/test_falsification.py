"""Statements on all minima by their definitions, and searches that break the false ones and not the true."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from references import DTYPE, covariance, generator, partial_products, path_by_search, spectrum_at_minimum, square_root

from flatminima.minima.linear import LinearProblems
from flatminima.settings.theory import Attack, Condition
from flatminima.theory.falsification import attack, search
from flatminima.theory.inequalities import (
    FALSE,
    STATEMENTS,
    band_inequality,
    bound_inequality,
    frobenius_inequality,
    largest_term_inequality,
    path_inequality,
    separate_inequality,
    white_band_inequality,
    white_inequality,
)
from flatminima.theory.problems import draw_problems
from flatminima.theory.sampling import Chart, flattest

ROUNDING = 1e-9
TRUE = [bound_inequality, path_inequality, band_inequality]


def hand_made(seed, depth, condition=5.0):
    """A minimum of random square layers with a random Sx; T is their product."""
    rng = np.random.default_rng(seed)
    weights = [np.eye(3) + 0.4 * rng.standard_normal((3, 3)) for _ in range(depth)]
    end_to_end = weights[0]
    for weight in weights[1:]:
        end_to_end = weight @ end_to_end
    return weights, end_to_end, covariance(rng, 3, condition)


def stacked(weights):
    return [torch.from_numpy(weight)[None] for weight in weights]


def evaluate(inequality, weights, end_to_end, moment):
    """Left side / right side of a hand-made minimum."""
    depth = len(weights)
    problem = LinearProblems.of(end_to_end[None], moment[None], depth)
    least, _ = path_by_search(end_to_end, depth, moment)
    ratio = torch.tensor([spectrum_at_minimum(weights, moment)[-1] / least], dtype=DTYPE)
    return inequality(stacked(weights), problem, ratio).item()


def trials_of_the_hessian(weights, end_to_end, moment):
    """||A_k C p||^2 and ||B_k' u||^2 of theory.md I1 with M = u p', and the norms of W_k...W_1 C and B_k' u."""
    _, image = path_by_search(end_to_end, len(weights), moment)
    root, left = square_root(moment), end_to_end @ image / np.linalg.norm(end_to_end @ image)
    before, after = partial_products(weights)
    inputs = np.array([np.sum((a @ image) ** 2) for a in before])
    outputs = np.array([np.sum((b.T @ left) ** 2) for b in after])
    return inputs, outputs, np.array([np.linalg.norm(a @ root, 2) for a in before[1:]])


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_white_and_general_bounds_by_definition(seed, depth):
    weights, end_to_end, moment = hand_made(seed, depth)
    top = spectrum_at_minimum(weights, moment)[-1]
    white = 2 * depth * np.linalg.norm(end_to_end, 2) ** (2 - 2 / depth)
    assert evaluate(white_inequality, weights, end_to_end, moment) == pytest.approx(top / white, rel=1e-9)
    least, _ = path_by_search(end_to_end, depth, moment)
    assert evaluate(bound_inequality, weights, end_to_end, moment) == pytest.approx(top / least, rel=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_path_inequality_by_definition(seed, depth):
    """lambda_max / 2 is at least the operator of I1 at M = u p', sum_k ||B_k' u||^2 ||A_k C p||^2."""
    weights, end_to_end, moment = hand_made(seed, depth)
    inputs, outputs, _ = trials_of_the_hessian(weights, end_to_end, moment)
    expected = spectrum_at_minimum(weights, moment)[-1] / 2 / (inputs @ outputs)
    value = evaluate(path_inequality, weights, end_to_end, moment)
    assert value == pytest.approx(expected, rel=1e-5)
    assert value >= 1 - ROUNDING


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_band_inequality_by_definition(seed, depth):
    """The same at M = u z': ||B_{k+1}' u||^2 ||W_k...W_1 C z||^2 + ||B_1' u||^2 lambda_min(Sx) <= lambda_max / 2."""
    weights, end_to_end, moment = hand_made(seed, depth)
    _, outputs, norms = trials_of_the_hessian(weights, end_to_end, moment)
    left = spectrum_at_minimum(weights, moment)[-1] / 2 - outputs[0] * np.linalg.eigvalsh(moment)[0]
    expected = np.min(np.sqrt(left / outputs[1:]) / norms)
    value = evaluate(band_inequality, weights, end_to_end, moment)
    assert value == pytest.approx(expected, rel=1e-5)
    assert value >= 1 - ROUNDING


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_false_statements_by_definition(seed, depth):
    """Each asks for more than the true one: other norms of T and C, the largest term, white inputs' constant."""
    weights, end_to_end, moment = hand_made(seed, depth)
    root, half = square_root(moment), spectrum_at_minimum(weights, moment)[-1] / 2
    separate = np.linalg.norm(root, 2) ** (2 / depth) * np.linalg.norm(end_to_end @ root, 2) ** (2 - 2 / depth)
    frobenius = np.linalg.norm(end_to_end) ** (2 - 2 / depth)
    inputs, outputs, norms = trials_of_the_hessian(weights, end_to_end, moment)
    _, image = path_by_search(end_to_end, depth, moment)
    left = half - outputs[0] * image @ image
    allowed = np.sqrt(max(left, 0) / outputs[1:])
    expected = {
        frobenius_inequality: half / (depth * frobenius),
        separate_inequality: half / (depth * separate),
        largest_term_inequality: half / (depth * np.max(inputs * outputs)),
        white_band_inequality: np.min(allowed / norms),
    }
    for inequality, value in expected.items():
        assert evaluate(inequality, weights, end_to_end, moment) == pytest.approx(value, rel=1e-4), inequality.__name__


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("name", sorted(FALSE))
def test_searches_break_the_false_statements(name, depth):
    problems, chart = problems_of(condition_of(), 16, depth)
    assert search(FALSE[name], chart, problems, scattered(chart), 60).inequality.min() < 0.9


@pytest.mark.parametrize("depth", [2, 5])
def test_searches_come_home_from_far(depth):
    """Nine in ten come within a tenth of the bound, which is that of a search over the sphere."""
    problems, chart = problems_of(condition_of(), 32, depth)
    found = search(bound_inequality, chart, problems, scattered(chart), 60)
    assert (found.ratio < 1.1).double().mean() > 0.9
    for k in range(2):
        least, _ = path_by_search(problems.end_to_end[k].numpy(), depth, problems.input_moment[k].numpy())
        assert problems.least[k].item() == pytest.approx(least, rel=1e-9)


def widest():
    """T = diag(2, 0.01), m = 3, white inputs: a flattest minimum whose first layer is as large as I5 lets it be.

    With layers diag(g, c), diag(g, d), diag(g, 0.01 / (c d)), g^3 = 2, the largest eigenvalue off the path is
    2 (g^4 + g^2 c^2 + c^2 d^2), and equals the least one, 6 g^4, if c^2 (g^2 + d^2) = 2 g^4.
    """
    g, d = 2 ** (1 / 3), 0.1
    c = (2 * g**4 / (g**2 + d**2)) ** 0.5
    return [np.diag([g, rest]) for rest in (c, d, 0.01 / (c * d))], np.diag([2, 0.01]), np.eye(2)


def test_the_constant_of_the_band_is_approached():
    """theory.md I5: sqrt(m - 1) at a flattest minimum, to 0.4 %; a tenth less, and I5 is false."""
    weights, end_to_end, moment = widest()
    assert spectrum_at_minimum(weights, moment)[-1] == pytest.approx(6 * 2 ** (4 / 3), rel=1e-12)
    assert np.linalg.norm(weights[0], 2) / 2 ** (1 / 3) > 0.996 * 2**0.5
    assert 1 <= evaluate(band_inequality, weights, end_to_end, moment) < 1.004
    assert evaluate(narrow_band, weights, end_to_end, moment) < 0.91


def problems_of(condition, count, depth, seed=0):
    problems = draw_problems(condition, depth, count, np.random.default_rng(seed))
    return problems, Chart.around(flattest(problems, condition.rank), condition.hidden)


def scattered(chart, scale=0.7, seed=1):
    return chart.draw(scale, generator(seed))


def condition_of(**changes):
    usual = {"inputs": 3, "outputs": 3, "hidden": 3, "rank": 3, "spread": 10.0, "ill": 30.0}
    return Condition.model_validate(usual | changes)


def test_a_search_ends_at_the_bound():
    """The least sharpness, from minima half as sharp again and more, and never below; the product stays T."""
    problems, chart = problems_of(condition_of(), 12, 3)
    start = scattered(chart, 0.3)
    found, first = (search(bound_inequality, chart, problems, start, steps) for steps in (60, 1))
    assert (found.inequality >= 1 - ROUNDING).all()
    assert found.inequality.median() < 1 + 1e-9
    assert first.inequality.median() > 1.5
    assert torch.equal(found.inequality, found.ratio)
    assert found.defect.max() < 1e-12


def test_each_attempt_keeps_its_closest_approach():
    """More steps never end further away where they retrace the first; the value is that of a point on the way."""
    problems, chart = problems_of(condition_of(), 6, 2)
    start = scattered(chart)
    weights = chart.weights(start)
    first = search(path_inequality, chart, problems, start, 1)
    for k in range(6):
        moment, end_to_end = problems.input_moment[k].numpy(), problems.end_to_end[k].numpy()
        single = [weight[k].numpy() for weight in weights]
        top = spectrum_at_minimum(single, moment)[-1]
        inputs, outputs, _ = trials_of_the_hessian(single, end_to_end, moment)
        assert first.inequality[k].item() == pytest.approx(top / 2 / (inputs @ outputs), rel=1e-4)
        assert first.ratio[k].item() == pytest.approx(top / path_by_search(end_to_end, 2, moment)[0], rel=1e-9)
    assert (search(path_inequality, chart, problems, start, 40).inequality <= first.inequality).all()


def raised(_, __, ratio):
    """False: sharpness is at least 1.02 times what it can be."""
    return ratio / 1.02


def halved(_, __, ratio):
    """False: no minimum is more than twice as sharp as the flattest."""
    return 2 / ratio


def narrow_band(weights, problems, ratio):
    """False: I5 with a constant smaller by a tenth."""
    return 0.9 * band_inequality(weights, problems, ratio)


def upper_half_of_the_path(weights, problems, ratio):
    """False: the path inequality without its square."""
    return path_inequality(weights, problems, ratio**0.5)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("wrong", [raised, halved, narrow_band, upper_half_of_the_path])
def test_false_statements_are_broken(wrong, depth):
    problems, chart = problems_of(condition_of(), 12, depth)
    assert search(wrong, chart, problems, scattered(chart), 40).inequality.min() < 1 - 1e-3


@pytest.mark.parametrize("inequality", TRUE)
@pytest.mark.parametrize("factor", [0.9, 0.99])
def test_a_planted_violation_is_found(inequality, factor):
    problems, chart = problems_of(condition_of(), 8, 2)
    assert search(inequality, chart, problems, scattered(chart), 60).inequality.min() < 1 / factor


@pytest.mark.parametrize("depth", [2, 3])
def test_the_white_formula_is_broken_by_other_inputs_alone(depth):
    coloured, white = condition_of(), condition_of(ill=1.0)
    problems, chart = problems_of(coloured, 8, depth)
    assert (search(white_inequality, chart, problems, scattered(chart), 30).inequality < 0.9).any()
    problems, chart = problems_of(white, 8, depth)
    assert (search(white_inequality, chart, problems, scattered(chart), 30).inequality >= 1 - ROUNDING).all()


@settings(max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    rank=st.integers(1, 4),
    more=st.integers(0, 2),
    spread=st.sampled_from([1.0, 3.0, 100.0]),
    log_ill=st.floats(0, 8),
    depth=st.integers(2, 4),
    far=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@example((3, 3), 3, 0, 1.0, 1.5, 3, True, 1)
@example((4, 4), 2, 0, 10.0, 8.0, 2, True, 2)
@example((2, 4), 1, 2, 10.0, 8.0, 4, False, 3)
def test_true_statements_are_never_broken(shape, rank, more, spread, log_ill, depth, far, seed):
    """Unequal sides, bottlenecks, repeated top gains, maps short of full rank, Sx of condition up to 1e8."""
    outputs, inputs = shape
    rank = min(rank, outputs, inputs)
    condition = condition_of(
        inputs=inputs, outputs=outputs, hidden=rank + more, rank=rank, spread=spread, ill=10**log_ill
    )
    problems, chart = problems_of(condition, 4, depth, seed)
    start = scattered(chart, 0.7 if far else 1e-3, seed)
    for inequality in TRUE:
        found = search(inequality, chart, problems, start, 15)
        assert (found.inequality >= 1 - ROUNDING).all(), inequality.__name__
        assert found.defect.max() < 1e-9


def settings_of(**changes):
    conditions = {"square": condition_of(), "wide": condition_of(inputs=4, hidden=5), "plain": condition_of(ill=1.0)}
    values = {"conditions": conditions, "depths": [2, 3], "attempts": 6, "steps": 8, "controls": 4} | changes
    return Attack.model_validate({name: {"value": value, "source": "chosen"} for name, value in values.items()})


@pytest.fixture(scope="module")
def tables():
    return {name: attack("theory", name, settings_of()) for name in STATEMENTS}


@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_of_an_attack(tables, name):
    """One row per attempt and statistic, numbered apart within experiment and depth; half near, half far."""
    table = tables[name]
    assert not table.duplicated(["case", "control", "depth", "seed", "statistic"]).any()
    tasks = {"attack_coloured": {"square", "wide"}}.get(name, {"square", "wide", "plain"})
    assert set(table["condition"]) == tasks
    assert set(table["case"]) == {name}
    assert set(table["control"]) == {"", "planted"}
    counts = table.groupby(["control", "statistic", "condition", "depth", "start"]).size()
    every = {"diverged", "inequality_ratio", "sharpness_ratio", "product_defect"}
    keys = [("", one, start) for one in every for start in ("near", "far")] + [("", "reached", "far")]
    keys += [("planted", one, "far") for one in (*every, "reached")]
    expected = {
        (control, one, task, depth, start): 4 if control else 3
        for control, one, start in keys
        for task in tasks
        for depth in (2, 3)
    }
    assert counts.to_dict() == expected
    assert (table["layer"] == 0).all()
    assert table["value"].notna().all()
    assert table.loc[table["statistic"] == "product_defect", "value"].between(0, 1e-11).all()


@pytest.mark.parametrize("name", STATEMENTS)
def test_reached_says_which_came_close(tables, name):
    far = tables[name][tables[name]["start"] == "far"]
    values = far.pivot(index=["control", "depth", "seed"], columns="statistic", values="value")
    assert values["reached"].tolist() == (values["inequality_ratio"] <= 1.1).astype(float).tolist()


@pytest.mark.parametrize("name", STATEMENTS)
def test_controls_are_searches_of_their_own(tables, name):
    """Other problems and starts: no number of theirs is one of the true statement's."""
    table = tables[name][tables[name]["statistic"] == "sharpness_ratio"]
    control = table["control"] == "planted"
    assert not set(table.loc[control, "value"]) & set(table.loc[~control, "value"])


@pytest.mark.parametrize("name", STATEMENTS)
def test_attacks_on_true_statements_fail_and_others_succeed(name):
    """With white inputs the false neighbours of I3 and I5 are true."""
    table = attack("theory", name, settings_of(steps=60, controls=12))
    least = table[table["statistic"] == "inequality_ratio"].groupby(["control", "condition"])["value"].min()
    if name == "attack_coloured":
        assert least[""].min() < 0.9
    else:
        assert (least[""] >= 1 - ROUNDING).all()
    controls = least["planted"]
    true = controls.index.isin(["plain"] if name in ("attack_bound", "attack_band") else [])
    assert (controls[~true] < 1).all()
    assert (controls[true] >= 1 - ROUNDING).all()


def test_white_attacks_have_white_inputs(tables):
    """Sharpness over the bound and over the white formula are then one."""

    def pairs(name):
        table = tables[name][tables[name]["control"] == ""]
        return table.pivot(index=["depth", "seed"], columns="statistic", values="value")

    white, other = pairs("attack_white"), pairs("attack_coloured")
    np.testing.assert_allclose(white["inequality_ratio"], white["sharpness_ratio"], rtol=1e-9)
    assert (other["inequality_ratio"] < 0.999 * other["sharpness_ratio"]).any()


def test_near_attempts_start_near_a_flattest_minimum():
    table = attack("theory", "attack_bound", settings_of(steps=1))
    values = table[(table["control"] == "") & (table["statistic"] == "sharpness_ratio")]
    median = values.groupby("start")["value"].median()
    assert median["near"] < 1.02 < 1.5 < median["far"]


def test_attacks_repeat_and_depend_on_their_names(tables):
    again = attack("theory", "attack_path", settings_of())
    assert again.equals(tables["attack_path"])
    other = attack("other", "attack_path", settings_of())
    assert not np.array_equal(other["value"], tables["attack_path"]["value"])
