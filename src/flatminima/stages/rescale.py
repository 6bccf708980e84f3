"""All theorems of Dinh et al. 2017 on the networks of one file (theory.md D1-D7)."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from flatminima.progress import Progress
from flatminima.rescaling.coordinates import loss_lines, reparametrised
from flatminima.rescaling.directions import LARGEST, many_directions
from flatminima.rescaling.homogeneity import balls, infinite_volume, two_layers, unchanged
from flatminima.rescaling.loading import load_all
from flatminima.rescaling.rows import CONVOLUTIONAL, CURVES, Curve, Measured, rows
from flatminima.rescaling.rows import curves as curve_rows
from flatminima.rescaling.subjects import Subject
from flatminima.rescaling.trained_orbits import landscape
from flatminima.settings.rescaling import Demonstration, Demonstrations, Orbits
from flatminima.stages.files import write_tables

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""Measures and curves."""


def rescale(
    study: str,
    demonstrations: Demonstrations,
    orbits: Orbits,
    samples: Path,
    networks: Sequence[Path],
    measures: Path,
    curves: Path,
) -> None:
    """Show the theorems on networks of one shape.

    Args:
        study: the study's name, part of every seed.
        demonstrations: which theorems, over which ranges.
        orbits: tolerances of the flattest network in an orbit.
        samples: that the networks were trained on.
        networks: files of networks of one shape.
        measures: table to write.
        curves: table to write.

    Raises:
        UserError: if a file cannot be read, or the task's loss is not the sum over outputs.
    """
    subjects = load_all(networks, samples)
    write_tables((measures, curves), show_theorems(study, subjects, demonstrations, orbits))


def show_theorems(study: str, subjects: Sequence[Subject], settings: Demonstrations, orbit: Orbits) -> Tables:
    """D1 and what else is to be shown, on networks of the first seeds; of those not convolutional, one in all detail.

    D5, which takes whole Hessians, is shown on that one and on the last. Networks that did not learn are counted, in
    case `random_layers`.
    """
    chosen = [subject for subject in subjects if subject.labels["seed"] < settings.seeds]
    shown = [subject for subject in chosen if subject.learned]
    lost = [Measured("random_layers", {"diverged": 1.0})]
    tables = [rows(study, subject.labels, lost) for subject in chosen if not subject.learned]
    progress, drawn = Progress(f"{study} theorems", len(shown)), pd.DataFrame(columns=CURVES)
    for done, subject in enumerate(shown, 1):
        connected = subject.labels["family"] != CONVOLUTIONAL
        first = done == 1 and connected
        whole = connected and done in (1, len(shown)) and settings.show("many_directions") and _small(subject)
        lifted, spectra = many_directions(subject) if whole else ([], [])
        tables.append(rows(study, subject.labels, _theorems(study, subject, settings, first) + lifted))
        if first:
            drawn = curve_rows(study, subject.labels, spectra + _curves(subject, settings, orbit))
        progress.report(done, "networks")
    progress.finish(len(shown), "networks")
    return pd.concat(tables, ignore_index=True), drawn


def _small(subject: Subject) -> bool:
    return len(subject.parameters) <= LARGEST


def _theorems(study: str, subject: Subject, settings: Demonstrations, first: bool) -> list[Measured]:
    """Statistics of D1-D4, D6 and D7; only the first network sees more than the ends of each range."""
    alphas, radii, offsets = (
        values if first else sorted({values[0], values[-1]})
        for values in (settings.alphas, settings.radii, settings.offsets)
    )
    every: dict[Demonstration, Callable[[], Iterable[Measured]]] = {
        "volume": lambda: infinite_volume(study, subject, settings),
        "two_layers": lambda: two_layers(subject, alphas),
        "balls": lambda: balls(study, subject, radii, settings),
        "coordinates": lambda: reparametrised(study, subject, offsets, settings),
    }
    shown = [measured for name, show in every.items() if settings.show(name) for measured in show()]
    return [*unchanged(study, subject, settings), *shown]


def _curves(subject: Subject, settings: Demonstrations, orbit: Orbits) -> list[Curve]:
    """Curves of D7 and B1."""
    drawn = loss_lines(subject, settings) if settings.show("coordinates") else []
    return drawn + (landscape(subject, orbit) if settings.show("landscape") else [])
