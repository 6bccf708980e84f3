"""From the measures of a study to the files of a figure."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from flatminima.claims.ledger import Ledger
from flatminima.errors import EmptyFigureError, UserError
from flatminima.figures import style
from flatminima.figures.claimed import Claimed
from flatminima.figures.figure_files import save
from flatminima.figures.perceptron.capacity import capacity
from flatminima.figures.perceptron.enumeration import enumeration
from flatminima.figures.perceptron.flips import flips
from flatminima.figures.perceptron.local_entropy import local_entropy
from flatminima.figures.perceptron.neighbours import neighbours
from flatminima.figures.perceptron.perceptron_overview import perceptron_overview
from flatminima.figures.perceptron.solvers import solvers
from flatminima.figures.perceptron.transitions import transitions
from flatminima.figures.perceptron.typical_distance import typical_distance
from flatminima.figures.rescaling.alpha import alpha
from flatminima.figures.rescaling.balls import balls
from flatminima.figures.rescaling.coordinates import coordinates
from flatminima.figures.rescaling.landscape import landscape
from flatminima.figures.rescaling.orbits import orbits
from flatminima.figures.rescaling.rescaling_overview import rescaling_overview
from flatminima.figures.rescaling.spectrum import spectrum
from flatminima.figures.rescaling.volume import volume
from flatminima.figures.theory.any_inputs import any_inputs
from flatminima.figures.theory.arrival import arrival
from flatminima.figures.theory.attacks import attacks
from flatminima.figures.theory.balance_price import balance_price
from flatminima.figures.theory.catapult import catapult
from flatminima.figures.theory.first_interface import first_interface
from flatminima.figures.theory.least_sharpness import least_sharpness
from flatminima.figures.theory.predicted_price import predicted_price
from flatminima.figures.theory.random_minima import random_minima
from flatminima.figures.theory.scaled_residual import scaled_residual
from flatminima.figures.theory.step_size import step_size
from flatminima.figures.theory.theory_overview import theory_overview
from flatminima.figures.theory.witnesses import witnesses
from flatminima.figures.training.coupling_excess import coupling_excess
from flatminima.figures.training.dose_response import dose_response
from flatminima.figures.training.overview import overview
from flatminima.figures.training.path_cosine import path_cosine
from flatminima.figures.training.sharpness import sharpness
from flatminima.figures.training.start_scale import start_scale
from flatminima.figures.training.training import training
from flatminima.record import read_table
from flatminima.settings.parsing import nearest

Drawing = Callable[[pd.DataFrame, pd.DataFrame, Claimed], tuple[Figure, pd.DataFrame]]
"""From measures, the study's other table, which may be empty, and what claims select, to a figure and what it shows."""

TRAINING: dict[str, Drawing] = {
    "overview": overview,
    "sharpness": sharpness,
    "training": training,
    "path-cosine": path_cosine,
}
EVIDENCE: dict[str, Drawing] = {
    "dose-response": dose_response,
    "coupling-excess": coupling_excess,
    "start-scale": start_scale,
}
"""Of studies of training, too: what the claims on linear networks and on practice rest on."""
THEORY: dict[str, Drawing] = {
    "theory-overview": theory_overview,
    "least-sharpness": least_sharpness,
    "random-minima": random_minima,
    "any-inputs": any_inputs,
    "first-interface": first_interface,
    "attacks": attacks,
    "witnesses": witnesses,
    "step-size": step_size,
    "arrival": arrival,
    "predicted-price": predicted_price,
    "balance-price": balance_price,
    "catapult": catapult,
    "scaled-residual": scaled_residual,
}
RESCALING: dict[str, Drawing] = {
    "rescaling-overview": rescaling_overview,
    "alpha": alpha,
    "volume": volume,
    "spectrum": spectrum,
    "balls": balls,
    "coordinates": coordinates,
    "landscape": landscape,
    "orbits": orbits,
}
PERCEPTRON: dict[str, Drawing] = {
    "perceptron-overview": perceptron_overview,
    "capacity": capacity,
    "local-entropy": local_entropy,
    "transitions": transitions,
    "typical-distance": typical_distance,
    "neighbours": neighbours,
    "solvers": solvers,
    "flips": flips,
    "enumeration": enumeration,
}
FIGURES = TRAINING | EVIDENCE | THEORY | RESCALING | PERCEPTRON
NO_DETAILS = pd.DataFrame(columns=["study", "case", "depth", "setting", "seed"])
"""Stands for the other table of a study that has none."""


def render(
    name: str,
    measures_path: Path,
    details_path: Path | None,
    ledger: Ledger,
    output: Path,
    without: Sequence[str] = (),
) -> None:
    """Draw a figure and write it as SVG, PDF and PNG, with what it shows as CSV.

    Where the study lacks what the figure shows, such as a network at a minimum, the figure says that and what to do.

    Args:
        name: a key of FIGURES, or `<key>-<task>` for one task alone.
        measures_path: measures.parquet of a study.
        details_path: shared.parquet or curves.parquet of the same study, where it has one.
        ledger: the claims; a figure shows the networks that the claims it belongs to select.
        output: the files' path without suffix.
        without: experiments that are left out, with their controls and nulls.

    Raises:
        UserError: if a table is missing or holds no network, or the figure or task is unknown.
    """
    figure, plotted = drawn(name, measures_path, details_path, ledger, without)
    save(figure, plotted, output)


def drawn(
    name: str, measures_path: Path, details_path: Path | None, ledger: Ledger, without: Sequence[str] = ()
) -> tuple[Figure, pd.DataFrame]:
    """What `render` writes: a figure and the table of what it shows, or a note of what is absent.

    Raises:
        UserError: as `render`.
    """
    try:
        measures = read_table(measures_path)
        details = read_table(details_path) if details_path else NO_DETAILS
        return draw(name, measures[~measures["case"].isin(without)], details, Claimed(ledger, measures))
    except EmptyFigureError as absence:
        print(absence, file=sys.stderr)
        return style.note(str(absence)), pd.DataFrame({"absent": [str(absence)]})


def draw(name: str, measures: pd.DataFrame, details: pd.DataFrame, claimed: Claimed) -> tuple[Figure, pd.DataFrame]:
    """The figure of a name, and the table of what it shows.

    Args:
        name: a key of FIGURES, or `<key>-<task>`.
        measures: the networks that it may show.
        details: the study's other table.
        claimed: what claims select among all networks of the study.

    Raises:
        EmptyFigureError: if the study lacks what the figure shows.
        UserError: if the figure or task is unknown, or there is no network at all.
    """
    if measures.empty:
        raise UserError(f"figure {name}: the measures hold no network; run the study's experiments first")
    if name in FIGURES:
        return FIGURES[name](measures, details, claimed)
    figure, _, task = name.rpartition("-")
    if figure not in FIGURES:
        raise UserError(
            f"figure {name!r} is not known: {nearest(figure or name, FIGURES)}; or one of them with -<task>"
        )
    tasks = sorted(measures["task"].unique()) if "task" in measures else []
    if task not in tasks:
        raise UserError(f"figure {name!r}: no network of task {task!r} in the measures: {nearest(task, tasks)}")
    of_task = replace(claimed, measures=claimed.measures[claimed.measures["task"] == task])
    return FIGURES[figure](measures[measures["task"] == task], details, of_task)
