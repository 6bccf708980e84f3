"""Commands of rescaling studies."""

from flatminima.commands.options import Input, Inputs, Output, Settings, StudyName, settings_of
from flatminima.settings.rescaling import Convolutional, Demonstrations, Orbits


def convolve(study: StudyName, settings: Settings, samples: Input, networks: Output) -> None:
    """Train the convolutional networks of a rescaling study."""
    from flatminima.stages.convolve import convolve

    convolve(study, settings_of(Convolutional, settings, "convolutional"), samples, networks)


def orbit(study: StudyName, settings: Settings, samples: Input, networks: Inputs, output: Output) -> None:
    """Find the flattest network in the rescaling orbit of every network of one shape."""
    from flatminima.stages.orbit import orbit

    orbit(study, settings_of(Orbits, settings, "orbits"), samples, networks, output)


def linear_orbit(
    study: StudyName, settings: Settings, moments: Input, bounds: Input, networks: Inputs, output: Output
) -> None:
    """Find the flattest network in the orbits of linear networks, and compare it with theory's minimum."""
    from flatminima.stages.linear_orbit import linear_orbit

    linear_orbit(study, settings_of(Orbits, settings, "orbits"), moments, bounds, networks, output)


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
    from flatminima.stages.rescale import rescale

    shown = settings_of(Demonstrations, demonstrations, "demonstrations")
    rescale(study, shown, settings_of(Orbits, orbits, "orbits"), samples, networks, measures, curves)


def volume(study: StudyName, settings: Settings, measures: Output, curves: Output) -> None:
    """Sample the volume of a minimum of two weights."""
    from flatminima.stages.volume import volume

    volume(study, settings_of(Demonstrations, settings, "demonstrations"), measures, curves)
