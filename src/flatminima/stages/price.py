"""The price of balance: how much sharper than necessary balanced minima are."""

from pathlib import Path

from flatminima.settings.theory import Price
from flatminima.stages.files import write_table
from flatminima.theory.price import prices


def price(study: str, settings: Price, output: Path) -> None:
    """Measure the price of balance on random problems, and on the dearest that a search finds.

    Args:
        study: the study's name, part of every seed.
        settings: sizes, numbers and effort.
        output: table to write.
    """
    write_table(output, prices(study, settings))
