"""Cases: one experiment at one depth under one condition, with what every criterion finds there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flatminima.claims.effects import Array, Shapes, Units, best_step, measured, root, units_of
from flatminima.claims.intervals import mean_interval, share_interval
from flatminima.claims.ledger import COUNTED, Claim, Class, Control, Criterion

FEWEST = 5
"""Seeds or instances below which a case that can fail is not decided."""


@dataclass(frozen=True)
class Finding:
    """One criterion in one case.

    Attributes:
        criterion: its number in the claim.
        units: seeds or instances with a value, one value each; shape (units,).
        effect, low, high: mean over units or share of them within the range, and its 95 % interval; None without units.
        worst: the unit's value nearest to failing, or farthest out; None without units.
        holds: None where it cannot be decided.
        refutes: whether the interval lies wholly outside what is asked.
        diverged, excluded: networks left out.
    """

    criterion: int
    units: Array
    effect: float | None
    low: float | None
    high: float | None
    worst: float | None
    holds: bool | None
    refutes: bool
    diverged: int
    excluded: int


@dataclass(frozen=True)
class Case:
    """What all criteria of a claim find in one experiment at one depth under one condition.

    Attributes:
        step: the step fraction, or what stands in that column; None for all.
        counted: whether it decides the verdict.
    """

    class_: Class
    experiment: str
    depth: int
    step: float | None
    counted: bool
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool | None:
        """Whether all criteria hold; None where none fails and some cannot be decided."""
        answers = [finding.holds for finding in self.findings]
        return False if False in answers else None if None in answers else True

    @property
    def refutes(self) -> bool:
        """Whether some criterion's interval lies wholly outside what is asked."""
        return any(finding.refutes for finding in self.findings)


def cases_of(claim: Claim, shapes: Shapes) -> list[Case]:
    """All cases of a claim in a study, those that decide its verdict first."""
    found: dict[tuple[Class, str, int, float | None], tuple[bool, list[Finding]]] = {}
    for number, criterion in enumerate(claim.criteria):
        class_ = claim.class_of(criterion)
        for experiment, depth in places_of(criterion, shapes):
            for step, counted, finding in _findings(number, criterion, class_, experiment, depth, shapes):
                found.setdefault((class_, experiment, depth, step), (counted, []))[1].append(finding)
    cases = [Case(*key, counted, tuple(findings)) for key, (counted, findings) in found.items()]
    return sorted(cases, key=lambda case: not case.counted)


def controls_of(number: int, claim: Claim, shapes: Shapes) -> list[Case]:
    """The cases of one criterion on its control, under the conditions under which it counts."""
    criterion = claim.criteria[number]
    control, class_ = criterion.control, claim.class_of(criterion)
    if control is None:
        return []
    elsewhere = on_control(criterion, control, shapes)
    return [
        Case(class_, experiment, depth, step, False, (finding,))
        for experiment, depth in places_of(elsewhere, shapes)
        for step, counted, finding in _findings(number, elsewhere, class_, experiment, depth, shapes)
        if counted or control.steps is not None
    ]


def places_of(criterion: Criterion, shapes: Shapes) -> list[tuple[str, int]]:
    """The experiments and depths that a criterion speaks of and where its statistic was measured."""
    return [
        (experiment, depth)
        for experiment, depth in shapes
        if experiment in criterion.experiments and measured(criterion, experiment, depth, shapes)
    ]


def on_control(criterion: Criterion, control: Control, shapes: Shapes) -> Criterion:
    """A criterion as it is asked of its control: of other experiments of the study, networks or step sizes."""
    present = {experiment for experiment, _ in shapes}
    names = sorted({name for own in criterion.experiments if own in present for name in control.of(own)})
    where = criterion.where if control.where is None else control.where
    asked = {"experiments": names, "where": where, "steps": control.steps or criterion.steps}
    return criterion.model_copy(update=asked)


def _findings(
    number: int, criterion: Criterion, class_: Class, experiment: str, depth: int, shapes: Shapes
) -> Iterator[tuple[float | None, bool, Finding]]:
    """Condition, whether it counts, and finding."""
    best = criterion.condition == "best" and (root(experiment), depth) in shapes
    chosen = best_step(experiment, depth, shapes) if best else None
    for step, units in units_of(criterion, experiment, depth, shapes, pooled=class_ not in COUNTED).items():
        counted = class_ is not Class.SYMMETRY and (not best or step is None or step == chosen)
        yield step, counted, finding(number, criterion, class_, units)


def finding(number: int, criterion: Criterion, class_: Class, units: Units) -> Finding:
    """Decide one criterion on its units: all in range for a theorem, by interval for what can fail."""
    low = -np.inf if criterion.at_least is None else criterion.at_least
    high = np.inf if criterion.at_most is None else criterion.at_most
    values, enough = units.values, FEWEST if class_ in COUNTED else 1
    rest = {"diverged": units.diverged, "excluded": units.excluded}
    if not len(values):
        return Finding(number, values, None, None, None, None, None, False, **rest)
    worst = float(values[np.maximum(low - values, values - high).argmax()])
    if criterion.share is not None or class_ not in COUNTED:
        asked = criterion.share or 1.0
        within = int(((values >= low) & (values <= high)).sum())
        share = share_interval(within, len(values))
        holds, refutes = (within == len(values) if asked == 1 else share.low >= asked), share.high < asked
        return Finding(number, values, *share, worst, holds if len(values) >= enough else None, refutes, **rest)
    if len(values) < max(enough, 2):
        return Finding(number, values, float(values.mean()), None, None, worst, None, False, **rest)
    mean = mean_interval(values)
    holds, refutes = mean.low >= low and mean.high <= high, mean.high < low or mean.low > high
    return Finding(number, values, *mean, worst, holds, refutes, **rest)
