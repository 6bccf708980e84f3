"""Commands of training studies."""

from pathlib import Path
from typing import Annotated

import typer

from flatminima.commands.options import Device, Input, Inputs, Output, Settings, StudyName, parse_json, settings_of
from flatminima.settings.training import DataSettings, Experiment, Measure

Part = Annotated[int, typer.Option(help="Number of the job, for an experiment with `seeds_per_job`.")]
Unbalance = Annotated[float | None, typer.Option(help="Log-scale of the control's rescaling.")]


def data(
    study: StudyName,
    task: str,
    data_root: Path,
    settings: Settings,
    samples: Output,
    moments: Output,
    checksums: Output,
) -> None:
    """Make the samples of a task, their second moments, and the checksums of both."""
    from flatminima.stages.data import data

    data(study, task, data_root, settings_of(DataSettings, settings), samples, moments, checksums)


def bound(moments: Input, settings: Settings, output: Output) -> None:
    """Minimal sharpness of linear networks of several depths (theory.md I3), certified."""
    from flatminima.stages.bound import bound

    bound(moments, parse_json(settings), output)


def train(
    study: StudyName,
    experiment: str,
    depth: int,
    settings: Settings,
    samples: Input,
    moments: Input,
    bounds: Input,
    networks: Output,
    history: Output,
    part: Part = 0,
    device: Device = "auto",
) -> None:
    """Train replicas of one experiment at one depth: all, or those of one part of the seeds."""
    from flatminima.stages.train import train
    from flatminima.training.job import Job

    values = settings_of(Experiment, settings, f"experiments.{experiment}")
    train(Job(study, experiment, values, depth, part), samples, moments, bounds, networks, history, device)


def measure(
    networks: Path,
    samples: Input,
    moments: Input,
    settings: Settings,
    measures: Output,
    shared: Output,
    unbalance: Unbalance = None,
    device: Device = "auto",
) -> None:
    """Sharpness, balance and coupling of every replica of a file and of its control, and coupling of its nulls."""
    from flatminima.stages.measure import measure

    values = settings_of(Measure, settings, "measure")
    measure(networks, samples, moments, values, unbalance, measures, shared, device)


def crosscheck(networks: Inputs, samples: Input, moments: Input, output: Output) -> None:
    """Sharpness of one network of each file by other libraries."""
    from flatminima.stages.crosscheck import crosscheck

    crosscheck(networks, samples, moments, output)
