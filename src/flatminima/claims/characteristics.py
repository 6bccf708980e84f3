"""Size and power of a predicate: how often it is wrong on populations planted with and without the property.

A population has the cases, seeds and spread of the run. Its units are residuals of the run's own units from their
means, drawn again from all cases of a criterion together, around a planted effect: the bound of the criterion, where
the property is just absent, or the smallest effect worth naming beyond it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.stats import binom

from flatminima.claims.findings import Case, Finding
from flatminima.claims.intervals import Array, mean_intervals, share_interval
from flatminima.claims.ledger import Claim, Criterion
from flatminima.claims.results import Characteristics

POPULATIONS = 1000
LARGEST_SIZE, LEAST_POWER = 0.05, 0.80
CASE_SIZE = 0.05
"""Rate at which a case without the property may hold: one end of a 95 % interval is passed in one of forty where units
are normal, and more often where five units are skew."""
ROUNDING = 1e-9
"""Least spread of planted units, relative to what they are put to: units that are all equal cannot sit on a bound."""
SEED = 2020

Holds = npt.NDArray[np.bool_]


def beyond_chance(holding: int | npt.NDArray[np.int_], cases: int) -> npt.NDArray[np.bool_]:
    """Whether `holding` cases hold together less often than once in twenty where none has the property."""
    result: npt.NDArray[np.bool_] = np.asarray(binom.sf(np.asarray(holding) - 1, cases, CASE_SIZE) < LARGEST_SIZE)
    return result


def characteristics(claim: Claim, cases: Sequence[Case]) -> Characteristics | None:
    """Size and power of a claim's predicate on its counted cases; None where none of them was decided."""
    decided = [case for case in cases if case.holds is not None]
    numbers = sorted({finding.criterion for case in decided for finding in case.findings})
    if not numbers:
        return None
    random = np.random.default_rng(SEED)
    pools = {number: _pool(_findings(decided, number)) for number in numbers}
    sizes = {}
    for number in numbers:
        criterion = claim.criteria[number]
        planted = [_holds(criterion, f, pools[number], False, random) for f in _findings(decided, number)]
        sizes[number] = int(_accepted(planted).sum())
    worst = max(sizes, key=lambda number: sizes[number])
    present = [
        np.logical_and.reduce(
            [_holds(claim.criteria[f.criterion], f, pools[f.criterion], True, random) for f in case.findings]
        )
        for case in decided
    ]
    size, power = (share_interval(count, POPULATIONS) for count in (sizes[worst], int(_accepted(present).sum())))
    return Characteristics(
        populations=POPULATIONS,
        size=size,
        power=power,
        criterion=claim.criteria[worst].name,
        sound=size.value <= LARGEST_SIZE and power.value >= LEAST_POWER,
    )


def _findings(cases: Sequence[Case], number: int) -> list[Finding]:
    return [finding for case in cases for finding in case.findings if finding.criterion == number]


def _pool(findings: Sequence[Finding]) -> Array:
    """Residuals of all units from the mean of their case, on the scale of its standard deviation."""
    residuals = []
    for found in findings:
        values, units = np.asarray(found.by_unit), found.units
        spread = values.std(ddof=1) if units > 1 else 0.0
        if spread > 0:
            residuals.append((values - values.mean()) / spread * np.sqrt(units / (units - 1)))
    return np.concatenate(residuals) if residuals else np.array([-1.0, 1.0])


def _accepted(holds: Sequence[Holds]) -> Holds:
    """Mask of the populations that come out REPRODUCED or PARTIAL."""
    holding = np.sum(holds, axis=0)
    result: Holds = (holding == len(holds)) | beyond_chance(holding, len(holds))
    return result


def _holds(criterion: Criterion, found: Finding, pool: Array, present: bool, random: Generator) -> Holds:
    """Whether the criterion holds in one case of every population."""
    smallest = criterion.smallest or 0.0
    if criterion.share is not None:
        return _share_holds(criterion.share, smallest, found.units, present, random)
    bound = criterion.at_least if criterion.at_most is None else criterion.at_most
    inwards = smallest if criterion.at_most is None else -smallest
    spread = max(float(np.std(found.by_unit, ddof=1)), ROUNDING * max(abs(bound or 0.0), smallest))
    units = random.choice(pool, (POPULATIONS, found.units)) * spread
    _, low, high = mean_intervals(units + (bound or 0.0) + present * inwards)
    result: Holds = (low >= criterion.low) & (high <= criterion.high)
    return result


def _share_holds(asked: float, smallest: float, units: int, present: bool, random: Generator) -> Holds:
    """Shares short of what is asked by the smallest effect, or beyond it by as much."""
    share = min(asked + smallest, 1.0) if present else asked - smallest
    counts = random.binomial(units, share, POPULATIONS)
    if asked == 1:
        return np.asarray(counts == units)
    holds = np.array([share_interval(count, units).low >= asked for count in range(units + 1)])
    return np.asarray(holds[counts])
