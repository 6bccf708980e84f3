"""Table of the verdicts on experiments that change one choice of another."""

from collections.abc import Sequence
from pathlib import Path

from flatminima.claims.ledger import load_ledger
from flatminima.figures.training.sensitivity import render_sensitivity
from flatminima.settings.variations import Variation


def sensitivity(variations: Sequence[Variation], ledger: Path, measures: Path, stem: Path) -> None:
    """Judge variations by the criteria of their baselines.

    Args:
        variations: experiments with the choice that each of them changes.
        ledger: claims.yaml.
        measures: table of record.
        stem: path of the files to write, without the endings csv, html and tex.

    Raises:
        UserError: if a file cannot be read.
    """
    render_sensitivity(measures, load_ledger(ledger), variations, stem)
