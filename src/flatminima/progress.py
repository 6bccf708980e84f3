"""Lines that a job writes to its log: where it computes, how far it is, how long it will take, and what it took."""

import os
import re
import resource
import sys
import time

INTERVAL = 5.0
"""Seconds between two lines of a job."""
DEVICE = "device: "
"""Prefix of the log line that names the device."""
JOB = "FLATMINIMA_JOB"
"""Environment variable that is set where a command is a job of the workflow, and tells what it took."""
THREADS = "OMP_NUM_THREADS"
"""Environment variable with the number of threads of a job."""
COST = re.compile(
    r"^cost: (?P<seconds>[\d.]+) s, (?P<processor>[\d.]+) s of processor time, (?P<memory>\d+) MB"
    r"(?:, (?P<threads>\d+) threads?)?$",
    re.MULTILINE,
)
"""The log line that tells what a job took, as `report_cost` prints it."""


class Progress:
    """Prints steps, the job's state and the time left to standard error, every few seconds."""

    def __init__(self, job: str, steps: int) -> None:
        """Start the clock of a job with at most `steps` steps."""
        self._job, self._steps = job, steps
        self._start = self._last = time.monotonic()

    def report(self, step: int, state: str) -> None:
        """Print a line if the last one is old enough."""
        now = time.monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            left = (now - self._start) * (self._steps - step) / max(step, 1)
            self._print(f"step {step}/{self._steps}, {state}, at most {left:.0f} s left")

    def finish(self, step: int, state: str) -> None:
        """Print the last line."""
        self._print(f"done after {step} steps, {state}, {time.monotonic() - self._start:.1f} s")

    def _print(self, text: str) -> None:
        print(f"{self._job}: {text}", file=sys.stderr, flush=True)


def state(loss: float, diverged: int) -> str:
    """State of a training job: the median loss, and how many replicas diverged."""
    return f"median loss {loss:.4g}" + (f", {diverged} diverged" if diverged else "")


def report_device(name: str) -> None:
    """Print the line that names the device: `cpu`, or the name of a GPU."""
    print(f"{DEVICE}{name}", file=sys.stderr, flush=True)


def report_cost(seconds: float) -> None:
    """Print the line that tells what this process took: wall-clock and processor seconds, peak memory, and threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    memory = usage.ru_maxrss // (10**6 if sys.platform == "darwin" else 10**3)  # bytes there, KiB elsewhere
    threads = os.environ.get(THREADS)
    of_threads = f", {threads} thread{'' if threads == '1' else 's'}" if threads else ""
    processor = usage.ru_utime + usage.ru_stime
    print(
        f"cost: {seconds:.2f} s, {processor:.2f} s of processor time, {memory} MB{of_threads}",
        file=sys.stderr,
        flush=True,
    )
