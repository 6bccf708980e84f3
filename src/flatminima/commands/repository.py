"""Commands on all results and on the configuration."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from flatminima.config import Config, load
from flatminima.errors import UserError
from flatminima.settings.folders import expanded

CLAIMS = "*/claims.json"


def verdicts(results: Annotated[Path, typer.Argument(help="Folder of results.")]) -> None:
    """Print the verdict of every claim in every study, and where the reports are."""
    from flatminima.report.verdict_tables import terminal_table

    paths = _claims(results)
    print(terminal_table(paths))
    for path in paths:
        print(f"report: {path.parent / 'report' / 'index.html'}")


def readme(
    results: Annotated[Path, typer.Argument(help="Folder of results.")] = Path("results"),
    check: Annotated[
        bool,
        typer.Option(help="Write nothing; fail if README.md, docs/results.md or docs/measures.md is not up to date."),
    ] = False,
) -> None:
    """Record the evidence of studies that ran in results/reference, and write what README.md and docs tell of it again.

    Verdicts of record that an earlier ledger or code took are taken again, from the measures of record.
    """
    from flatminima.audit.older import older_references
    from flatminima.audit.rejudging import rejudge
    from flatminima.provenance.reference import record
    from flatminima.report.glossary import glossary
    from flatminima.report.scoreboard import update_between, update_readme, update_tables
    from flatminima.report.times import sentence

    root, page = Path(), Path("README.md")
    reference = results / "reference"
    if not check:
        for path in sorted(results.glob(CLAIMS)):
            record(path.parent, reference / path.parent.name)
        for path in _claims(reference):
            rejudge(path.parent, root)
    update_readme(page, _claims(reference), check)
    update_between(page, "older", older_references(reference, load(root / "config.yaml"), root), check)
    update_between(page, "time", sentence(Path("docs/benchmarks.md")), check)
    update_tables(Path("docs/results.md"), reference, check)
    update_between(Path("docs/measures.md"), "statistics", glossary(), check)


def schema(of: Annotated[Literal["config", "manifest"], typer.Argument(help="Which file.")] = "config") -> None:
    """Print the JSON schema of config.yaml, for editors, or of manifests."""
    from flatminima.provenance.manifest import Manifest

    print(json.dumps((Config if of == "config" else Manifest).model_json_schema(), indent=2))


def validate(path: Annotated[Path, typer.Argument(help="Configuration to check.")] = Path("config.yaml")) -> None:
    """Check config.yaml, without running anything, and that its data_root names a folder on this machine."""
    expanded(load(path).data_root, f"{path}: data_root")
    print(f"{path}: valid")


def _claims(results: Path) -> list[Path]:
    found = sorted(results.glob(CLAIMS))
    if not found:
        raise UserError(f"{results}: no claims.json in any study; run `make reproduce` first")
    return found
