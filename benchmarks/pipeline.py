"""The default run from an empty folder, a dry run, a run with nothing to do, and runs after a change of style."""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.timing import Row, Section
from flatminima.config import load
from flatminima.settings.theory import TheoryStudy

COPIED = ["Snakefile", "config.yaml", "profiles", "src", "workflow"]
MANY, FEW = 4, 2
REPETITIONS = 3
IDLE = 0.1
JOBS = re.compile(r"^(\d+) of \1 steps", re.MULTILINE)
MAIN = """
import resource, sys
from flatminima.workflow import run
code = run(sys.argv[1:])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print("own and jobs' seconds:", *(use.ru_utime + use.ru_stime for use in used))
sys.exit(code)
"""
"""Runs the workflow as `make reproduce` does, and says what Snakemake's process and its jobs took."""
SHARES = re.compile(r"^own and jobs' seconds: (\S+) (\S+)$", re.MULTILINE)


def measure() -> Section:
    """Time the workflow in a scratch copy of the project, on 4 cores and on 2 of them."""
    with tempfile.TemporaryDirectory(prefix="flatminima-") as scratch:
        project = Path(scratch)
        for name in COPIED:
            source = Path(name)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, project / name)
        rows = [
            _time("dry run, no results", project, MANY, limit=3, dry=True, repetitions=REPETITIONS),
            _time("no results: attacks of the study theory", project, MANY, limit=60, targets=_attacks()),
            _time("no results: all the rest", project, MANY, limit=240),
            _time("nothing to do", project, MANY, limit=5, repetitions=REPETITIONS),
            _restyle("path_cosine.py", project, limit=15),
            _restyle("style.py", project, limit=15),
        ]
        for made in ("results", "logs", ".snakemake"):
            shutil.rmtree(project / made)
        rows.append(_time("no results: all studies", project, FEW, limit=420))
    text = (
        "What `make reproduce` runs, in a copy of the project, kept to the number of cores given: seconds by the clock "
        f"(median of {REPETITIONS} where nothing is made), seconds of processor time, and the most seconds allowed; of "
        "the last repetition, the processor time of Snakemake's own process, at most 5 % of that of its jobs. "
        "Before each run, the system's load average; during it, the cores that other programs kept busy: the machine "
        f"was idle where these are fewer than {IDLE}."
    )
    return Section("Default run", text, rows)


def _attacks() -> list[str]:
    """The files of the searches that try to break theory."""
    study = load(Path("config.yaml")).studies["theory"]
    assert isinstance(study, TheoryStudy)
    return [f"results/theory/measures/{statement}.parquet" for statement in study.statements.value]


def _restyle(module: str, project: Path, limit: float) -> Row:
    """Change a module of the figures, so that its digest changes, and time the run that follows."""
    with (project / "src/flatminima/figures" / module).open("a", encoding="utf-8") as file:
        file.write("\nCHANGED = True\n")
    return _time(f"figures/{module} changed", project, MANY, limit)


def _time(
    name: str,
    project: Path,
    cores: int,
    limit: float,
    dry: bool = False,
    repetitions: int = 1,
    targets: Sequence[str] = (),
) -> Row:
    workflow = [sys.executable, "-c", MAIN, *targets, "--cores", str(cores)]
    verdicts = [] if targets else [["flatminima", "verdicts", "results"]]
    commands = [[*workflow, "--dry-run"]] if dry else [workflow, *verdicts]
    load, busy, work = os.getloadavg()[0], _busy_seconds(), _processor_seconds()
    start = time.perf_counter()
    times = []
    with _kept_to(cores):
        for _ in range(repetitions):
            began = time.perf_counter()
            output = "".join(_run(command, project) for command in commands)
            times.append(time.perf_counter() - began)
    own, jobs = (sum(map(float, share)) for share in zip(*SHARES.findall(output), strict=True))
    work = _processor_seconds() - work
    others = (_busy_seconds() - busy - work) / (time.perf_counter() - start)
    seconds = statistics.median(times)
    row: Row = {"run": name, "cores": cores, "jobs": sum(map(int, JOBS.findall(output))), "seconds": seconds}
    row |= {"processor, s": work / repetitions, "allowed": limit, "within": "yes" if seconds <= limit else "no"}
    row |= {"Snakemake, s": own, "of its jobs, %": 100 * own / jobs if jobs else 0.0}
    row |= {"load before": load, "others, cores": others, "idle": "yes" if others < IDLE else "no"}
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


@contextmanager
def _kept_to(cores: int) -> Iterator[None]:
    """Keep this process and those it starts to some of its processor cores."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


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
