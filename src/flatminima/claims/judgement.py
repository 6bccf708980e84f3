"""Judgements in words: what a criterion asks, how its control came out, and the finding with the least to spare."""

from collections.abc import Sequence

from flatminima.claims.findings import Case, Finding
from flatminima.claims.ledger import COUNTED, Claim, Class, Criterion
from flatminima.claims.ranges import Condition
from flatminima.claims.results import Decisive, Outcome, Question


def decisive_finding(claim: Claim, cases: Sequence[Case]) -> Decisive | None:
    """The finding with the least to spare among those that decide the verdict; where some refute, among these."""
    counted = [case for case in cases if case.counted and case.class_ in COUNTED]
    against = [case for case in counted if claim.universal and case.refutes]
    deciding = against or counted or [case for case in cases if case.class_ is Class.THEOREM] or list(cases)
    found = [(case, f) for case in deciding for f in case.findings if f.effect is not None]
    if not found:
        return None
    case, finding = min(found, key=lambda pair: _to_spare(claim.criteria[pair[1].criterion], pair[1]))
    criterion = claim.criteria[finding.criterion]
    return Decisive(
        **finding.model_dump(),
        **case.model_dump(include={"case", "shape", "setting"}),
        cases=len(deciding),
        name=criterion.name,
        share=criterion.share is not None or case.class_ not in COUNTED,
    )


def _to_spare(criterion: Criterion, finding: Finding) -> float:
    """Distance of the interval from the range's ends, in units of the smallest effect worth naming."""
    low, high = (finding.effect if end is None else end for end in (finding.low, finding.high))
    if criterion.share is not None or criterion.smallest is None or low is None or high is None:
        return finding.effect or 0.0
    return min(low - criterion.low, criterion.high - high) / criterion.smallest


def outcome(criterion: Criterion, controls: list[Case], broken: str | None) -> Outcome | None:
    """Outcome of a criterion's control, and why it proves nothing where it does not fail as it must."""
    control = criterion.control
    if control is None:
        return None
    return Outcome(
        description=control.description,
        condition=_conditions(control.where) if control.where is not None else None,
        fails=broken is None,
        broken=broken,
        cases=controls,
    )


def question(claim: Claim, criterion: Criterion, control: Outcome | None) -> Question:
    """One criterion in words, with the outcome on its control."""
    class_ = claim.class_of(criterion)
    share = criterion.share is not None or class_ not in COUNTED
    asked = criterion.share or 1.0
    of_units = "in every instance" if asked == 1 else f"in at least {asked:.0%} of the instances"
    subject = "" if share else "95 % interval of the mean over seeds or instances "
    return Question(
        name=criterion.name,
        class_=class_,
        statistic=_quantity(criterion),
        predicate=f"{subject}{criterion.text}{f', {of_units}' if share else ''}",
        share=share,
        smallest=criterion.smallest,
        condition=_conditions(criterion.where) or None,
        control=control,
    )


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
    return " and ".join(f"{condition.statistic} {condition.text}" for condition in where)
