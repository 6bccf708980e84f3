"""Cases of a claim: one case of one shape under one condition, with what every criterion finds there."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from flatminima.claims.effects import Array, Units, best_setting, measured, units_of
from flatminima.claims.findings import Case, Finding
from flatminima.claims.intervals import mean_interval, share_interval
from flatminima.claims.ledger import COUNTED, Claim, Class, Criterion
from flatminima.claims.networks import Networks, Place

FEWEST = 5
"""Number of seeds or instances below which a case that can fail is not decided."""


def cases_of(claim: Claim, networks: Networks) -> list[Case]:
    """All cases of a claim in a study, those that decide its verdict first."""
    found: dict[tuple[Class, Place, float | None], tuple[bool, list[Finding]]] = {}
    for number, criterion in enumerate(claim.criteria):
        class_ = claim.class_of(criterion)
        for place in places_of(criterion, networks):
            for setting, counted, finding in _findings(number, criterion, class_, place, networks):
                found.setdefault((class_, place, setting), (counted, []))[1].append(finding)
    cases = [_case(*key, counted, findings) for key, (counted, findings) in found.items()]
    return sorted(cases, key=lambda case: not case.counted)


def controls_of(criterion: Criterion, class_: Class, networks: Networks) -> list[Case]:
    """The cases of one criterion on its control, under the conditions under which it counts."""
    return [
        _case(class_, place, setting, False, [finding])
        for place in control_places(criterion, networks)
        for setting, counted, finding in _findings(0, criterion.on_control(), class_, place, networks)
        if counted or (criterion.control and criterion.control.settings)
    ]


def places_of(criterion: Criterion, networks: Networks) -> list[Place]:
    """The places of the cases that a criterion speaks of, where its statistic was measured."""
    own = [place for place in networks if not place.control and criterion.speaks_of(place.case)]
    return [place for place in own if measured(criterion, networks[place])]


def control_places(criterion: Criterion, networks: Networks) -> list[Place]:
    """The places of a criterion's control, where its statistic was measured; none if it has no control."""
    asked = criterion.controls_of({place.case for place in networks if not place.control})
    return [p for p in networks if (p.case, p.control) in asked and measured(criterion, networks[p])]


def finding(number: int, criterion: Criterion, class_: Class, units: Units) -> Finding:
    """Decide one criterion on its units: all in range for a theorem, by interval for what can fail.

    Args:
        number: its place among the criteria of the claim.
        criterion: what is asked.
        class_: that of the criterion.
        units: the units of one case.
    """
    values, by_share = units.values, criterion.share is not None or class_ not in COUNTED
    decided = _Decided()
    if len(values):
        fewest = FEWEST if class_ in COUNTED else 1
        decided = _share(criterion, values, fewest) if by_share else _mean(criterion, values)
    return Finding(
        criterion=number,
        by_unit=tuple(values.tolist()),
        units=len(values),
        **decided._asdict(),
        worst=float(values[_outside(criterion, values).argmax()]) if len(values) else None,
        diverged=units.diverged,
        excluded=units.excluded,
    )


class _Decided(NamedTuple):
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    holds: bool | None = None
    refutes: bool = False


def _share(criterion: Criterion, values: Array, fewest: int) -> _Decided:
    """Whether enough of the values are within the range."""
    asked = criterion.share or 1.0
    within = int(((values >= criterion.low) & (values <= criterion.high)).sum())
    share = share_interval(within, len(values))
    holds = within == len(values) if asked == 1 else share.low >= asked
    return _Decided(*share, holds if len(values) >= fewest else None, share.high < asked)


def _mean(criterion: Criterion, values: Array) -> _Decided:
    """Whether the interval of the mean is within the range."""
    if len(values) < FEWEST:
        return _Decided(float(values.mean()))
    mean = mean_interval(values)
    holds = mean.low >= criterion.low and mean.high <= criterion.high
    return _Decided(*mean, holds, mean.high < criterion.low or mean.low > criterion.high)


def _outside(criterion: Criterion, values: Array) -> Array:
    """Distance of each value from the range of a criterion; below zero inside."""
    outside: Array = np.maximum(criterion.low - values, values - criterion.high)
    return outside


def _findings(
    number: int, criterion: Criterion, class_: Class, place: Place, networks: Networks
) -> Iterator[tuple[float | None, bool, Finding]]:
    """Setting, whether it counts, and finding."""
    trained = networks.get(place._replace(control=""))
    best = criterion.condition == "best" and trained is not None
    chosen = best_setting(trained) if best and trained is not None else None
    for setting, units in units_of(criterion, place, networks, pooled=class_ not in COUNTED).items():
        counted = class_ is not Class.SYMMETRY and (not best or setting is None or setting == chosen)
        yield setting, counted, finding(number, criterion, class_, units)


def _case(class_: Class, place: Place, setting: float | None, counted: bool, findings: list[Finding]) -> Case:
    return Case(class_=class_, **place._asdict(), setting=setting, counted=counted, findings=findings)
