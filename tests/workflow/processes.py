"""Runs of the workflow that go on beside a test, to be stopped by it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from project import Project

PATIENCE = 300.0
"""Seconds to wait for something that is sure to come."""


def wait_for(condition, process: subprocess.Popen) -> None:
    """Wait until a condition holds; fail if the process ends first."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < end, "the run got nowhere"
        time.sleep(0.02)


@contextmanager
def running(project: Project, *arguments: str) -> Iterator[subprocess.Popen]:
    """Snakemake at work, with its jobs in a process group of their own, which can be interrupted as from a terminal.

    Tests that run in the background of a shell are started to ignore interrupts, and so would be what they start.
    """
    command = ["env", "--default-signal=INT", *Project.snakemake_command(*arguments)]
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
