"""What figures are told of claims is what verdicts take: the same networks, values and cases."""

import numpy as np
import pandas as pd
import pytest
from judged import claim, criterion, judged_by, network, table

from flatminima.claims.ledger import Ledger
from flatminima.errors import UserError
from flatminima.figures.claimed import Claimed

AT_MINIMUM = [{"statistic": "excess_loss", "at_most": 0.02}]
NOT_FLAT = [*AT_MINIMUM, {"statistic": "sharpness_ratio", "at_least": 1.1}]
ASKED = criterion(
    statistic="path_gain",
    deviation=True,
    contrast="sharpness_ratio",
    at_least=0.01,
    at_most=None,
    where=AT_MINIMUM,
    control={"description": "sharp ones", "where": NOT_FLAT, "settings": {"at_most": 0.2}},
)
SHAPES = [  # step, gain, ratio, excess loss, whether diverged
    (0.1, 0.5, 1.5, 0.0, False),
    (0.5, 0.8, 1.2, 0.03, False),
    (0.9, 0.9, 1.05, 0.0, False),
    (4.0, 1.0, 1.0, 0.0, True),
]
ROWS = [
    network("linear", seed=k, setting=at, path_gain=[gain], sharpness_ratio=sharp, excess_loss=loss, diverged=lost)
    for k in range(5)
    for at, gain, sharp, loss, lost in SHAPES
]


def claimed(*claims, rows=ROWS):
    return Claimed(Ledger.model_validate({"claims": list(claims)}), table(*rows))


def test_networks_are_those_of_the_criterion_and_of_its_control():
    """Step .5 is away from a minimum, 4 diverged; the control takes small steps alone, where no minimum is flat."""
    found = claimed(claim(ASKED, id="M4")).networks("M4", "path_gain")
    assert list(found.columns) == [
        *("criterion", "as_control", "case", "control", "depth", "setting", "seed", "task"),
        *("initialisation", "value", "dose", "diverged", "counted"),
    ]
    own, control = found[~found["as_control"]], found[found["as_control"]]
    counts = own.groupby("setting")[["counted", "diverged"]].sum()
    assert counts.to_numpy().tolist() == [[5, 0], [0, 0], [5, 0], [0, 5]]
    counted = own[own["counted"]]
    np.testing.assert_allclose(counted["value"], -np.log(counted["dose"].map({1.5: 0.5, 1.05: 0.9})))
    assert set(control["setting"]) == {0.1}
    assert control["counted"].all()


def test_networks_and_cases_give_the_numbers_of_the_verdict():
    asked = claim(ASKED, id="M4")
    source = claimed(asked)
    (judged,) = judged_by(source.measures, asked)
    (finding,) = judged["cases"][0]["findings"]
    found = source.networks("M4", "path_gain")
    own = found[~found["as_control"]]
    assert finding["diverged"] == own["diverged"].sum()
    assert finding["excluded"] == (~own["counted"] & ~own["diverged"]).sum()
    assert finding["effect"] == pytest.approx(np.log(0.9 / 0.5))
    (case,) = source.cases("M4")
    assert case.findings[0].effect == finding["effect"]
    (elsewhere,) = source.controls("M4", 0)
    assert judged["criteria"][0]["control"]["cases"][0]["findings"][0]["units"] == elsewhere.findings[0].units


def test_criteria_of_another_statistic_and_of_other_experiments_give_no_rows():
    source = claimed(claim(criterion(statistic="sharpness_ratio", cases=["relu"]), id="M4"))
    found = source.networks("M4", "path_gain")
    assert found.empty
    assert found.dtypes.equals(claimed(claim(ASKED, id="M4")).networks("M4", "path_gain").dtypes)


def test_steps_are_missing_where_none_were_taken():
    rows = [network("linear", seed=s, setting=np.nan, sharpness_ratio=1.0) for s in range(5)]
    asked = claim(criterion(control={"description": "d", "controls": ["unbalanced"]}), id="M1")
    assert claimed(asked, rows=rows).networks("M1", "sharpness_ratio")["setting"].isna().all()


def test_a_claim_that_is_not_in_the_ledger_is_named():
    with pytest.raises(UserError, match=r"claim M9: not in the ledger.*workflow/claims\.yaml"):
        claimed(claim(ASKED, id="M4")).cases("M9")


def test_nothing_is_computed_before_it_is_asked_for():
    source = Claimed(Ledger.model_validate({"claims": [claim(ASKED)]}), pd.DataFrame())
    assert "all_networks" not in vars(source)
