"""The command line: one command per stage of the workflow. Numerical libraries load only where a stage needs them."""

import os
import signal
import sys

import typer

from flatminima.commands import auditing, perceptron, repository, rescaling, results, terminal, theory, training
from flatminima.errors import UserError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Replication of three papers on flat minima.",
)

TRACEBACK = "FLATMINIMA_TRACEBACK"
MATPLOTLIB = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
"""No window, and no user's settings: an unknown backend would end any import of matplotlib."""
COMMANDS = (
    training.data,
    training.bound,
    training.train,
    training.measure,
    training.crosscheck,
    theory.attack,
    theory.construct,
    theory.converge,
    theory.price,
    theory.scaled_residual,
    rescaling.convolve,
    rescaling.orbit,
    rescaling.linear_orbit,
    rescaling.rescale,
    rescaling.volume,
    perceptron.replica,
    perceptron.enumerate,
    perceptron.solve,
    perceptron.survey,
    perceptron.plant,
    results.collect,
    results.figure,
    results.table,
    results.sensitivity,
    results.claims,
    results.report,
    results.manifest,
    auditing.audit,
    auditing.compare,
    auditing.export,
    repository.verdicts,
    repository.readme,
    repository.schema,
    repository.validate,
)
"""In the order of the help."""

for _command in COMMANDS:
    app.command()(_command)


def main() -> None:
    """Run a command; a user's mistake ends in one line and exit code 2, not in a traceback."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # leaves no temporary file behind
    os.environ.update(MATPLOTLIB)
    terminal.prepare()
    try:
        try:
            app(args=terminal.words(sys.argv[1:]))
        finally:
            terminal.finish()
    except UserError as error:
        if os.environ.get(TRACEBACK):
            raise
        hint = f" (for the traceback, set {TRACEBACK}=1)" if error.__cause__ else ""
        print(f"flatminima: {error}{hint}", file=sys.stderr)
        sys.exit(2)
