"""Commands of all studies: from their measures to report and manifest."""

from pathlib import Path
from typing import Annotated

import typer

from flatminima.commands.files import parse_json
from flatminima.commands.options import Input, Inputs, Output, Settings, StudyName
from flatminima.config import StudySettings
from flatminima.files import atomic_path
from flatminima.provenance.parts import numbered
from flatminima.settings.parsing import parse
from flatminima.settings.variations import Variations


def collect(
    tables: Annotated[list[Path], typer.Argument(help="Files to read; `part{0..9}` stands for ten.")], output: Output
) -> None:
    """Put the tables of all parts into one."""
    from flatminima.record import join_tables

    with atomic_path(output) as temporary:
        join_tables([Path(name) for table in tables for name in numbered(str(table))], temporary)


def figure(
    name: str,
    ledger: Input,
    measures: Input,
    output: Output,
    details: Annotated[
        Path | None, typer.Option(help="The study's other table: shared.parquet, or curves.parquet.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Experiment to leave out.")] = None,
) -> None:
    """Draw one figure as svg, pdf and png, with the csv of what it shows; `output` is any of them."""
    from flatminima.claims.ledger import load_ledger
    from flatminima.figures.render import render

    render(name, measures, details, load_ledger(ledger), output.with_suffix(""), without or [])


def table(
    name: str,
    measures: Input,
    output: Output,
    details: Annotated[Path | None, typer.Option(help="The study's other table: curves.")] = None,
) -> None:
    """Write one table as csv, html and tex; `output` is any of them."""
    from flatminima.figures.tables import render_table

    render_table(name, measures, output.with_suffix(""), details)


def sensitivity(settings: Settings, ledger: Input, measures: Input, output: Output) -> None:
    """Write the table of variations, judged as their baselines are, as csv, html and tex; `output` is any of them."""
    from flatminima.claims.ledger import load_ledger
    from flatminima.figures.training.sensitivity import render_sensitivity

    varied = parse(Variations, {"variations": parse_json(settings)}, "--settings").variations
    render_sensitivity(measures, load_ledger(ledger), varied, output.with_suffix(""))


def claims(study: StudyName, ledger: Input, measures: Input, output: Output) -> None:
    """Judge every claim of the ledger by the measures."""
    from flatminima.claims.ledger import load_ledger
    from flatminima.claims.verdicts import results_of
    from flatminima.record import read_table

    results = results_of(study, load_ledger(ledger), read_table(measures))
    with atomic_path(output) as temporary:
        temporary.write_text(results.to_json(), encoding="utf-8")


def report(
    study: StudyName,
    settings: Settings,
    claims: Input,
    changes: Input,
    figures: Annotated[list[Path], typer.Option("--figure", help="Figure (svg).")],
    tables: Annotated[list[Path], typer.Option("--table", help="Table (html).")],
    output: Output,
) -> None:
    """Write the page of a study."""
    from flatminima.report.page import write_report

    values = parse(StudySettings, {"study": parse_json(settings)}, "--settings").study
    write_report(study, values, claims, changes, figures, tables, output)


def manifest(
    study: StudyName,
    targets: Inputs,
    settings: Settings,
    repository: Annotated[Path, typer.Option(help="Folder of the workflow that made them.")],
    output: Output,
) -> None:
    """List every file of a study, and where it came from; runs in the folder that the workflow ran in."""
    from flatminima.provenance.manifest import make_manifest, write_manifest

    values = parse(StudySettings, {"study": parse_json(settings)}, "--settings").study.model_dump(mode="json")
    write_manifest(make_manifest(study, values, [str(path) for path in targets], Path(), repository), output)
