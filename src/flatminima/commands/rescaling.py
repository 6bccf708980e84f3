"""Commands of rescaling studies."""

from pathlib import Path
from typing import TYPE_CHECKING

from flatminima.commands.files import flush_denormals, parse_json, read_json, write_table, write_tables
from flatminima.commands.options import Input, Inputs, Output, Settings, StudyName
from flatminima.settings.parsing import parse
from flatminima.settings.rescaling import Convolutional, Demonstrations, Orbits

if TYPE_CHECKING:
    from flatminima.rescaling.subjects import Subject


def convolve(study: StudyName, settings: Settings, samples: Input, networks: Output) -> None:
    """Train the convolutional networks of a rescaling study."""
    from flatminima.data.storage import load_samples
    from flatminima.networks.convolutional import save
    from flatminima.training.convolutional import train_convolutional

    flush_denormals()
    values = parse(Convolutional, parse_json(settings), "convolutional")
    trained, shape, labels = train_convolutional(study, values, load_samples(samples))
    save(trained, shape, labels, networks)


def orbit(study: StudyName, settings: Settings, samples: Input, networks: Inputs, output: Output) -> None:
    """Find the flattest network in the rescaling orbit of every network of one shape."""
    from flatminima.rescaling.invariants import measure_orbits

    values = parse(Orbits, parse_json(settings), "orbits")
    write_table(output, measure_orbits(study, _subjects(networks, samples), values))


def linear_orbit(
    study: StudyName, settings: Settings, moments: Input, bounds: Input, networks: Inputs, output: Output
) -> None:
    """Find the flattest network in the orbits of linear networks, and compare it with theory's minimum."""
    from flatminima.data.storage import load_moments
    from flatminima.networks.storage import load as load_networks
    from flatminima.rescaling.invariants import measure_linear_orbits
    from flatminima.rescaling.loading import linear

    least = {int(depth): values["minimal_sharpness"] for depth, values in read_json(bounds).items()}
    known = load_moments(moments)
    subjects = [subject for path in networks for subject in linear(load_networks(path), known)]
    write_table(output, measure_linear_orbits(study, subjects, least, parse(Orbits, parse_json(settings), "orbits")))


def rescale(
    study: StudyName,
    demonstrations: Settings,
    orbits: Settings,
    samples: Input,
    networks: Inputs,
    measures: Output,
    curves: Output,
) -> None:
    """Show the theorems of Dinh et al. 2017 on networks of one shape."""
    from flatminima.rescaling.theorems import show_theorems

    shown = parse(Demonstrations, parse_json(demonstrations), "demonstrations")
    minimised = parse(Orbits, parse_json(orbits), "orbits")
    write_tables(show_theorems(study, _subjects(networks, samples), shown, minimised), measures, curves)


def volume(study: StudyName, settings: Settings, measures: Output, curves: Output) -> None:
    """Sample the volume of a minimum of two weights."""
    from flatminima.rescaling.coordinates import volumes

    write_tables(volumes(study, parse(Demonstrations, parse_json(settings), "demonstrations")), measures, curves)


def _subjects(networks: list[Path], samples: Path) -> "list[Subject]":
    from flatminima.data.storage import load_samples
    from flatminima.rescaling.loading import load as load_subjects

    known = load_samples(samples)
    return [subject for path in networks for subject in load_subjects(path, known)]
