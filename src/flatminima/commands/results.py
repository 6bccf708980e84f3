"""Commands of all studies: from their measures to report and manifest."""

from pathlib import Path
from typing import Annotated

import typer

from flatminima.commands.options import Input, Inputs, Output, Settings, StudyName, parse_json, study_of
from flatminima.settings.parsing import parse
from flatminima.settings.variations import Variations
from flatminima.studies.registry import kind_named

KindName = Annotated[str, typer.Option("--kind", help="Kind of the study, as `kind` in config.yaml.")]


def collect(
    tables: Annotated[list[str], typer.Argument(help="Files to read; `part{0..9}` stands for ten.")], output: Output
) -> None:
    """Put the tables of all parts into one."""
    from flatminima.stages.collect import collect

    collect(tables, output)


def figure(
    name: str,
    kind: KindName,
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

    render(kind_named(kind), name, measures, details, load_ledger(ledger), output.with_suffix(""), without or [])


def table(
    name: str,
    kind: KindName,
    measures: Input,
    output: Output,
    details: Annotated[Path | None, typer.Option(help="The study's other table: curves.")] = None,
) -> None:
    """Write one table as csv, html and tex; `output` is any of them."""
    from flatminima.figures.tables import render_table

    render_table(kind_named(kind), name, measures, output.with_suffix(""), details)


def sensitivity(settings: Settings, ledger: Input, measures: Input, output: Output) -> None:
    """Write the table of variations, judged as their baselines are, as csv, html and tex; `output` is any of them."""
    from flatminima.stages.sensitivity import sensitivity

    varied = parse(Variations, {"variations": parse_json(settings)}, "--settings").variations
    sensitivity(varied, ledger, measures, output.with_suffix(""))


def claims(study: StudyName, ledger: Input, measures: Input, output: Output) -> None:
    """Judge every claim of the ledger by the measures."""
    from flatminima.stages.claims import claims

    claims(study, ledger, measures, output)


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

    write_report(study, study_of(settings), claims, changes, figures, tables, output)


def manifest(
    study: StudyName,
    targets: Inputs,
    settings: Settings,
    repository: Annotated[Path, typer.Option(help="Folder of the workflow that made them.")],
    output: Output,
) -> None:
    """List every file of a study, and where it came from; runs in the folder that the workflow ran in."""
    from flatminima.stages.manifest import manifest

    manifest(study, targets, study_of(settings), repository, output)
