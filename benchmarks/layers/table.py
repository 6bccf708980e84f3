"""What came out, as a table for readers, and back."""

import re
from collections.abc import Iterable, Mapping

from benchmarks.layers.outcomes import KINDS, Outcome

Found = Mapping[str, Mapping[str, Mapping[str, Outcome]]]
"""Outcomes of each kind of matrix of each case of each family."""
RIGHT = Outcome("right")
HEADER = "| family | right |\n| --- | --- |\n"
ROW = re.compile(r"\| .+ \| (?P<names>.+) \|")
LINE = re.compile(r"- (?P<verdict>\w+): (?P<names>.+): `(?P<detail>.*)`")


def labels(name: str, found: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Outcomes of a case by what stands for them in the table: its name where both matrices have the same outcome."""
    if len(set(found.values())) == 1:
        return {name: next(iter(found.values()))}
    return {f"{kind} of {name}": outcome for kind, outcome in found.items()}


def table(found: Found) -> str:
    """One row for each family, and what is not right below, by reason."""
    shown = {family: _labelled(cases) for family, cases in found.items()}
    rows = [f"| {family} | {', '.join(_with(RIGHT, outcomes))} |" for family, outcomes in shown.items()]
    every = {label: outcome for outcomes in shown.values() for label, outcome in outcomes.items()}
    others = [outcome for outcome in dict.fromkeys(every.values()) if outcome != RIGHT]
    lines = [f"- {o.verdict.capitalize()}: {', '.join(_with(o, every))}: `{o.detail}`" for o in others]
    return HEADER + "\n".join([*rows, "", *lines, ""])


def read(text: str) -> dict[str, Outcome]:
    """Outcomes of all labels of a table."""
    outcomes: dict[str, Outcome] = {}
    for line in text.removeprefix(HEADER).splitlines():
        if match := ROW.fullmatch(line):
            outcomes |= dict.fromkeys(match["names"].split(", "), RIGHT)
        elif match := LINE.fullmatch(line):
            outcome = Outcome(match["verdict"].lower(), match["detail"])
            outcomes |= dict.fromkeys(match["names"].split(", "), outcome)
    return outcomes


def recorded(text: str, name: str) -> dict[str, Outcome]:
    """Outcomes of a case in a table, by kind of matrix; none where it is not there."""
    outcomes = read(text)
    both = {kind: outcomes.get(name, outcomes.get(f"{kind} of {name}")) for kind in KINDS}
    return {kind: outcome for kind, outcome in both.items() if outcome}


def _labelled(cases: Mapping[str, Mapping[str, Outcome]]) -> dict[str, Outcome]:
    return {label: outcome for name, found in cases.items() for label, outcome in labels(name, found).items()}


def _with(wanted: Outcome, outcomes: Mapping[str, Outcome]) -> Iterable[str]:
    return (label for label, outcome in outcomes.items() if outcome == wanted)
