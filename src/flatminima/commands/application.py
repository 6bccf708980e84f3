"""All commands: one per stage of the workflow. Numerical libraries load only where a stage needs them."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import isfunction
from typing import get_args

import typer

from flatminima.commands import terminal
from flatminima.config import AnyStudy
from flatminima.errors import UserError
from flatminima.progress import JOB, report_cost

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Replication of three papers on flat minima.",
)

TRACEBACK = "FLATMINIMA_TRACEBACK"
MATPLOTLIB = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
"""No window, and no user's settings: an unknown backend would end any import of matplotlib."""
KINDS = [get_args(study.model_fields["kind"].annotation)[0] for study in get_args(AnyStudy)]
"""Kinds of studies: the commands of each are in the module of its name."""
MODULES = (*KINDS, "results", "auditing", "repository")
"""Modules of `flatminima.commands` whose public functions are the commands, in the order of the help."""


def commands() -> Iterator[Callable[..., None]]:
    """Yield the commands, in the order of the help."""
    for name in MODULES:
        module = import_module(f"flatminima.commands.{name}")
        functions = (value for value in vars(module).values() if isfunction(value))
        yield from (f for f in functions if f.__module__ == module.__name__ and not f.__name__.startswith("_"))


for _command in commands():
    app.command()(_command)


def run() -> None:
    """Run the command of sys.argv; a user's mistake ends in one line and exit code 2, not in a traceback."""
    start = time.monotonic()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # leaves no temporary file behind
    os.environ.update(MATPLOTLIB)
    terminal.prepare()
    try:
        try:
            app(args=terminal.words(sys.argv[1:]), prog_name="flatminima")
        except SystemExit as end:
            if not end.code and os.environ.get(JOB):
                report_cost(time.monotonic() - start)
            raise
        finally:
            terminal.finish()
    except UserError as error:
        if os.environ.get(TRACEBACK):
            raise
        hint = f" (for the traceback, set {TRACEBACK}=1)" if error.__cause__ else ""
        print(f"flatminima: {error}{hint}", file=sys.stderr)
        sys.exit(2)
