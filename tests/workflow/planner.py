"""The command `snakemake` as forks of a process that has imported it, which is half of what a plan takes.

They plan and run with the package of the project that they are called for, as the command itself does.
"""

import atexit
import os
import socket
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path

from flatminima import forkserver
from flatminima.forkclient import THREADS

COMMAND = f"""#!{sys.executable}
import sys
from flatminima.forkclient import forked
sys.exit(forked())
"""


def with_forks(environment: dict[str, str]) -> dict[str, str]:
    """The environment in which `snakemake` is such a fork."""
    folder, found = _server()
    path = f"{folder}{os.pathsep}{environment['PATH']}"
    return {**environment, **found, **dict.fromkeys(THREADS, "1"), "PATH": path} if found else environment


@cache
def _server() -> tuple[Path, dict[str, str]]:
    """Folder of the command, and variables by which it finds its server, which ends with this process."""
    stack = ExitStack()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flatminima-")))
    (folder / "snakemake").write_text(COMMAND)
    (folder / "snakemake").chmod(0o755)
    found = stack.enter_context(forkserver.serving(os.environ, ("-P", __file__)))
    atexit.register(stack.close)
    return folder, found


def main() -> None:
    """Serve; in a fork, plan as `snakemake` does, with no module of this package but those of the project."""
    snakemake = import_module("snakemake.cli")
    request = forkserver.served(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == "flatminima"]:
        del sys.modules[name]
    sys.path.insert(0, os.environ["PYTHONPATH"])
    snakemake.main()


if __name__ == "__main__":
    main()
