"""One solver on random perceptrons of one size."""

from pathlib import Path

from flatminima.data.storage import save_arrays
from flatminima.perceptron.attempts import attempt_instances
from flatminima.settings.perceptron import Attempts, SolverName


def solve(study: str, solver: SolverName, size: int, settings: Attempts, output: Path) -> None:
    """Run a solver on random instances.

    Args:
        study: the study's name, part of every seed.
        solver: its name.
        size: N, the number of weights.
        settings: loads and numbers of instances.
        output: file of solutions to write.
    """
    found = attempt_instances(study, solver, size, settings)
    save_arrays(output, found, {"study": study, "solver": solver, "size": str(size)})
