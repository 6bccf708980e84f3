"""Commands of training studies."""

from pathlib import Path
from typing import Annotated

import typer

from flatminima.commands.files import flush_denormals, parse_json, read_json, write_json, write_table
from flatminima.commands.options import Device, Input, Inputs, Output, Settings, StudyName
from flatminima.errors import UserError
from flatminima.settings.parsing import parse
from flatminima.settings.tasks import DataSettings
from flatminima.settings.training import Experiment, Measure


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
    from flatminima.data.moments import second_moments
    from flatminima.data.sources import load_images
    from flatminima.data.storage import save_checksums, save_moments, save_samples
    from flatminima.data.tasks import build

    values = parse(DataSettings, parse_json(settings), "--settings")
    made = build(load_images(values.dataset, data_root), values.task, study, task)
    save_samples(samples, made)
    save_moments(moments, second_moments(made))
    save_checksums(checksums, [samples, moments])


def bound(moments: Input, settings: Settings, output: Output) -> None:
    """Minimal sharpness of linear networks of several depths (theory.md I3), certified."""
    from flatminima.data.storage import load_moments
    from flatminima.minima.bound import minimal_sharpness

    known = load_moments(moments)
    bounds = {}
    for depth in parse_json(settings):
        least = minimal_sharpness(known.end_to_end_map(), depth, known.loss_scale * known.input_moment)
        bounds[depth] = {"minimal_sharpness": least.value, "upper": least.upper, "gain": least.gain}
    write_json(output, bounds)


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
    part: Annotated[int, typer.Option(help="Number of the job, for an experiment with `seeds_per_job`.")] = 0,
    device: Device = "auto",
) -> None:
    """Train replicas of one experiment at one depth: all, or those of one part of the seeds."""
    from flatminima.data.storage import load_moments, load_samples
    from flatminima.networks.device import resolve
    from flatminima.networks.storage import save
    from flatminima.training.experiments import train as train_shape

    flush_denormals()
    least = read_json(bounds)
    if str(depth) not in least:
        raise UserError(f"{bounds}: no bound for depth {depth}, only for {', '.join(least)}; add it to `depths`")
    trained, losses = train_shape(
        study,
        experiment,
        parse(Experiment, parse_json(settings), f"experiments.{experiment}"),
        depth,
        load_samples(samples),
        load_moments(moments),
        critical_step=2 / least[str(depth)]["minimal_sharpness"],
        part=part,
        device=resolve(device),
    )
    write_table(history, losses)
    save(trained, networks)


def measure(
    networks: Path,
    samples: Input,
    moments: Input,
    settings: Settings,
    measures: Output,
    shared: Output,
    unbalance: Annotated[float | None, typer.Option(help="Log-scale of the control's rescaling.")] = None,
    device: Device = "auto",
) -> None:
    """Sharpness, balance and coupling of every replica of a file and of its control, and coupling of its nulls."""
    import pandas as pd

    from flatminima.data.storage import load_moments, load_samples
    from flatminima.minima.measure import measure as measure_networks
    from flatminima.minima.nulls import measure_nulls
    from flatminima.networks.device import resolve
    from flatminima.networks.storage import load as load_networks
    from flatminima.networks.storage import unbalanced

    flush_denormals()
    trained, chosen = load_networks(networks), parse(Measure, parse_json(settings), "measure")
    problem, place = (load_samples(samples), load_moments(moments)), resolve(device)
    own, vectors = measure_networks(trained, *problem, chosen, place)
    rows = [own]
    if unbalance is not None:
        control, _ = measure_networks(unbalanced(trained, unbalance), *problem, chosen.of_controls(), place)
        rows.append(control)
    rows.append(measure_nulls(trained, own, problem[0], chosen, place))
    write_table(measures, pd.concat(rows, ignore_index=True))
    write_table(shared, vectors)


def crosscheck(networks: Inputs, samples: Input, moments: Input, output: Output) -> None:
    """Sharpness of one network of each file by other libraries."""
    import pandas as pd

    from flatminima.data.storage import load_moments, load_samples
    from flatminima.minima.crosscheck import crosscheck as check
    from flatminima.networks.storage import load as load_networks

    problem = load_samples(samples), load_moments(moments)
    write_table(output, pd.concat([check(load_networks(path), *problem) for path in networks], ignore_index=True))
