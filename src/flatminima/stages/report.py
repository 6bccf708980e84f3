"""The page of one study."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.config import AnyStudy
from flatminima.report.page import write_report


def report(
    study: str,
    settings: AnyStudy,
    claims: Path,
    changes: Path,
    figures: Sequence[Path],
    tables: Sequence[Path],
    output: Path,
) -> None:
    """Write the page of verdicts, evidence, protocol and environment.

    Args:
        study: the study's name.
        settings: the study's.
        claims: verdicts.
        changes: changelog of predicates.
        figures: svg files.
        tables: html files.
        output: html file to write.

    Raises:
        UserError: if a file cannot be read.
    """
    write_report(study, settings, claims, changes, figures, tables, output)
