"""Size and power of predicates, against the laws of Student's t."""

import numpy as np
import pytest
from judged import claim, criterion
from numpy.random import default_rng
from scipy.stats import binom, nct, t

from flatminima.claims.cases import finding
from flatminima.claims.characteristics import beyond_chance, characteristics
from flatminima.claims.effects import Units
from flatminima.claims.findings import Case
from flatminima.claims.ledger import Class, Ledger


def judged(cases, **changes):
    """Characteristics of a claim of one criterion on cases of given units."""
    (asked,) = Ledger.model_validate({"claims": [claim(criterion(**changes))]}).claims
    found = [finding(0, asked.criteria[0], Class.MEASURED, Units(np.asarray(units), 0, 0)) for units in cases]
    place = {"case": "linear", "control": "", "shape": 2, "setting": None}
    return characteristics(
        asked, [Case(**place, class_=Class.MEASURED, counted=True, findings=(one,)) for one in found]
    )


def normal(cases, units, seed=0):
    """Normal units of standard deviation one, exactly: quantiles in random order."""
    draws = default_rng(seed).standard_normal((cases, units))
    draws -= draws.mean(1, keepdims=True)
    return draws / draws.std(1, ddof=1, keepdims=True)


@pytest.mark.parametrize("units", [5, 20, 100])
def test_one_case_has_the_size_of_one_end_of_an_interval_of_95_per_cent(units):
    """2.5 %; with 1,000 populations two standard errors are 1 %, and a pool of few residuals is not quite normal."""
    found = judged(normal(1, units), at_most=None, at_least=0.0, smallest=1.0)
    assert found.size.value == pytest.approx(0.025, abs=0.02 if units == 5 else 0.011)
    assert found.size.low <= found.size.value <= found.size.high


@pytest.mark.parametrize(("units", "effect"), [(20, 0.5), (20, 0.8), (100, 0.3), (100, 0.2)])
@pytest.mark.parametrize("side", [1, -1])
def test_the_power_of_one_case_is_that_of_the_t_test(units, effect, side):
    """The noncentral t law, at both sides of a bound."""
    bounds = {"at_least": 0.0, "at_most": None} if side == 1 else {"at_most": 0.0}
    found = judged(normal(1, units), smallest=effect, **bounds)
    expected = nct.sf(t.ppf(0.975, units - 1), units - 1, effect * np.sqrt(units))
    assert found.power.value == pytest.approx(expected, abs=0.05)
    assert 0.1 < expected < 0.99


def test_power_follows_from_the_spread_of_each_case():
    """An effect of .5 is five standard deviations of the narrow units, and a twentieth of one of the wide ones."""
    narrow = judged(0.1 * normal(3, 20), at_most=None, at_least=0.0, smallest=0.5)
    wide = judged(10 * normal(3, 20), at_most=None, at_least=0.0, smallest=0.5)
    assert narrow.power.value == 1.0
    assert wide.power.value < 0.1
    assert (narrow.sound, wide.sound) == (True, False)


def test_the_power_of_a_share():
    """Asked of all: of 8 units each within with a share of .5, all are in .5^8; with a share of one, always."""
    found = judged([np.zeros(8)], at_most=0.0, share=1.0, smallest=0.5)
    assert found.size.value == pytest.approx(0.5**8, abs=0.01)
    assert found.power.value == 1.0


def test_the_size_of_a_share_by_its_interval():
    """Short of .5 by .1, a case holds when the exact interval is above .5: so many of the units are needed."""
    units = 30
    found = judged([np.zeros(units)], at_most=0.0, share=0.5, smallest=0.1)
    needed = next(k for k in range(units + 1) if binom.sf(k - 1, units, 0.5) <= 0.025)
    assert found.size.value == pytest.approx(binom.sf(needed - 1, units, 0.4), abs=0.01)
    assert found.power.value == pytest.approx(binom.sf(needed - 1, units, 0.6), abs=0.05)


def test_nothing_is_known_where_no_case_was_decided():
    assert judged([np.zeros(3)]) is None


@pytest.mark.parametrize(("cases", "least"), [(3, 2), (9, 3), (20, 4), (49, 6)])
def test_so_many_cases_hold_by_chance_once_in_twenty(cases, least):
    """Sums of binomial terms with p = 1/20: of 20 cases four or more in 1.6 %, three or more in 7.5 %."""
    share = [1 - sum(binom.pmf(k, cases, 1 / 20) for k in range(holding)) for holding in (least - 1, least)]
    assert share[0] > 0.05 > share[1]
    assert [bool(beyond_chance(holding, cases)) for holding in (least - 1, least)] == [False, True]
