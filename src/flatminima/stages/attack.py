"""Searches for global minima that break one statement of theory."""

from pathlib import Path

from flatminima.networks.device import flush_denormals
from flatminima.settings.theory import Attack
from flatminima.stages.files import write_table
from flatminima.theory.falsification import attack as search


def attack(study: str, statement: str, settings: Attack, output: Path) -> None:
    """Search for global minima that break a statement.

    Args:
        study: the study's name, part of every seed.
        statement: key of `inequalities.STATEMENTS`.
        settings: sizes, numbers and effort.
        output: table to write.
    """
    flush_denormals()
    write_table(output, search(study, statement, settings))
