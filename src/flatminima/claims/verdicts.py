"""Verdicts computed from the measures: predicates of the ledger on the networks, and on their controls."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from flatminima.claims.cases import FEWEST, Case, Finding, cases_of, controls_of
from flatminima.claims.characteristics import Characteristics, beyond_chance, characteristics
from flatminima.claims.effects import Array, Shapes, shapes_of
from flatminima.claims.judgement import case_record, control_record, criterion_record, decisive_record
from flatminima.claims.ledger import COUNTED, Claim, Class, Ledger
from flatminima.claims.words import words


class Verdict(StrEnum):
    """What the measures say of a claim, in the words of its class."""

    REPRODUCED = "REPRODUCED"
    PARTIAL = "PARTIAL"
    NOT_REPRODUCED = "NOT REPRODUCED"
    REFUTED = "REFUTED"
    CONFIRMED = "CONFIRMED"
    REFUTED_AS_PREDICTED = "REFUTED AS PREDICTED"
    NOT_CONFIRMED = "NOT CONFIRMED"
    CHECKED = "CHECKED"
    VIOLATED = "VIOLATED"
    BY_SYMMETRY = "BY SYMMETRY"
    INCONCLUSIVE = "INCONCLUSIVE"


REFUTATIONS = {None: Verdict.REFUTED, "false": Verdict.REFUTED_AS_PREDICTED, "true": Verdict.NOT_CONFIRMED}
"""What a counterexample makes of a claim, by what was predicted of it."""


def judge(ledger: Ledger, measures: pd.DataFrame) -> list[dict[str, Any]]:
    """Judge every claim that speaks of experiments of this study, by the criteria that do.

    Args:
        ledger: the claims.
        measures: the tidy table of one study.

    Returns:
        One JSON-ready mapping per claim: its text, verdict, criteria with their controls, cases, and the size and power
        of its predicate.
    """
    shapes = shapes_of(measures)
    judged = [_judge(claim, shapes) for claim in ledger.claims]
    return [claim for claim in judged if claim is not None]


def _judge(claim: Claim, shapes: Shapes) -> dict[str, Any] | None:
    cases, present = cases_of(claim, shapes), {experiment for experiment, _ in shapes}
    spoken = [number for number, c in enumerate(claim.criteria) if present & set(c.experiments)]
    if not spoken:
        return None
    controls = {number: controls_of(number, claim, shapes) for number in spoken}
    broken = {number: _broken(claim, number, cases, controls[number]) for number in spoken}
    counted = [case for case in cases if case.counted and case.class_ in COUNTED]
    planted = characteristics(claim, counted)
    verdict, reason = _verdict(claim, cases, broken, planted)
    return {
        **claim.model_dump(include={"id", "paper", "title", "statement", "scope", "caveat", "figures"}),
        "class": str(claim.class_),
        "verdict": str(verdict),
        "reason": reason,
        "criteria": [
            {
                **criterion_record(claim, claim.criteria[number]),
                "control": control_record(claim.criteria[number], controls[number], broken[number]),
            }
            for number in spoken
        ],
        "cases": [case_record(case, spoken) for case in cases],
        "decisive": decisive_record(claim, cases, spoken),
        "characteristics": asdict(planted) | {"sound": planted.sound} if planted else None,
    }


def _broken(claim: Claim, number: int, cases: Sequence[Case], controls: Sequence[Case]) -> str | None:
    """Why a criterion's control proves nothing; None if it fails as it must.

    Of what can fail, as many control cases may hold as would by chance; of a theorem's, none.
    """
    criterion = claim.criteria[number]
    if criterion.control is None:
        return None
    found = [finding for case in controls for finding in case.findings]
    values = _values(found)
    if not len(values):
        left_out = sum(finding.excluded for finding in found)
        return "its condition leaves out every control network" if left_out else "no control network was measured"
    own = _values([finding for case in cases for finding in case.findings if finding.criterion == number])
    yes_or_no = np.isin(np.concatenate([own, values]), (0, 1)).all()
    if len(values) > 1 and (values == values[0]).all() and not yes_or_no:
        return f"the control is {values[0]:.6g} in every network, by its definition"
    decided = [finding.holds for finding in found if finding.holds is not None]
    if not decided:
        return "the control is not decided anywhere"
    holding, one_is_many = sum(decided), claim.class_of(criterion) not in COUNTED
    if holding and (one_is_many or holding == len(decided) or beyond_chance(holding, len(decided))):
        return f"the control holds too, in {holding} of {_count(len(decided))}"
    return None


def _values(findings: Sequence[Finding]) -> Array:
    return np.concatenate([finding.units for finding in findings]) if findings else np.empty(0)


def _verdict(
    claim: Claim, cases: Sequence[Case], broken: dict[int, str | None], planted: Characteristics | None
) -> tuple[Verdict, str]:
    counted = [case for case in cases if case.counted and case.class_ in COUNTED]
    checks = [case for case in cases if case.class_ is Class.THEOREM]
    deciding = counted or checks
    if not cases:
        return Verdict.INCONCLUSIVE, "the networks are there, but what it asks of them was not measured"
    if not deciding:
        return Verdict.BY_SYMMETRY, f"{_count(cases)} shown: on these data they hold by construction, whatever is run"
    numbers = {finding.criterion for case in deciding for finding in case.findings}
    unproven = [(number, why) for number, why in broken.items() if number in numbers and why]
    if unproven:
        why = "; ".join(f"“{claim.criteria[number].name}” proves nothing: {why}" for number, why in unproven)
        return Verdict.INCONCLUSIVE, why
    if any(case.holds is False for case in checks):
        return Verdict.VIOLATED, f"a theorem's check fails: {_places([c for c in checks if c.holds is False])}"
    return _measured(claim, counted, planted) if counted else _checked(checks)


def _checked(checks: Sequence[Case]) -> tuple[Verdict, str]:
    if any(case.holds is None for case in checks):
        return Verdict.INCONCLUSIVE, f"{_count(checks)}, not all with a network to check"
    units = sum(max(len(finding.units) for finding in case.findings) for case in checks)
    return Verdict.CHECKED, f"the theorem holds in all of {units:,} instances, in {_count(checks)}"


def _measured(claim: Claim, cases: Sequence[Case], planted: Characteristics | None) -> tuple[Verdict, str]:
    decided = [case for case in cases if case.holds is not None]
    holding = [case for case in decided if case.holds]
    predicted = claim.predicted
    if claim.universal and _refuted(claim, decided):
        against = [case for case in decided if case.refutes]
        return REFUTATIONS[predicted], f"{len(against)} of {_count(decided)} refute it: {_places(against)}"
    verb = "holds" if len(decided) == 1 else "hold"
    reason = (
        f"{len(holding)} of {_count(decided)} {verb}{_failing(claim, decided)}" if decided else "no case was decided"
    )
    if untested := len(cases) - len(decided):
        reason += f"; {_count(untested)} could not be tested ({_why_untested(cases)})"
    if 2 * len(decided) <= len(cases) or planted is None:
        return Verdict.INCONCLUSIVE, reason
    if not planted.sound:
        size, power = planted.size.value, planted.power.value
        return Verdict.INCONCLUSIVE, f"{reason}; but the predicate has size {size:.1%} and power {power:.0%}"
    if predicted is not None:
        came_true = predicted == "true" and len(holding) == len(decided)
        return (Verdict.CONFIRMED if came_true else Verdict.NOT_CONFIRMED), reason
    if len(holding) == len(decided):
        return Verdict.REPRODUCED, reason
    partial = bool(beyond_chance(len(holding), len(decided)))
    return (Verdict.PARTIAL if partial else Verdict.NOT_REPRODUCED), reason


def _refuted(claim: Claim, decided: Sequence[Case]) -> bool:
    """Whether there is a counterexample: one instance short of all, or more means outside the range than by chance."""
    against = [finding for case in decided for finding in case.findings if finding.refutes]
    by_instance = any(claim.criteria[finding.criterion].share is not None for finding in against)
    return by_instance or bool(against and beyond_chance(sum(case.refutes for case in decided), len(decided)))


def _failing(claim: Claim, decided: Sequence[Case]) -> str:
    """`, not linear at depths 2, 3`, and how many cases each criterion holds in where there are several."""
    failing = [case for case in decided if not case.holds]
    if not failing:
        return ""
    by_criterion: dict[int, list[bool]] = {}
    for case in decided:
        for finding in case.findings:
            by_criterion.setdefault(finding.criterion, []).append(finding.holds is True)
    each = "; ".join(f"{claim.criteria[k].name}: {sum(held)} of {len(held)}" for k, held in by_criterion.items())
    return f", not {_places(failing)}" + (f" ({each})" if len(by_criterion) > 1 else "")


def _why_untested(cases: Sequence[Case]) -> str:
    """`4 of 5 seeds or instances at most, no network met the conditions`."""
    open_ = [f for case in cases if case.holds is None for f in case.findings if f.holds is None]
    few = max((len(finding.units) for finding in open_), default=0)
    reasons = [f"at most {few} of the {FEWEST} seeds or instances that it takes"] if few else []
    if any(not len(f.units) and not f.excluded for f in open_):
        reasons.append("all networks diverged or learned nothing")
    if any(not len(f.units) and f.excluded for f in open_):
        reasons.append("no network met the conditions")
    return ", or ".join(reasons)


def _count(cases: Sequence[Case] | int) -> str:
    count = cases if isinstance(cases, int) else len(cases)
    return f"{count} case{'s' * (count != 1)}"


def _places(cases: Sequence[Case]) -> str:
    """`linear at depth 2 and relu at depths 2, 3 and steps 0.3 to 0.95`."""
    experiments: dict[str, list[Case]] = {}
    for case in cases:
        experiments.setdefault(case.experiment, []).append(case)
    return " and ".join(f"{name} at {_shapes(found)}" for name, found in sorted(experiments.items()))


def _shapes(cases: Sequence[Case]) -> str:
    """Depths, and the range of the steps where a depth has several, or where they are the load of a perceptron."""
    named, depths = words(cases[0].experiment), {case.depth for case in cases}
    steps = {case.step for case in cases if case.step is not None}
    spoken = steps and (named.symbols or len(cases) > len(depths))
    return named.depths(depths) + (f" and {named.steps(steps)}" if spoken else "")
