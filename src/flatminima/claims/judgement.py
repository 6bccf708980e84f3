"""What a judgement holds, as JSON keeps it: criteria in words, cases with their findings, and the one that decides."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flatminima.claims.cases import Case, Finding
from flatminima.claims.ledger import COUNTED, Claim, Class, Condition, Criterion


def decisive_record(claim: Claim, cases: Sequence[Case], spoken: Sequence[int]) -> dict[str, Any] | None:
    """The finding with the least to spare among those that decide the verdict; where some refute, among these."""
    counted = [case for case in cases if case.counted and case.class_ in COUNTED]
    against = [case for case in counted if claim.universal and case.refutes]
    deciding = against or counted or [case for case in cases if case.class_ is Class.THEOREM] or list(cases)
    found = [(case, f) for case in deciding for f in case.findings if f.effect is not None]
    if not found:
        return None
    case, finding = min(found, key=lambda pair: _to_spare(claim.criteria[pair[1].criterion], pair[1]))
    place = {"experiment": case.experiment, "depth": case.depth, "step": case.step, "cases": len(deciding)}
    name = claim.criteria[finding.criterion].name
    return place | {"name": name, "share": _is_share(claim, case, finding)} | _finding(finding, spoken)


def _is_share(claim: Claim, case: Case, finding: Finding) -> bool:
    """Whether the effect is the share of units within the range."""
    return claim.criteria[finding.criterion].share is not None or case.class_ not in COUNTED


def _to_spare(criterion: Criterion, finding: Finding) -> float:
    """How far the interval is inside the range, in units of the smallest effect worth naming."""
    low, high = (finding.effect if end is None else end for end in (finding.low, finding.high))
    if criterion.share is not None or criterion.smallest is None or low is None or high is None:
        return finding.effect or 0.0
    rooms = [low - criterion.at_least] if criterion.at_least is not None else []
    rooms += [criterion.at_most - high] if criterion.at_most is not None else []
    return min(rooms) / criterion.smallest


def case_record(case: Case, spoken: Sequence[int]) -> dict[str, Any]:
    """One case; findings name their criterion by its place among those spoken of."""
    return {
        "experiment": case.experiment,
        "depth": case.depth,
        "step": case.step,
        "class": str(case.class_),
        "counted": case.counted,
        "holds": case.holds,
        "findings": [_finding(finding, spoken) for finding in case.findings],
    }


def _finding(finding: Finding, spoken: Sequence[int]) -> dict[str, Any]:
    """A finding with the number of units in place of their values; what JSON cannot hold becomes None."""
    kept = {key: value for key, value in vars(finding).items() if key not in ("units", "refutes")}
    numbers = {key: _finite(kept[key]) for key in ("effect", "low", "high", "worst")}
    return kept | numbers | {"criterion": spoken.index(finding.criterion), "units": len(finding.units)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def control_record(criterion: Criterion, controls: Sequence[Case], broken: str | None) -> dict[str, Any] | None:
    """The control of one criterion, and why it proves nothing where it does not fail as it must."""
    if criterion.control is None:
        return None
    return {
        "description": criterion.control.description,
        "condition": _conditions(criterion.control.where) if criterion.control.where is not None else None,
        "fails": broken is None,
        "broken": broken,
        "cases": [case_record(case, [finding.criterion for finding in case.findings]) for case in controls],
    }


def criterion_record(claim: Claim, criterion: Criterion) -> dict[str, Any]:
    """One criterion in words."""
    class_ = claim.class_of(criterion)
    share = criterion.share is not None or class_ not in COUNTED
    asked = criterion.share or 1.0
    of_units = "in every instance" if asked == 1 else f"in at least {asked:.0%} of the instances"
    bounds = [f"at least {criterion.at_least:.12g}"] if criterion.at_least is not None else []
    bounds += [f"at most {criterion.at_most:.12g}"] if criterion.at_most is not None else []
    subject = "" if share else "95 % interval of the mean over seeds or instances "
    return {
        "name": criterion.name,
        "class": str(class_),
        "statistic": _quantity(criterion),
        "predicate": f"{subject}{' and '.join(bounds)}{f', {of_units}' if share else ''}",
        "share": share,
        "smallest": criterion.smallest,
        "condition": _conditions(criterion.where) or None,
    }


def _quantity(criterion: Criterion) -> str:
    name = criterion.statistic if criterion.relative_to is None else f"{criterion.statistic} / {criterion.relative_to}"
    name = f"deviation of {name}" if criterion.deviation else name
    if criterion.against:
        name = f"{name}: least of the nulls {', '.join(criterion.against)}, less the network's"
    if criterion.minus is not None:
        name = f"{name}; less that of {criterion.minus}"
    if criterion.contrast is not None:
        name = f"{name}; at the largest {criterion.contrast} of a seed, less that at its least"
    return name


def _conditions(where: Sequence[Condition]) -> str:
    parts = []
    for condition in where:
        bounds = [f"at least {condition.at_least:.12g}"] if condition.at_least is not None else []
        bounds += [f"at most {condition.at_most:.12g}"] if condition.at_most is not None else []
        parts.append(f"{condition.statistic} {' and '.join(bounds)}")
    return " and ".join(parts)
