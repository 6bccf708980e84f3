"""Verdicts of all claims on one study."""

from pathlib import Path

from flatminima.claims.ledger import load_ledger
from flatminima.claims.verdicts import judge
from flatminima.record import read_table
from flatminima.stages.files import write_json


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
    write_json(output, {"study": study, "claims": judge(load_ledger(ledger), read_table(measures))})
