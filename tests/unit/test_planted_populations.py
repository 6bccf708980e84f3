"""Populations without the property, fed to the ledger as if trained: verdicts must come out against them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.random import default_rng

from flatminima.claims.ledger import load_ledger
from flatminima.claims.verdicts import judge
from flatminima.minima.linear import path_statistics, sharpness_statistics
from flatminima.minima.statistics import Statistic, tidy
from flatminima.networks.initialisations import named_generator
from flatminima.record import read_table
from flatminima.settings.theory import Condition
from flatminima.theory.problems import draw_problems
from flatminima.theory.sampling import Chart, flattest, of_ratio, sharpness

ROOT = Path(__file__).parents[2]
LEDGER = load_ledger(ROOT / "workflow/claims.yaml")
REFERENCE = ROOT / "results/reference"
STEPS, SEEDS, SPREAD = (0.05, 0.2, 0.5, 0.9, 0.96, 0.97), 5, 0.05
CONDITION = Condition(inputs=5, outputs=5, hidden=5, rank=5, spread=5.0, ill=1.0)


def minima(depth, ratios):
    """Rows of the case `linear`: of each seed minima of one problem, on one ray, as sharp as each step asks."""
    runs = [(seed, step) for seed in range(SEEDS) for step in STEPS]
    problems = draw_problems(CONDITION, depth, 1, default_rng(1)).select(torch.zeros(len(runs), dtype=torch.int64))
    chart = Chart.around(flattest(problems, CONDITION.rank), CONDITION.hidden)
    random = named_generator("planted", depth)
    common, own = chart.select(torch.zeros(1, dtype=torch.int64)).draw(1.0, random), chart.select(torch.arange(SEEDS))
    rays = (common + SPREAD * own.draw(1.0, random)).repeat_interleave(len(STEPS), 0)
    wanted = torch.tensor([ratios(step) for _, step in runs], dtype=torch.float64)
    weights = of_ratio(chart, problems, rays, wanted)
    labels = {"study": "planted", "case": "linear", "control": "", "family": "linear", "task": "noisy", "depth": depth}
    labels |= {"initialisation": "pytorch", "optimiser": "gradient_descent"}
    frame = pd.DataFrame(runs, columns=["seed", "setting"]).assign(step_size=0.1, step=100, final=True, **labels)
    found, zeros = sharpness(weights, problems), torch.zeros(len(runs), dtype=torch.float64)
    statistics = path_statistics(weights, problems) | sharpness_statistics(found, zeros, problems)
    at_minimum = {name: Statistic(zeros) for name in ("diverged", "loss", "excess_loss", "gradient_norm")}
    return tidy(frame, statistics | at_minimum)


def verdicts(measures):
    return {claim.id: claim.verdict for claim in judge(LEDGER, measures)}


def twice_the_least(step):
    return 2 + 0.01 * step


def falling_to_the_least(step):
    """Sharpness follows the step size, as that of trained networks does: small steps lead to sharp minima."""
    return 1.0005 if step > 0.95 else 1.3 - 0.01 * step


@pytest.mark.parametrize("claim", ["M2", "M3", "M4"])
def test_minima_at_twice_the_least_sharpness_are_not_taken_for_flat_ones(claim):
    measures = pd.concat([minima(depth, twice_the_least) for depth in (2, 3, 4, 5)], ignore_index=True)
    assert verdicts(measures)[claim] == "NOT REPRODUCED"


@pytest.mark.parametrize("claim", ["M2", "M3", "M4"])
def test_minima_that_flatten_as_the_step_grows_are(claim):
    """The same test can come out otherwise."""
    measures = pd.concat([minima(depth, falling_to_the_least) for depth in (3, 4, 5)], ignore_index=True)
    assert verdicts(measures)[claim] == "REPRODUCED"


def fed_as_trained(measures, null):
    """The table in which coupling and evenness of every trained network are those of a null made from it."""
    coupling = measures["statistic"].isin(["own_cosine", "own_gain"])
    nulls = measures[coupling & measures["control"].eq(null)].assign(control="")
    replaced = coupling & measures["control"].eq("") & measures["case"].isin(nulls["case"])
    return pd.concat([measures[~replaced], nulls], ignore_index=True)


@pytest.mark.parametrize("study", ["digits", "patches"])
@pytest.mark.parametrize("null", ["untrained_again", "permuted_again", "spectra_again"])
def test_networks_untrained_or_with_their_coupling_destroyed_are_not_taken_for_coupled_ones(study, null):
    measures = read_table(REFERENCE / study / "measures.parquet")
    assert verdicts(fed_as_trained(measures, null))["M5"] == "NOT REPRODUCED"


@pytest.mark.parametrize("study", ["digits", "patches"])
def test_networks_coupled_well_beyond_chance_are(study):
    """The same test can come out otherwise: trained networks coupled and even to the digit, their nulls as they are."""
    measures = read_table(REFERENCE / study / "measures.parquet")
    planted = fed_as_trained(measures, "spectra_again")
    trained = planted["control"] == ""
    for statistic in ("own_cosine", "own_gain"):
        planted.loc[trained & planted["statistic"].eq(statistic), "value"] = 1.0
    assert verdicts(planted)["M5"] == "REPRODUCED"
    assert np.isfinite(planted.loc[trained & planted["statistic"].eq("own_cosine"), "value"]).all()
