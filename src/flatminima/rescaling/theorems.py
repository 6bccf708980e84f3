"""All theorems of Dinh et al. 2017 on the networks of one file (theory.md D1-D7)."""

from collections.abc import Callable, Sequence

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
from flatminima.settings.rescaling import Demonstration, Demonstrations, Orbits
from flatminima.training.progress import Progress

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""Measures and curves."""
NO_CURVES = pd.DataFrame(columns=["study", "experiment", "depth", "seed", "x", "y", "value", "error_bound"])


def show_theorems(study: str, subjects: Sequence[Subject], settings: Demonstrations, orbit: Orbits) -> Tables:
    """D1 and what else is to be shown, on networks of the first seeds; of those not convolutional, one in all detail.

    Networks that did not learn are counted, in the first experiment.
    """
    chosen = [subject for subject in subjects if subject.labels["seed"] < settings.seeds.value]
    shown = [subject for subject in chosen if subject.learned]
    tables = [rows(study, s, f"random_layers{s.suffix}", {"diverged": 1.0}) for s in chosen if not s.learned]
    progress, curves = Progress(f"{study} theorems", len(shown)), [NO_CURVES]
    for done, subject in enumerate(shown, 1):
        first = done == 1 and subject.labels["family"] != CONVOLUTIONAL
        tables += _theorems(study, subject, settings, first)
        if first:
            measured, drawn = _details(study, subject, settings, orbit)
            tables += measured
            curves += drawn
        progress.report(done, "networks")
    progress.finish(len(shown), "networks")
    return pd.concat(tables, ignore_index=True), pd.concat(curves, ignore_index=True)


def _theorems(study: str, subject: Subject, settings: Demonstrations, first: bool) -> list[pd.DataFrame]:
    """Rows of D1-D4, D6 and D7; only the first network sees more than the ends of each range."""
    alphas, radii, offsets = (
        values if first else sorted({values[0], values[-1]})
        for values in (settings.alphas.value, settings.radii.value, settings.offsets.value)
    )
    every: dict[Demonstration, Callable[[], pd.DataFrame]] = {
        "volume": lambda: infinite_volume(study, subject, settings),
        "two_layers": lambda: two_layers(study, subject, alphas),
        "balls": lambda: balls(study, subject, radii, settings),
        "coordinates": lambda: reparametrised(study, subject, offsets, settings),
    }
    return [unchanged(study, subject, settings)] + [show() for name, show in every.items() if settings.show(name)]


def _details(
    study: str, subject: Subject, settings: Demonstrations, orbit: Orbits
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Rows of D5, and curves of D7, B1 and D5."""
    measured, drawn = [], []
    if settings.show("coordinates"):
        drawn.append(loss_lines(study, subject, settings))
    if settings.show("landscape"):
        drawn.append(landscape(study, subject, orbit))
    if settings.show("many_directions") and len(subject.parameters) <= LARGEST:
        table, spectra = many_directions(study, subject)
        measured.append(table)
        drawn.append(spectra)
    return measured, drawn
