"""Commands of perceptron studies."""

from flatminima.commands.options import Input, Output, Settings, StudyName, settings_of
from flatminima.errors import UserError
from flatminima.settings.parsing import nearest
from flatminima.settings.perceptron import Attempts, Enumeration, ReplicaTheory, SolverName, Survey


def replica(study: StudyName, part: str, settings: Settings, measures: Output, curves: Output) -> None:
    """Compute one part of the replica theory of the binary perceptron."""
    from flatminima.stages.surroundings import surroundings
    from flatminima.stages.transitions import transitions
    from flatminima.stages.typical import typical

    parts = {"typical": typical, "surroundings": surroundings, "transitions": transitions}
    if part not in parts:
        raise UserError(f"part {part!r} is not known: {nearest(part, parts)}")
    parts[part](study, settings_of(ReplicaTheory, settings, "theory"), measures, curves)


def enumerate(study: StudyName, settings: Settings, measures: Output, curves: Output) -> None:
    """Enumerate the solutions of small perceptrons."""
    from flatminima.stages.enumerate import enumerate

    enumerate(study, settings_of(Enumeration, settings, "enumeration"), measures, curves)


def solve(study: StudyName, solver: SolverName, size: int, settings: Settings, output: Output) -> None:
    """Run one solver on random perceptrons of one size."""
    from flatminima.stages.solve import solve

    solve(study, solver, size, settings_of(Attempts, settings, "searches"), output)


def survey(
    study: StudyName,
    solver: SolverName,
    size: int,
    settings: Settings,
    solutions: Input,
    measures: Output,
    curves: Output,
) -> None:
    """Measure what surrounds the solutions that one solver found."""
    from flatminima.stages.survey import survey

    survey(study, solver, size, settings_of(Survey, settings, "survey"), solutions, measures, curves)


def plant(study: StudyName, size: int, settings: Settings, output: Output) -> None:
    """Measure what surrounds planted solutions."""
    from flatminima.stages.plant import plant

    plant(study, size, settings_of(Attempts, settings, "searches"), output)
