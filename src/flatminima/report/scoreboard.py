"""Verdicts over all studies, and tables of record, kept up to date in the README and the docs."""

import re
from pathlib import Path

import pandas as pd

from flatminima.errors import UserError
from flatminima.figures.table_files import readable
from flatminima.provenance.files import atomic_path
from flatminima.report.verdict_tables import markdown, scoreboard

BEGIN, END = "<!-- scoreboard:begin -->", "<!-- scoreboard:end -->"
TABLE = re.compile(
    r"(?P<begin><!-- (?P<study>\w+)/(?P<name>\w+):begin -->).*?(?P<end><!-- (?P=study)/(?P=name):end -->)", re.DOTALL
)


def update_readme(readme: Path, claims_paths: list[Path], check: bool = False) -> None:
    """Replace the scoreboard between the two markers of README.md.

    Args:
        readme: the file; it must hold both markers once, begin before end.
        claims_paths: one claims.json per study.
        check: write nothing, and only say whether the file is up to date.

    Raises:
        UserError: if the markers or an input are missing, or with `check` if the file is not up to date.
    """
    before, begin, rest = _read(readme).partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{readme}: no place for the scoreboard; add the lines {BEGIN} and {END}")
    _update(readme, f"{before}{BEGIN}\n{scoreboard(claims_paths)}{END}{after}", check)


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
