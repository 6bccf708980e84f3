"""Commands of perceptron studies."""

from flatminima.commands.files import parse_json, write_tables
from flatminima.commands.options import Output, Settings, StudyName
from flatminima.errors import UserError
from flatminima.settings.parsing import nearest, parse
from flatminima.settings.perceptron import Enumeration, ReplicaTheory, SolverName, SolverRuns


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
    from flatminima.perceptron.enumerated import enumerate_perceptrons

    tables = enumerate_perceptrons(study, parse(Enumeration, parse_json(settings), "enumeration"))
    write_tables(tables, measures, curves)


def solve(
    study: StudyName, solver: SolverName, settings: Settings, solutions: Output, measures: Output, curves: Output
) -> None:
    """Run one solver on random perceptrons, and survey the solutions it finds."""
    from flatminima.data.storage import save_arrays
    from flatminima.perceptron.searches import run_solver

    *tables, found = run_solver(study, solver, parse(SolverRuns, parse_json(settings), "runs"))
    save_arrays(solutions, found, {"study": study, "solver": solver})
    write_tables((tables[0], tables[1]), measures, curves)
