"""Verdicts over all studies: matrices of claims and studies, and what each verdict rests on."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from flatminima.claims.ledger import Class
from flatminima.claims.results import Decisive, Judgement, Results, read_results
from flatminima.claims.words import Words
from flatminima.report.formats import interval, number, percent
from flatminima.report.vocabulary import CLASSES, SYMBOLS

ABSENT = "–"
WIDTH, ID_WIDTH, TITLE_WIDTH, GAP = 100, 5, 36, 2
"""Widths of the terminal's table in characters: all of it, ids, the least for titles, and the gap between columns."""
GROUNDS = ["claim", "study", "class", "verdict", "cases", "units", "the case with least to spare", "its effect"]


def scoreboard(claims_paths: Sequence[Path]) -> str:
    """Markdown: for each class of claims the verdicts, claims down and studies across, then what each rests on.

    Studies that share no claim of a class, not even through others, have tables of their own.

    Args:
        claims_paths: one claims.json per study, in the order of the columns.

    Raises:
        UserError: if a file is missing or malformed.
    """
    studies = [read_results(path) for path in claims_paths]
    parts = [f"**{CLASSES[c]}**\n\n{_matrices(groups)}" for c, groups in _by_class(studies)]
    grounds = f"<details>\n<summary>What each verdict rests on</summary>\n\n{markdown(_grounds(studies))}\n</details>\n"
    return "\n".join([*parts, grounds])


def _matrices(groups: Sequence[Sequence[Results]]) -> str:
    return "\n".join(markdown(_matrix(group, symbols=True)) for group in groups)


def terminal_table(claims_paths: Sequence[Path]) -> str:
    """The verdicts as aligned plain text, at most 100 columns wide.

    Classes of claims, studies that share no claim, and more studies than fit have blocks of their own.

    Args:
        claims_paths: one claims.json per study, in the order of the columns.

    Raises:
        UserError: if a file is missing or malformed.
    """
    parts = []
    for class_, groups in _by_class([read_results(path) for path in claims_paths]):
        blocks = [block for group in groups for block in _aligned(_matrix(group, symbols=False))]
        parts.append(f"{CLASSES[class_].upper()}\n" + "\n".join(blocks))
    return "\n".join(parts)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first line is its heading."""
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in ruled) + "\n"


def _escape(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _by_class(studies: Sequence[Results]) -> Iterator[tuple[Class, list[list[Results]]]]:
    """Split studies by class of claim; those that share a claim, or that others link, stay together."""
    for class_ in CLASSES:
        own = [study.of_class(class_) for study in studies]
        if groups := _related([study for study in own if study.claims]):
            yield class_, groups


def _related(studies: Sequence[Results]) -> list[list[Results]]:
    groups: list[list[Results]] = []
    for study in studies:
        claims = {claim.id for claim in study.claims}
        linked = [group for group in groups if claims & {claim.id for other in group for claim in other.claims}]
        place = groups.index(linked[0]) if linked else len(groups)
        groups = [group for group in groups if group not in linked]
        groups.insert(place, [*chain(*linked), study])
    return groups


def _matrix(studies: Sequence[Results], symbols: bool) -> list[list[str]]:
    claims = [claim for study in studies for claim in study.claims]
    titles = {claim.id: claim.title for claim in reversed(claims)}
    rows = [[identity, titles[identity], *_verdicts(studies, identity, symbols)] for identity in _in_order(claims)]
    return [["", "claim", *(study.study for study in studies)], *rows]


def _in_order(claims: Sequence[Judgement]) -> list[str]:
    """Ids by letter, in order of appearance, number and what follows: M1, M1b, M2."""
    letters = "".join(dict.fromkeys(claim.id[0] for claim in claims))
    return sorted({claim.id for claim in claims}, key=lambda name: (letters.index(name[0]), _number(name), name))


def _number(identity: str) -> int:
    return int("".join(letter for letter in identity if letter.isdecimal()))


def _verdicts(studies: Sequence[Results], identity: str, symbols: bool) -> list[str]:
    found = [{claim.id: claim.verdict for claim in study.claims}.get(identity) for study in studies]
    return [ABSENT if v is None else f"{SYMBOLS[v]} {v.value}" if symbols else v.value for v in found]


def _grounds(studies: Sequence[Results]) -> list[list[str]]:
    """A line for each verdict: in the order of classes, claims, studies."""
    lines = []
    for class_ in CLASSES:
        own = [(claim, study.study) for study in studies for claim in study.of_class(class_).claims]
        for identity in _in_order([claim for claim, _ in own]):
            lines += [_ground(claim, study) for claim, study in own if claim.id == identity]
    return [GROUNDS, *lines]


def _ground(claim: Judgement, study: str) -> list[str]:
    first = [claim.id, study, str(claim.class_), f"{SYMBOLS[claim.verdict]} {claim.verdict.value}"]
    found = claim.decisive
    if found is None:
        return [*first, *[ABSENT] * (len(GROUNDS) - len(first))]
    return [*first, str(found.cases), f"{found.units:,}", _place(found, claim.words), _effect(found)]


def _place(found: Decisive, words: Words) -> str:
    setting = "" if found.setting is None else f", {words.settings([found.setting])}"
    return f"{found.case}, {words.shapes([found.shape])}{setting}"


def _effect(found: Decisive) -> str:
    """`ends within 1 %: 1.2 [1.1, 1.3]`, of shares in per cent with the worst value of a unit."""
    value = percent(found.effect) if found.share else number(found.effect)
    worst = f"; worst {number(found.worst)}" if found.share else ""
    return f"{found.name}: {value} {interval(found.low, found.high, found.share)}".rstrip() + worst


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Blocks of as many studies as fit beside the titles."""
    width = max(len(cell) for line in lines for cell in line[2:]) + GAP
    across = max(1, (WIDTH - ID_WIDTH - TITLE_WIDTH) // width)
    for k in range(2, len(lines[0]), across):
        block = [[*line[:2], *line[k : k + across]] for line in lines if set(line[k : k + across]) != {ABSENT}]
        room = WIDTH - ID_WIDTH - width * (len(block[0]) - 2)
        titles = min(room, max(len(line[1]) for line in block) + GAP)
        widths = [ID_WIDTH, titles, *[width] * (len(block[0]) - 2)]
        yield "".join("".join(map(_fit, line, widths)).rstrip() + "\n" for line in block)


def _fit(text: str, width: int) -> str:
    """Pad to `width`, or cut so that two columns stay free."""
    short = text if len(text) <= width - GAP else f"{text[: width - GAP - 1].rstrip()}…"
    return short.ljust(width)
