"""Verdicts of all claims on one study."""

from pathlib import Path

from flatminima.claims.ledger import load_ledger
from flatminima.claims.verdicts import results_of
from flatminima.files import atomic_path
from flatminima.record import read_table


def claims(study: str, ledger: Path, measures: Path, output: Path) -> None:
    """Judge every claim of the ledger by the measures.

    Args:
        study: the study's name.
        ledger: claims.yaml.
        measures: table of record.
        output: file to write.

    Raises:
        UserError: if a file cannot be read.
    """
    results = results_of(study, load_ledger(ledger), read_table(measures))
    with atomic_path(output) as temporary:
        temporary.write_text(results.to_json(), encoding="utf-8")
