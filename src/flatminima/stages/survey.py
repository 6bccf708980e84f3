"""Surroundings of the solutions that one solver found."""

from pathlib import Path

from flatminima.data.storage import load_arrays
from flatminima.perceptron.survey import survey as survey_solutions
from flatminima.settings.perceptron import SolverName, Survey
from flatminima.stages.files import write_tables


def survey(
    study: str, solver: SolverName, size: int, settings: Survey, solutions: Path, measures: Path, curves: Path
) -> None:
    """Measure margins, neighbours and local entropies of solutions.

    Args:
        study: the study's name, part of the seeds of the instances.
        solver: that found the solutions.
        size: N, the number of weights.
        settings: distances, and how many solutions are surveyed.
        solutions: file of solutions.
        measures: table to write.
        curves: table to write.

    Raises:
        UserError: if the solutions cannot be read.
    """
    arrays, _ = load_arrays(solutions)
    write_tables((measures, curves), survey_solutions(study, solver, size, arrays, settings))
