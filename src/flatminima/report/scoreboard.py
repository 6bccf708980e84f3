"""Verdicts over all studies, and tables of record, in the README and the docs; verdicts at the end of a run."""

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures.table_files import readable
from flatminima.provenance.files import atomic_path
from flatminima.report.evidence import SYMBOLS, Ledger, read_ledger

TABLE = re.compile(
    r"(?P<begin><!-- (?P<study>\w+)/(?P<name>\w+):begin -->).*?(?P<end><!-- (?P=study)/(?P=name):end -->)", re.DOTALL
)
ABSENT = "–"
WIDTH = 100
STUDY_WIDTH = 16
STUDIES_ACROSS = 4


def scoreboard(claims_paths: Sequence[Path]) -> str:
    """Markdown tables: claims down, studies across, a verdict in each cell and a dash where a study has no say.

    Studies that share no claim, not even through others, have tables of their own.

    Args:
        claims_paths: one claims.json per study, in the order of the columns.

    Raises:
        UserError: if a file is missing or malformed.
    """
    return "\n".join(_markdown(_rows(ledgers, symbols=True)) for ledgers in _related(claims_paths))


def update_readme(readme: Path, claims_paths: list[Path], check: bool = False) -> None:
    """Replace the scoreboard of README.md, as `update_between` does.

    Args:
        readme: the file.
        claims_paths: one claims.json per study.
        check: write nothing, and only say whether the file is up to date.

    Raises:
        UserError: if the markers or an input are missing, or with `check` if the file is not up to date.
    """
    update_between(readme, "scoreboard", scoreboard(claims_paths), check)


def update_between(page: Path, name: str, text: str, check: bool = False) -> None:
    """Replace what stands between the markers `<!-- <name>:begin -->` and `<!-- <name>:end -->` of a page.

    Args:
        page: the file; it must hold both markers once, begin before end.
        name: the name in the markers.
        text: lines, each with its end; or nothing.
        check: write nothing, and only say whether the file is up to date.

    Raises:
        UserError: if the markers are missing, or with `check` if the file is not up to date.
    """
    begin, end = markers(name)
    before, found_begin, rest = _read(page).partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise UserError(f"{page}: no place for the {name}; add the lines {begin} and {end}")
    _update(page, f"{before}{begin}\n{text}{end}{after}", check)


def markers(name: str) -> tuple[str, str]:
    """The lines of a page between which a text that is generated stands."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def update_tables(page: Path, reference: Path, check: bool = False) -> None:
    """Replace every table of a page that stands between the markers `<!-- <study>/<table>:begin -->` and `:end`.

    Args:
        page: the file.
        reference: results of record, whose tables are shown.
        check: write nothing, and only say whether the page is up to date.

    Raises:
        UserError: if a table is missing, or with `check` if the page is not up to date.
    """

    def fresh(match: re.Match[str]) -> str:
        table = _table(reference / match["study"] / "tables" / f"{match['name']}.csv")
        return f"{match['begin']}\n{table}{match['end']}"

    _update(page, TABLE.sub(fresh, _read(page)), check)


def _table(path: Path) -> str:
    if not path.exists():
        raise UserError(f"{path}: no such file; run its study, then `make readme`")
    table = readable(pd.read_csv(path, keep_default_na=True))
    return _markdown([list(table.columns), *([str(cell) for cell in row] for row in table.to_numpy())])


def _markdown(lines: list[list[str]]) -> str:
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in ruled) + "\n"


def _read(page: Path) -> str:
    if not page.exists():
        raise UserError(f"{page}: no such file; run from the repository's root")
    return page.read_text(encoding="utf-8")


def _update(page: Path, text: str, check: bool) -> None:
    if text == _read(page):
        return
    if check:
        raise UserError(f"{page}: does not match the results of record; run `make readme`")
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def terminal_table(claims_paths: list[Path]) -> str:
    """The verdicts as aligned plain text, at most 100 columns wide.

    Studies that share no claim stand in blocks of their own, and so do more than four studies.

    Args:
        claims_paths: one claims.json per study, in the order of the columns.

    Raises:
        UserError: if a file is missing or malformed.
    """
    return "\n".join(
        _block(ledgers[k : k + STUDIES_ACROSS])
        for ledgers in _related(claims_paths)
        for k in range(0, len(ledgers), STUDIES_ACROSS)
    )


def _block(ledgers: Sequence[Ledger]) -> str:
    room = WIDTH - 5 - STUDY_WIDTH * len(ledgers)
    lines = _rows(ledgers, symbols=False)
    title_width = min(room, max(len(line[1]) for line in lines) + 2)
    widths = [5, title_width, *[STUDY_WIDTH] * len(ledgers)]
    return "".join(
        "".join(_fit(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _fit(text: str, width: int) -> str:
    """Pad to `width`, or cut so that two columns stay free."""
    short = text if len(text) <= width - 2 else f"{text[: width - 3].rstrip()}…"
    return short.ljust(width)


def _related(claims_paths: Sequence[Path]) -> list[list[Ledger]]:
    """The ledgers in groups: those that share a claim, or that others link, stand together in the order given."""
    groups: list[list[Ledger]] = []
    for ledger in map(read_ledger, claims_paths):
        claims = {claim.id for claim in ledger.claims}
        linked = [group for group in groups if claims & {claim.id for other in group for claim in other.claims}]
        place = groups.index(linked[0]) if linked else len(groups)
        groups = [group for group in groups if group not in linked]
        groups.insert(place, [*chain(*linked), ledger])
    return groups


def _rows(ledgers: Sequence[Ledger], symbols: bool) -> list[list[str]]:
    header = ["", "claim", *(ledger.study for ledger in ledgers)]
    rows = [[identity, title, *_verdicts(ledgers, identity, symbols)] for identity, title in _titles(ledgers)]
    return [header, *rows]


def _titles(ledgers: Sequence[Ledger]) -> list[tuple[str, str]]:
    """Identity and title of every claim, in order of first appearance."""
    titles: dict[str, str] = {}
    for ledger in ledgers:
        for claim in ledger.claims:
            titles.setdefault(claim.id, claim.title)
    return list(titles.items())


def _verdicts(ledgers: Sequence[Ledger], identity: str, symbols: bool) -> list[str]:
    found = [{claim.id: claim.verdict for claim in ledger.claims}.get(identity) for ledger in ledgers]
    return [ABSENT if v is None else f"{SYMBOLS[v]} {v.value}" if symbols else v.value for v in found]


def _escape(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")
