"""Commands for auditors."""

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from flatminima.audit.levels import TOLERANCE, LevelName
from flatminima.files import atomic_path
from flatminima.forkclient import THREADS


def audit(
    folders: Annotated[list[Path], typer.Argument(help="Folders of results, one study each.")],
    level: Annotated[list[LevelName] | None, typer.Option(help="Level to run; all if none is given.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Jobs that are run again, for each study.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draw of these jobs; drawn if not given.")] = None,
    configfile: Annotated[
        list[Path] | None, typer.Option(help="Configuration file that the run was given besides config.yaml.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the outcome to.")] = None,
) -> None:
    """Check results against their manifest, their measures, this code, and a run of some jobs."""
    os.environ.update(dict.fromkeys(THREADS, "1"))  # as in the rules whose files are made anew
    from flatminima.audit.audit import audit as audit_study
    from flatminima.audit.audit import for_machines, for_people, tally
    from flatminima.audit.checkout import find_checkout

    seed = secrets.randbelow(10**6) if seed is None else seed
    results = []
    for folder in folders:
        results.append(
            audit_study(folder, level or list(LevelName), find_checkout(folder), sample, seed, configfile or [])
        )
        print(for_people(results[-1]))
    print(tally(results))
    if json_file:
        with atomic_path(json_file) as temporary:
            temporary.write_text(for_machines(results), encoding="utf-8")
    sys.exit(0 if all(result.passed for result in results) else 1)


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of results.")],
    second: Annotated[Path, typer.Argument(help="Folder to compare it with.")],
    tolerance: Annotated[float, typer.Option(help="Relative difference of numbers that agree.")] = TOLERANCE,
) -> None:
    """Compare two sets of results, quantity by quantity, and say which verdicts differ."""
    from flatminima.audit.compare import compare as compare_results
    from flatminima.audit.compare import comparison_table

    comparison = compare_results(first, second, tolerance)
    print(comparison_table(comparison))
    sys.exit(0 if comparison.agree else 1)


def export(
    folder: Annotated[Path, typer.Argument(help="Folder of results.")],
    output: Annotated[Path, typer.Argument(help="Archive to write (.zip).")],
) -> None:
    """Pack a study and its workflow as a Workflow Run RO-Crate."""
    from flatminima.audit.checkout import find_checkout
    from flatminima.audit.export import export as export_study

    export_study(folder, find_checkout(folder), output)
