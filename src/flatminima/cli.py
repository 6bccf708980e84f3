"""The command `flatminima`: a fork of the server of a workflow that is at work, or a process of its own."""

import sys

from flatminima.forkclient import forked


def main() -> None:
    """Run the command of sys.argv, and end with its exit code."""
    code = forked()
    if code is not None:
        sys.exit(code)
    from flatminima.commands.application import run

    run()
