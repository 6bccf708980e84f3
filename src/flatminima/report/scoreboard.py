"""Verdicts over all studies, and tables of record, kept up to date in the README and the docs."""

import re
from pathlib import Path

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures.table_files import readable
from flatminima.files import atomic_path
from flatminima.report.verdict_tables import markdown, scoreboard

TABLE = re.compile(
    r"(?P<begin><!-- (?P<study>\w+)/(?P<name>\w+):begin -->).*?(?P<end><!-- (?P=study)/(?P=name):end -->)", re.DOTALL
)


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
    return markdown([list(table.columns), *([str(cell) for cell in row] for row in table.to_numpy())])


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
