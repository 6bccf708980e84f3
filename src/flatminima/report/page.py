"""The page of one study: verdicts, evidence, protocol, figures and tables in a single self-contained HTML file."""

import base64
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flatminima.claims.changelog import load_changelog
from flatminima.claims.characteristics import LARGEST_SIZE, LEAST_POWER
from flatminima.claims.results import Judgement, read_results
from flatminima.config import AnyStudy
from flatminima.errors import UserError
from flatminima.files import atomic_path
from flatminima.provenance.environment import environment
from flatminima.report.evidence import groups, read_populations
from flatminima.report.formats import interval, number, percent, plural
from flatminima.report.protocol import SOURCES, protocol
from flatminima.report.vocabulary import CLASSES, MEANINGS, SYMBOLS
from flatminima.studies.kind import Exhibit, Kind
from flatminima.studies.registry import kind_of

LONGEST = 8
"""Longest table of cases that is not folded when all of its cases hold."""
DOWNLOADS = (".csv", ".svg", ".pdf", ".png", ".tex")


@dataclass(frozen=True)
class Link:
    """A file that the page points to, relative to the page's folder."""

    label: str
    target: str


@dataclass(frozen=True)
class Figure:
    """A numbered figure, its image embedded as a data URI."""

    name: str
    number: int
    caption: Exhibit
    image: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Table:
    """A table of results, its HTML fragment embedded as it stands."""

    name: str
    caption: Exhibit
    fragment: Markup
    rows: int
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Illustration:
    """The figures of one claim in this study: those to show with it, and those shown with an earlier claim."""

    shown: tuple[Figure, ...]
    elsewhere: tuple[Figure, ...]


def write_report(
    study: str,
    settings: AnyStudy,
    claims: Path,
    changes: Path,
    figures: Sequence[Path],
    tables: Sequence[Path],
    output: Path,
) -> None:
    """Write the page of one study: one HTML file that needs neither a network nor scripts.

    Args:
        study: the study's name.
        settings: the study's section of config.yaml.
        claims: its claims.json; the networks are counted in the measures.parquet beside it.
        changes: workflow/predicates.yaml, the changelog of predicates.
        figures: SVG files; an overview is shown first, then those that a claim names, then the others in this order.
        tables: HTML fragments, shown in this order.
        output: the page; CSV, PDF, PNG and TeX files beside figures and tables are linked relative to it.

    Raises:
        UserError: if an input is missing or malformed, or the page cannot be written.
    """
    ledger = read_results(claims)
    populations = read_populations(claims.with_name("measures.parquet"))
    kind = kind_of(settings)
    numbered = _number(kind, _in_order_of_mention(kind, ledger.claims, figures), output.parent)
    illustrations = _illustrate(kind, ledger.claims, numbered)
    claimed = {figure.name for illustration in illustrations.values() for figure in illustration.shown}
    template = _templates().get_template(f"page_{kind.name}.html")
    page = template.render(
        study=study,
        settings=settings,
        ledger=ledger,
        classes={c: own for c in CLASSES if (own := ledger.of_class(c).claims)},
        changes=load_changelog(changes).changes,
        tally=Counter(claim.verdict for claim in ledger.claims),
        trained=[population for population in populations if not population.control],
        controls=[population for population in populations if population.control],
        illustrations=illustrations,
        overview=[figure for figure in numbered if figure.name == kind.overview],
        further=[figure for figure in numbered if figure.name not in {*claimed, kind.overview}],
        tables=[_table(kind, path, output.parent) for path in tables],
        protocol=protocol(settings),
        environment=environment(),
    )
    with atomic_path(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("flatminima.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals.update(symbols=SYMBOLS, meanings=MEANINGS, headings=CLASSES, sources=SOURCES, longest=LONGEST)
    templates.globals.update(largest_size=LARGEST_SIZE, least_power=LEAST_POWER, interval=interval, groups=groups)
    templates.filters.update(number=number, percent=percent, plural=plural)
    templates.tests["starting"] = str.startswith
    return templates


def _shows(kind: Kind[Any], mention: str, name: str) -> bool:
    """Whether a claim that mentions `sharpness` means the figure `name`: itself or `sharpness-<task>`."""
    return mention in (name, kind.split(name)[0])


def _in_order_of_mention(kind: Kind[Any], claims: Sequence[Judgement], figures: Sequence[Path]) -> list[Path]:
    mentions = [kind.overview, *(mention for claim in claims for mention in claim.figures)]

    def place(path: Path) -> int:
        return next((k for k, mention in enumerate(mentions) if _shows(kind, mention, path.stem)), len(mentions))

    return sorted(figures, key=place)


def _number(kind: Kind[Any], figures: Sequence[Path], folder: Path) -> list[Figure]:
    return [
        Figure(path.stem, k, kind.figure(path.stem), _data_uri(path), _links(path, folder))
        for k, path in enumerate(figures, start=1)
    ]


def _illustrate(kind: Kind[Any], claims: Sequence[Judgement], figures: Sequence[Figure]) -> Mapping[str, Illustration]:
    seen = {kind.overview}
    illustrations = {}
    for claim in claims:
        own = [figure for figure in figures if any(_shows(kind, mention, figure.name) for mention in claim.figures)]
        illustrations[claim.id] = Illustration(
            shown=tuple(figure for figure in own if figure.name not in seen),
            elsewhere=tuple(figure for figure in own if figure.name in seen),
        )
        seen.update(figure.name for figure in own)
    return illustrations


def _table(kind: Kind[Any], path: Path, folder: Path) -> Table:
    caption, fragment = kind.table(path.stem), _read(path).decode("utf-8")
    if "<caption" not in fragment:
        hidden = f'<caption class="hidden">{Markup.escape(caption.title)}</caption>'
        fragment = re.sub(r"<table\b[^>]*>", lambda tag: tag[0] + hidden, fragment, count=1)
    rows = len(re.findall(r"<tr\b", fragment.partition("<tbody")[2]))
    return Table(path.stem, caption, Markup(fragment), rows, _links(path, folder))  # noqa: S704 (made by flatminima.figures)


def _links(path: Path, folder: Path) -> tuple[Link, ...]:
    """Links to the files of this name in other formats that exist, relative to the page's folder."""
    files = (path.with_suffix(suffix) for suffix in DOWNLOADS)
    return tuple(
        Link(file.suffix[1:].upper(), Path(os.path.relpath(file, folder)).as_posix()) for file in files if file.exists()
    )


def _data_uri(svg: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(_read(svg)).decode('ascii')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make reproduce` to draw figures and tables") from None
