"""Verdicts computed from the measures: predicates of the ledger on the networks, and on their controls."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from flatminima.claims.ledger import Claim, Criterion, Ledger

SHAPE = ["experiment", "depth"]
NETWORK = [*SHAPE, "step_fraction", "seed"]
SPREAD = (0.05, 0.5, 0.95)

Shapes = dict[Any, pd.DataFrame]
"""Networks by (experiment, depth): one row per network, columns (statistic, layer)."""


class Verdict(StrEnum):
    """What the measures say of a claim."""

    REPRODUCED = "REPRODUCED"
    PARTIAL = "PARTIAL"
    NOT_REPRODUCED = "NOT REPRODUCED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Case:
    """One criterion on the networks of one experiment and depth.

    Attributes:
        networks: how many the criterion speaks of.
        excluded: how many did not meet the condition of the criterion.
        diverged: how many of the experiment's runs diverged.
        share: fraction of `networks` within the range in every layer; None if there are none.
        median, low, high: median, 5 % and 95 % quantiles over networks of the worst layer's value; None if not finite.
        holds: share >= required; None if there are no networks.
    """

    experiment: str
    depth: int
    networks: int
    excluded: int
    diverged: int
    share: float | None
    required: float
    median: float | None
    low: float | None
    high: float | None
    holds: bool | None


def judge(ledger: Ledger, measures: pd.DataFrame) -> list[dict[str, Any]]:
    """Judge every claim that speaks of experiments of this study, by the criteria that do.

    Args:
        ledger: the claims.
        measures: the tidy table of one study.

    Returns:
        One JSON-ready mapping per claim: its text, criteria with cases, control and verdict.
    """
    final = measures[measures["final"]].fillna({"step_fraction": 0.0})
    values = final.set_index([*NETWORK, "statistic", "layer"])["value"]
    shapes = {shape: rows.unstack(["statistic", "layer"]) for shape, rows in values.groupby(SHAPE)}  # noqa: PD010
    present = {experiment for experiment, _ in shapes}
    spoken = [(claim, [c for c in claim.criteria if present & set(c.experiments)]) for claim in ledger.claims]
    return [_judge(claim, criteria, shapes) for claim, criteria in spoken if criteria]


def _judge(claim: Claim, spoken: list[Criterion], shapes: Shapes) -> dict[str, Any]:
    present = {experiment for experiment, _ in shapes}
    criteria = [(c, _cases(c, present & set(c.experiments), shapes)) for c in spoken]
    controls = []
    for criterion in spoken:
        names = {name for e in criterion.experiments if e in present for name in claim.control.experiments.get(e, [])}
        bare = criterion.model_copy(update={"where": []})
        controls.append((bare, _cases(bare, names & present, shapes)))
    caught = _caught([case for _, cases in controls for case in cases])
    verdict, reason = _verdict([case for _, cases in criteria for case in cases], caught)
    return {
        **claim.model_dump(include={"id", "paper", "title", "statement", "scope", "figures"}),
        "verdict": str(verdict),
        "reason": reason,
        "criteria": [_describe(c, cases) for c, cases in criteria],
        "control": {
            "description": claim.control.description,
            "criteria": [_describe(c, cases) for c, cases in controls],
            "fails": caught,
        },
    }


def _caught(cases: list[Case]) -> bool:
    """Whether at every experiment and depth of the control at least one criterion does not hold."""
    failing = {(case.experiment, case.depth) for case in cases if case.holds is False}
    return bool(cases) and failing == {(case.experiment, case.depth) for case in cases}


def _verdict(cases: list[Case], caught: bool) -> tuple[Verdict, str]:
    decided = [case for case in cases if case.holds is not None]
    holding = sum(bool(case.holds) for case in decided)
    failing = _places([case for case in decided if not case.holds])
    counts = f"{holding} of {len(decided)} cases hold" + (f", not {failing}" if failing else "")
    if not caught:
        return Verdict.INCONCLUSIVE, f"{counts}, but the predicate does not fail on every control, so it proves nothing"
    if not decided:
        return Verdict.INCONCLUSIVE, "no network met the conditions in any case"
    undecided = len(cases) - len(decided)
    if undecided:
        counts += f"; in {undecided} no network met the conditions"
    if holding == len(decided):
        return (Verdict.PARTIAL if undecided else Verdict.REPRODUCED), counts
    return (Verdict.PARTIAL if holding else Verdict.NOT_REPRODUCED), counts


def _places(cases: list[Case]) -> str:
    """`linear at depth 2 and relu at depths 2, 3`."""
    depths: dict[str, set[int]] = {}
    for case in cases:
        depths.setdefault(case.experiment, set()).add(case.depth)
    return " and ".join(
        f"{experiment} at depth{'s' * (len(found) > 1)} {', '.join(map(str, sorted(found)))}"
        for experiment, found in sorted(depths.items())
    )


def _cases(criterion: Criterion, experiments: set[str], shapes: Shapes) -> list[Case]:
    return [
        _case(criterion, experiment, depth, networks)
        for (experiment, depth), networks in shapes.items()
        if experiment in experiments
        and (criterion.statistic in networks.columns.unique("statistic") or (networks["diverged", 0] > 0).all())
    ]


def _case(criterion: Criterion, experiment: str, depth: int, networks: pd.DataFrame) -> Case:
    diverged = networks["diverged", 0] > 0
    eligible = ~diverged
    for condition in criterion.where:
        eligible &= networks.get((condition.statistic, 0), np.nan) <= condition.at_most
    counted = int(eligible.sum())
    worst, within = _worst_layer(criterion, networks[eligible]) if counted else (pd.Series(), pd.Series())
    share = float(within.mean()) if counted else None
    low, median, high = (_finite(float(worst.quantile(q))) if counted else None for q in SPREAD)
    return Case(
        experiment=experiment,
        depth=depth,
        networks=counted,
        excluded=int((~eligible & ~diverged).sum()),
        diverged=int(diverged.sum()),
        share=share,
        required=criterion.share,
        median=median,
        low=low,
        high=high,
        holds=share >= criterion.share if share is not None else None,
    )


def _finite(value: float) -> float | None:
    """A number that JSON can hold, or None."""
    return value if np.isfinite(value) else None


def _worst_layer(criterion: Criterion, networks: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Per network: the layer's value farthest out of the range, and whether all layers are within it."""
    values = networks[criterion.statistic]
    if criterion.relative_to is not None:
        values = values / networks[criterion.relative_to]
    low = -np.inf if criterion.at_least is None else criterion.at_least
    high = np.inf if criterion.at_most is None else criterion.at_most
    excess = np.maximum(low - values.to_numpy(), values.to_numpy() - high)
    worst = np.take_along_axis(values.to_numpy(), excess.argmax(axis=1)[:, None], axis=1)[:, 0]
    return pd.Series(worst), pd.Series((excess <= 0).all(axis=1))


def _describe(criterion: Criterion, cases: list[Case]) -> dict[str, Any]:
    name = criterion.statistic if criterion.relative_to is None else f"{criterion.statistic} / {criterion.relative_to}"
    bounds = [f"at least {criterion.at_least:.12g}"] if criterion.at_least is not None else []
    bounds += [f"at most {criterion.at_most:.12g}"] if criterion.at_most is not None else []
    conditions = " and ".join(f"{where.statistic} at most {where.at_most:.12g}" for where in criterion.where)
    condition = f"; networks with {conditions}" if conditions else ""
    return {
        "statistic": name,
        "predicate": f"{' and '.join(bounds)} in every layer, for at least {criterion.share:.0%} of the networks",
        "selection": f"experiments {', '.join(sorted({c.experiment for c in cases})) or 'none'}{condition}",
        "cases": [asdict(case) for case in cases],
    }
