"""Commands of perceptron studies."""

from flatminima.commands.files import parse_json, write_table, write_tables
from flatminima.commands.options import Input, Output, Settings, StudyName
from flatminima.errors import UserError
from flatminima.settings.parsing import nearest, parse
from flatminima.settings.perceptron import Attempts, Enumeration, ReplicaTheory, SolverName, Survey


def replica(study: StudyName, part: str, settings: Settings, measures: Output, curves: Output) -> None:
    """Compute one part of the replica theory of the binary perceptron."""
    from flatminima.perceptron.transitions import transitions
    from flatminima.perceptron.typical import surroundings, typical_solutions

    parts = {"typical": typical_solutions, "surroundings": surroundings, "transitions": transitions}
    if part not in parts:
        raise UserError(f"part {part!r} is not known: {nearest(part, parts)}")
    write_tables(parts[part](study, parse(ReplicaTheory, parse_json(settings), "theory")), measures, curves)


def enumerate(study: StudyName, settings: Settings, measures: Output, curves: Output) -> None:
    """Enumerate the solutions of small perceptrons."""
    from flatminima.perceptron.enumeration import enumerate_perceptrons

    tables = enumerate_perceptrons(study, parse(Enumeration, parse_json(settings), "enumeration"))
    write_tables(tables, measures, curves)


def solve(study: StudyName, solver: SolverName, size: int, settings: Settings, output: Output) -> None:
    """Run one solver on random perceptrons of one size."""
    from flatminima.data.storage import save_arrays
    from flatminima.perceptron.attempts import attempt_instances

    found = attempt_instances(study, solver, size, parse(Attempts, parse_json(settings), "searches"))
    save_arrays(output, found, {"study": study, "solver": solver, "size": str(size)})


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
    from flatminima.data.storage import load_arrays
    from flatminima.perceptron.survey import survey as around

    arrays, _ = load_arrays(solutions)
    write_tables(around(study, solver, size, arrays, parse(Survey, parse_json(settings), "survey")), measures, curves)


def plant(study: StudyName, size: int, settings: Settings, output: Output) -> None:
    """Measure what surrounds planted solutions."""
    from flatminima.perceptron.survey import planted_solutions

    write_table(output, planted_solutions(study, size, parse(Attempts, parse_json(settings), "searches")))
