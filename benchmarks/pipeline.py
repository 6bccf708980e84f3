"""The default run from an empty folder, a dry run, a run with nothing to do, and runs after a change of a figure."""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import Row, Section
from flatminima.progress import COST

COPIED = ["Snakefile", "config.yaml", "profiles", "src", "workflow"]
REPETITIONS = 5
IDLE = 0.1
JOBS = re.compile(r"^(\d+) of \1 steps", re.MULTILINE)
FIGURES = ("figures/training/path_cosine.py", "figures/style.py")
"""Modules of the package that are changed: one figure draws by the first, all by the second."""


def measure() -> Section:
    """Time the workflow in a scratch copy of the project, on all cores of this machine."""
    with tempfile.TemporaryDirectory(prefix="flatminima-") as scratch:
        project = Path(scratch)
        for name in COPIED:
            source = Path(name)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, project / name)
        rows = [
            _time("dry run, no results", project, ["--dry-run"], REPETITIONS),
            _time("no results", project),
            _time("nothing to do", project, repetitions=REPETITIONS),
            *(_changed(module, project) for module in FIGURES),
        ]
    text = (
        "What `make reproduce` runs, without installation, in a copy of the project: seconds by the clock (median of "
        f"{REPETITIONS} where nothing is made), and seconds of processor time. *Start-up* is the part of these that no "
        "job counts as its own: Snakemake, the imports of the process whose forks the jobs are, and the commands that "
        "ask for them. During each run, the cores that other programs kept busy: the machine was idle where these are "
        f"fewer than {IDLE}."
    )
    return Section("Default run", text, rows)


def _changed(module: str, project: Path) -> Row:
    """Change a module of the figures, so that its digest changes, and time the run that follows."""
    with (project / "src/flatminima" / module).open("a", encoding="utf-8") as file:
        file.write("\nCHANGED = True\n")
    return _time(f"{module} changed", project)


def _time(name: str, project: Path, options: Sequence[str] = (), repetitions: int = 1) -> Row:
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "flatminima.workflow", "--cores", str(cores), *options]
    began, busy, work = time.time(), _busy_seconds(), _processor_seconds()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        output = _run(command, project)
        times.append(time.perf_counter() - start)
    work = _processor_seconds() - work
    others = (_busy_seconds() - busy - work) / (time.time() - began)
    row: Row = {"run": name, "cores": cores, "jobs": sum(map(int, JOBS.findall(output)))}
    row |= {"seconds": statistics.median(times), "processor, s": work / repetitions}
    row |= {"start-up, s": (work - _jobs_seconds(project, began)) / repetitions}
    row |= {"others, cores": others, "idle": "yes" if others < IDLE else "no"}
    print(*row.values(), file=sys.stderr)
    return row


def _run(command: list[str], project: Path) -> str:
    """Run a command on the code of a project, and return what it prints.

    Raises:
        RuntimeError: if it fails.
    """
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    done = subprocess.run(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def _jobs_seconds(project: Path, since: float) -> float:
    """Processor time of jobs that have ended since some time, as their logs tell it."""
    logs = [path for path in (project / "logs").rglob("*.log") if path.stat().st_mtime >= since]
    costs = (COST.search(path.read_text(encoding="utf-8")) for path in logs)
    return sum(float(cost["processor"]) for cost in costs if cost)


def _processor_seconds() -> float:
    """Processor time of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy_seconds() -> float:
    """Processor time of everything on this machine since it started, from the first line of /proc/stat."""
    user, nice, system, _, _, *interrupts = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
