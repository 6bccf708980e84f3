"""Hands this command to the fork server of a workflow, which has imported what it needs; imports little itself."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

ADDRESS = "FLATMINIMA_FORKSERVER"
"""Environment variable with the path of the fork server's socket."""
THREADS = (
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Variables by which Snakemake tells numerical libraries the threads of a job."""
LENGTH = 8
"""Bytes of the number that tells the length of a request."""


def forked() -> int | None:
    """Run this command as a fork of the server.

    Returns:
        Its exit code; None if no server is at work, or this command has more threads: then it must run by itself.
    """
    address = os.environ.get(ADDRESS)
    if not address or any(os.environ.get(name) != "1" for name in THREADS):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
            request = _request()
            socket.send_fds(connection, [len(request).to_bytes(LENGTH)], [0, 1, 2])
            connection.sendall(request)
        except OSError:  # the server has ended, or a standard stream is closed
            return None
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the fork is interrupted, too
        answer = connection.recv(LENGTH)
    if not answer:
        print(f"flatminima: the server of {ADDRESS} has ended, and this command with it; run it again", file=sys.stderr)
        return 1
    return int.from_bytes(answer)


def _request() -> bytes:
    umask = os.umask(0)
    os.umask(umask)
    place = {"directory": str(Path.cwd()), "umask": umask, "environment": dict(os.environ)}
    return json.dumps({"arguments": sys.argv, **place}).encode()
