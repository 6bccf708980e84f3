"""All theorems of Dinh et al. 2017 on the networks of one file (theory.md D1-D7)."""

from collections.abc import Callable, Sequence

import pandas as pd

from flatminima.progress import Progress
from flatminima.rescaling.coordinates import loss_lines, reparametrised
from flatminima.rescaling.demonstrations import balls, infinite_volume, two_layers, unchanged
from flatminima.rescaling.directions import LARGEST, many_directions
from flatminima.rescaling.invariants import landscape
from flatminima.rescaling.subjects import CONVOLUTIONAL, Subject, rows
from flatminima.settings.rescaling import Demonstration, Demonstrations, Orbits

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""Measures and curves."""
NO_CURVES = pd.DataFrame(columns=["study", "experiment", "depth", "seed", "x", "y", "value", "error_bound"])


def show_theorems(study: str, subjects: Sequence[Subject], settings: Demonstrations, orbit: Orbits) -> Tables:
    """D1 and what else is to be shown, on networks of the first seeds; of those not convolutional, one in all detail.

    D5, which takes whole Hessians, is shown on that one and on the last. Networks that did not learn are counted, in
    the first experiment.
    """
    chosen = [subject for subject in subjects if subject.labels["seed"] < settings.seeds]
    shown = [subject for subject in chosen if subject.learned]
    tables = [rows(study, s, f"random_layers{s.suffix}", {"diverged": 1.0}) for s in chosen if not s.learned]
    progress, drawn = Progress(f"{study} theorems", len(shown)), [NO_CURVES]
    for done, subject in enumerate(shown, 1):
        connected = subject.labels["family"] != CONVOLUTIONAL
        first = done == 1 and connected
        tables += _theorems(study, subject, settings, first)
        if connected and done in (1, len(shown)) and settings.show("many_directions") and _small(subject):
            measured, spectra = many_directions(study, subject)
            tables.append(measured)
            drawn += [spectra] if first else []
        if first:
            drawn += _curves(study, subject, settings, orbit)
        progress.report(done, "networks")
    progress.finish(len(shown), "networks")
    return pd.concat(tables, ignore_index=True), pd.concat(drawn, ignore_index=True)


def _small(subject: Subject) -> bool:
    return len(subject.parameters) <= LARGEST


def _theorems(study: str, subject: Subject, settings: Demonstrations, first: bool) -> list[pd.DataFrame]:
    """Rows of D1-D4, D6 and D7; only the first network sees more than the ends of each range."""
    alphas, radii, offsets = (
        values if first else sorted({values[0], values[-1]})
        for values in (settings.alphas, settings.radii, settings.offsets)
    )
    every: dict[Demonstration, Callable[[], pd.DataFrame]] = {
        "volume": lambda: infinite_volume(study, subject, settings),
        "two_layers": lambda: two_layers(study, subject, alphas),
        "balls": lambda: balls(study, subject, radii, settings),
        "coordinates": lambda: reparametrised(study, subject, offsets, settings),
    }
    return [unchanged(study, subject, settings)] + [show() for name, show in every.items() if settings.show(name)]


def _curves(study: str, subject: Subject, settings: Demonstrations, orbit: Orbits) -> list[pd.DataFrame]:
    """Curves of D7 and B1."""
    drawn = [loss_lines(study, subject, settings)] if settings.show("coordinates") else []
    return drawn + ([landscape(study, subject, orbit)] if settings.show("landscape") else [])
