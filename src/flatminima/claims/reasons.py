"""Reasons of verdicts in words: where a claim fails, and why cases could not be tested."""

from collections.abc import Sequence

from flatminima.claims.cases import FEWEST
from flatminima.claims.findings import Case
from flatminima.claims.ledger import Claim
from flatminima.claims.words import Words


def failing(claim: Claim, decided: Sequence[Case], words: Words) -> str:
    """`, not linear at depths 2, 3`, and how many cases each criterion holds in where there are several."""
    without = [case for case in decided if not case.holds]
    if not without:
        return ""
    by_criterion: dict[int, list[bool]] = {}
    for case in decided:
        for finding in case.findings:
            by_criterion.setdefault(finding.criterion, []).append(finding.holds is True)
    each = "; ".join(f"{claim.criteria[k].name}: {sum(held)} of {len(held)}" for k, held in by_criterion.items())
    return f", not {places(without, words)}" + (f" ({each})" if len(by_criterion) > 1 else "")


def why_untested(cases: Sequence[Case]) -> str:
    """`4 of 5 seeds or instances at most, no network met the conditions`."""
    open_ = [f for case in cases if case.holds is None for f in case.findings if f.holds is None]
    few = max((finding.units for finding in open_), default=0)
    reasons = [f"at most {few} of the {FEWEST} seeds or instances that it takes"] if few else []
    if any(not f.units and not f.excluded for f in open_):
        reasons.append("all networks diverged or learned nothing")
    if any(not f.units and f.excluded for f in open_):
        reasons.append("no network met the conditions")
    return ", or ".join(reasons)


def count(cases: Sequence[Case] | int) -> str:
    """`1 case`, `3 cases`."""
    number = cases if isinstance(cases, int) else len(cases)
    return f"{number} case{'s' * (number != 1)}"


def places(cases: Sequence[Case], words: Words) -> str:
    """`linear at depth 2 and relu at depths 2, 3 and steps 0.3 to 0.95`."""
    by_name: dict[str, list[Case]] = {}
    for case in cases:
        by_name.setdefault(case.name, []).append(case)
    return " and ".join(f"{name} at {_shapes(found, words)}" for name, found in sorted(by_name.items()))


def _shapes(cases: Sequence[Case], words: Words) -> str:
    """Shapes, and the range of the settings where a shape has several, or where they are the load of a perceptron."""
    shapes = {case.shape for case in cases}
    settings = {case.setting for case in cases if case.setting is not None}
    spoken = settings and (words.symbols or len(cases) > len(shapes))
    return words.shapes(shapes) + (f" and {words.settings(settings)}" if spoken else "")
