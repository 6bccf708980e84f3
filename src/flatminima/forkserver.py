"""A process that imports what jobs of a workflow need, once for all, and runs each of them as a fork of itself.

Importing torch takes longer than many a job. A job says by its command `flatminima` what it wants
(`flatminima.forkclient`), waits, and ends with the fork's exit code. The server ends with the process that started it.
"""

import atexit
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from flatminima.forkclient import ADDRESS, LENGTH, THREADS

MODULES = {"figure": "figures.figure_files", "table": "figures.table_files", "report": "report.page"}
"""Modules that do the work of a command, where it is not the stage of its name."""
PROGRAM = ("-m", "flatminima.forkserver")
"""Arguments of Python to serve."""
STREAMS = 3
"""Standard streams of a command."""
BACKLOG = 128
"""Commands that may wait while the server imports."""
LIFE = 0
"""File descriptor, standard input, that is closed when the process that started the server ends."""


@dataclass(frozen=True)
class Request:
    """Words of a command, and the place where it is to run.

    Attributes:
        arguments: words of the command line, the program's name first.
        directory: working folder.
        umask: permissions that files shall not have.
        environment: all environment variables.
    """

    arguments: list[str]
    directory: str
    umask: int
    environment: dict[str, str]


@dataclass(eq=False)
class _Client:
    """A command that waits: its connection, what it has said, its standard streams, and the fork that runs it."""

    connection: socket.socket
    said: bytes = b""
    streams: tuple[int, ...] = ()
    process: int | None = None

    def hear(self) -> bool:
        """Take in what it says; False if it has gone."""
        try:
            said, streams, *_ = socket.recv_fds(self.connection, 2**16, STREAMS)
        except ConnectionResetError:
            return False
        self.said += said
        self.streams += tuple(streams)
        return bool(said)

    @property
    def request(self) -> Request | None:
        """The request, if it is complete."""
        length = LENGTH + int.from_bytes(self.said[:LENGTH])
        whole = len(self.said) >= LENGTH and len(self.said) == length and len(self.streams) == STREAMS
        return Request(**json.loads(self.said[LENGTH:])) if whole else None

    def close(self) -> None:
        """Let go of the connection and the streams."""
        self.connection.close()
        for stream in self.streams:
            os.close(stream)


class Server:
    """Takes commands from a socket, and forks for each."""

    def __init__(self, listener: socket.socket) -> None:
        """Listen on a socket, and to the life of the process that started the server."""
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(LIFE, selectors.EVENT_READ, None)
        self._clients: list[_Client] = []

    def serve(self) -> Request | None:
        """Serve until the process that started the server has ended: then None. In a fork, what it is to run."""
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._end()
                    return None
                request: Request | None = key.data()
                if request is not None:
                    return request

    def _end(self) -> None:
        for client in self._clients:
            if client.process is not None:
                os.kill(client.process, signal.SIGTERM)

    def _accept(self) -> None:
        client = _Client(self._listener.accept()[0])
        self._clients.append(client)
        self._selector.register(client.connection, selectors.EVENT_READ, partial(self._hear, client))

    def _hear(self, client: _Client) -> Request | None:
        """Fork if the command has said all; stop its fork if it has gone."""
        if client not in self._clients:  # its fork ended at the same time
            return None
        there = client.hear()
        if not there and client.process is not None:
            self._selector.unregister(client.connection)
            os.kill(client.process, signal.SIGTERM)
        elif not there:
            self._forget(client)
        elif request := client.request:
            _prepare(request.arguments[1:2])
            return self._fork(client, request)
        return None

    def _fork(self, client: _Client, request: Request) -> Request | None:
        process = client.process = os.fork()
        if process == 0:
            _take_streams(client.streams)
            self._selector.close()
            self._listener.close()
            for other in self._clients:
                other.close()
            return request
        ended = os.pidfd_open(process)
        self._selector.register(ended, selectors.EVENT_READ, partial(self._answer, client, process, ended))
        return None

    def _answer(self, client: _Client, process: int, ended: int) -> None:
        """Tell a command how its fork has ended: its exit code, or 128 and the number of the signal."""
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self._selector.unregister(ended)
        os.close(ended)
        with suppress(OSError):  # it has gone
            client.connection.sendall((code if code >= 0 else 128 - code).to_bytes(LENGTH))
        self._forget(client)

    def _forget(self, client: _Client) -> None:
        with suppress(KeyError):  # it has gone before
            self._selector.unregister(client.connection)
        self._clients.remove(client)
        client.close()


def start() -> None:
    """Start a server that ends with this process, and tell commands of it by the environment."""
    server = ExitStack()
    os.environ |= server.enter_context(serving(os.environ))
    atexit.register(server.close)


@contextmanager
def serving(environment: Mapping[str, str], program: Sequence[str] = PROGRAM) -> Iterator[dict[str, str]]:
    """Run a server.

    On systems that cannot watch a process (Linux before 5.3, and all others) there is none.

    Args:
        environment: its environment variables.
        program: arguments of Python to serve on the socket whose descriptor is the next argument.

    Yields:
        The environment variables by which commands find the server.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        yield {}
        return
    address = Path(tempfile.mkdtemp(prefix="flatminima-"), "socket")
    found = {ADDRESS: str(address)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(BACKLOG)
        server = subprocess.Popen(  # noqa: S603
            [sys.executable, *program, str(listener.fileno())],
            env={**environment, **dict.fromkeys(THREADS, "1"), **found},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    try:
        yield found
    finally:
        server.communicate()  # closes its standard input


def _prepare(words: Sequence[str]) -> None:
    """Import what a command needs; a fork that finds that this fails says so."""
    for word in words:
        with suppress(Exception):
            import_module(f"flatminima.{MODULES.get(word, f'stages.{word}').replace('-', '_')}")
    gc.freeze()  # forks leave alone, and so share, what there is


def _take_streams(streams: Sequence[int]) -> None:
    """Have standard streams that are those of another process; Python remembers of the old ones what these are not."""
    for number, (name, stream) in enumerate(zip(("stdin", "stdout", "stderr"), streams, strict=True)):
        os.dup2(stream, number)
        old = getattr(sys, name)
        new = open(number, old.mode, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        new.reconfigure(line_buffering=name == "stderr" or new.isatty())
        setattr(sys, name, new)


def _take_place(request: Request) -> None:
    """Be the process that asked."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.directory)
    os.umask(request.umask)
    sys.argv[:] = request.arguments


def served(listener: socket.socket) -> Request | None:
    """Serve on a socket until the process that started the server has ended: then None.

    Returns:
        In a fork, the request that it is to run; it has taken the place of the command.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the forks by themselves, and end what started this
        signal.signal(number, signal.SIG_IGN)
    address = Path(os.environ[ADDRESS])
    request = Server(listener).serve()
    if request is not None:
        _take_place(request)
    else:
        shutil.rmtree(address.parent)
    return request


def main() -> None:
    """Serve on the socket whose descriptor is the argument; in a fork, run a command."""
    application = import_module("flatminima.commands.application")  # not by who starts a server
    if served(socket.socket(fileno=int(sys.argv[1]))):
        application.run()


if __name__ == "__main__":
    main()
