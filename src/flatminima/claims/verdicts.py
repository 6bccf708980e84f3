"""Verdicts computed from the measures: predicates of the ledger on the networks, and on their controls."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from flatminima.claims.cases import cases_of, controls_of
from flatminima.claims.characteristics import beyond_chance, characteristics
from flatminima.claims.effects import Array
from flatminima.claims.findings import Case, Finding
from flatminima.claims.judgement import decisive_finding, outcome, question
from flatminima.claims.ledger import COUNTED, Claim, Class, Ledger
from flatminima.claims.networks import Networks, networks_of, shape_column
from flatminima.claims.reasons import count, failing, places, why_untested
from flatminima.claims.results import Characteristics, Judgement, Results, Verdict
from flatminima.claims.words import WORDS, Words

REFUTATIONS = {None: Verdict.REFUTED, "false": Verdict.REFUTED_AS_PREDICTED, "true": Verdict.NOT_CONFIRMED}
"""Verdict of a claim with a counterexample, by what was predicted of it."""


def results_of(study: str, ledger: Ledger, measures: pd.DataFrame) -> Results:
    """Judge a study.

    Args:
        study: its name.
        ledger: the claims.
        measures: its table of record.
    """
    return Results(study=study, claims=judge(ledger, measures))


def judge(ledger: Ledger, measures: pd.DataFrame) -> list[Judgement]:
    """Judge every claim that speaks of cases of this study, by the criteria that do.

    Args:
        ledger: the claims.
        measures: the table of record of one study.
    """
    networks, words = networks_of(measures), WORDS[shape_column(measures)]
    present = {place.case for place in networks if not place.control}
    spoken = [_spoken(claim, present) for claim in ledger.claims]
    return [_judge(claim, networks, words) for claim in spoken if claim.criteria]


def _spoken(claim: Claim, present: Collection[str]) -> Claim:
    """The claim with those criteria that speak of cases that are there."""
    criteria = [criterion for criterion in claim.criteria if any(map(criterion.speaks_of, present))]
    return claim.model_copy(update={"criteria": criteria})


def _judge(claim: Claim, networks: Networks, words: Words) -> Judgement:
    """Judge a claim by all of its criteria."""
    cases = cases_of(claim, networks)
    controls = [controls_of(criterion, claim.class_of(criterion), networks) for criterion in claim.criteria]
    broken = [_broken(claim, number, cases, control) for number, control in enumerate(controls)]
    planted = characteristics(claim, [case for case in cases if case.counted and case.class_ in COUNTED])
    verdict, reason = _verdict(claim, cases, broken, planted, words)
    outcomes = map(outcome, claim.criteria, controls, broken)
    return Judgement(
        **claim.model_dump(include={"id", "paper", "title", "statement", "scope", "caveat", "class_"}),
        figures=claim.figures,
        verdict=verdict,
        reason=reason,
        words=words,
        criteria=[question(claim, *asked) for asked in zip(claim.criteria, outcomes, strict=True)],
        cases=cases,
        decisive=decisive_finding(claim, cases),
        characteristics=planted,
    )


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
        return f"the control holds too, in {holding} of {count(len(decided))}"
    return None


def _values(findings: Sequence[Finding]) -> Array:
    return np.concatenate([finding.by_unit for finding in findings]) if findings else np.empty(0)


def _verdict(
    claim: Claim, cases: Sequence[Case], broken: Sequence[str | None], planted: Characteristics | None, words: Words
) -> tuple[Verdict, str]:
    counted = [case for case in cases if case.counted and case.class_ in COUNTED]
    checks = [case for case in cases if case.class_ is Class.THEOREM]
    deciding = counted or checks
    if not cases:
        return Verdict.INCONCLUSIVE, "the networks are there, but what it asks of them was not measured"
    if not deciding:
        return Verdict.BY_SYMMETRY, f"{count(cases)} shown: on these data they hold by construction, whatever is run"
    numbers = {finding.criterion for case in deciding for finding in case.findings}
    unproven = [(number, why) for number, why in enumerate(broken) if number in numbers and why]
    if unproven:
        why = "; ".join(f"“{claim.criteria[number].name}” proves nothing: {why}" for number, why in unproven)
        return Verdict.INCONCLUSIVE, why
    if any(case.holds is False for case in checks):
        return Verdict.VIOLATED, f"a theorem's check fails: {places([c for c in checks if c.holds is False], words)}"
    return _measured(claim, counted, planted, words) if counted else _checked(checks)


def _checked(checks: Sequence[Case]) -> tuple[Verdict, str]:
    if any(case.holds is None for case in checks):
        return Verdict.INCONCLUSIVE, f"{count(checks)}, not all with a network to check"
    units = sum(max(finding.units for finding in case.findings) for case in checks)
    return Verdict.CHECKED, f"the theorem holds in all of {units:,} instances, in {count(checks)}"


def _measured(
    claim: Claim, cases: Sequence[Case], planted: Characteristics | None, words: Words
) -> tuple[Verdict, str]:
    decided = [case for case in cases if case.holds is not None]
    holding = [case for case in decided if case.holds]
    predicted = claim.predicted
    if claim.universal and _refuted(claim, decided):
        against = [case for case in decided if case.refutes]
        return REFUTATIONS[predicted], f"{len(against)} of {count(decided)} refute it: {places(against, words)}"
    verb = "holds" if len(decided) == 1 else "hold"
    reason = (
        f"{len(holding)} of {count(decided)} {verb}{failing(claim, decided, words)}"
        if decided
        else "no case was decided"
    )
    if untested := len(cases) - len(decided):
        reason += f"; {count(untested)} could not be tested ({why_untested(cases)})"
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
