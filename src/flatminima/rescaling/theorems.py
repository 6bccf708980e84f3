"""All theorems of Dinh et al. 2017 on the networks of one file (theory.md D1-D7)."""

from collections.abc import Sequence

import pandas as pd

from flatminima.rescaling.coordinates import loss_lines, reparametrised
from flatminima.rescaling.demonstrations import (
    LARGEST,
    balls,
    infinite_volume,
    many_directions,
    two_layers,
    unchanged,
)
from flatminima.rescaling.invariants import landscape
from flatminima.rescaling.subjects import CONVOLUTIONAL, Subject, rows
from flatminima.settings.rescaling import Demonstrations, Orbits
from flatminima.training.progress import Progress

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""Measures and curves."""
NO_CURVES = pd.DataFrame(columns=["study", "experiment", "depth", "seed", "x", "y", "value", "error_bound"])


def show_theorems(study: str, subjects: Sequence[Subject], settings: Demonstrations, orbit: Orbits) -> Tables:
    """D1-D7 on the networks of the first seeds, the first of them in all detail unless it is convolutional.

    Networks that did not learn are counted, in the first experiment.
    """
    chosen = [subject for subject in subjects if subject.labels["seed"] < settings.seeds.value]
    shown = [subject for subject in chosen if subject.learned]
    tables = [rows(study, s, f"random_layers{s.suffix}", {"diverged": 1.0}) for s in chosen if not s.learned]
    progress, curves = Progress(f"{study} theorems", len(shown)), []
    for done, subject in enumerate(shown, 1):
        first = done == 1 and subject.labels["family"] != CONVOLUTIONAL
        tables += _theorems(study, subject, settings, first)
        if first:
            curves += [loss_lines(study, subject, settings), landscape(study, subject, orbit)]
            if len(subject.parameters) <= LARGEST:
                table, spectra = many_directions(study, subject)
                tables.append(table)
                curves.append(spectra)
        progress.report(done, "networks")
    progress.finish(len(shown), "networks")
    return pd.concat(tables, ignore_index=True), pd.concat([NO_CURVES, *curves], ignore_index=True)


def _theorems(study: str, subject: Subject, settings: Demonstrations, first: bool) -> list[pd.DataFrame]:
    """Rows of D1-D4, D6 and D7; only the first network sees more than the ends of each range."""
    alphas, radii, offsets = (
        values if first else sorted({values[0], values[-1]})
        for values in (settings.alphas.value, settings.radii.value, settings.offsets.value)
    )
    return [
        unchanged(study, subject, settings),
        infinite_volume(study, subject, settings),
        two_layers(study, subject, alphas),
        balls(study, subject, radii, settings),
        reparametrised(study, subject, offsets, settings),
    ]
