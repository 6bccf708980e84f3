"""What Snakemake's own process takes for 250 to 20,000 jobs: to plan them, and to run jobs that do nothing."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.timing import Row, Section
from flatminima.report.scoreboard import update_between
from flatminima.settings.yaml_files import read_mapping

PAGE = Path("docs/cluster.md")
LINKED = ["Snakefile", "profiles", "src", "workflow"]
SIZES = {250: (5, 5, 5), 1000: (10, 5, 10), 5000: (10, 10, 25), 20000: (20, 10, 50)}
"""Experiments, depths, and parts of the seeds by how many jobs train or measure them: two for each."""
LIMIT = 1100
"""Jobs after which the run of a large plan is stopped."""
STEPS = re.compile(r"^(\d+) of (\d+) steps", re.MULTILINE)
USED = re.compile(r"^own seconds and memory: (\S+) (\S+)$", re.MULTILINE)
MAIN = """
import resource, sys
from flatminima.workflow import run
run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print("own seconds and memory:", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
"""Runs the workflow as `make reproduce` does, and says what Snakemake's process took."""
STUB = f"""
flatminima() {{
    local word stem made
    printf . >> made
    made=$(<made)
    [ ${{#made}} -le {LIMIT} ] || exit 1
    for word; do
        stem=${{word%.*}}
        case $word in
            results/*'{{'*) ;;
            results/*/figures/*.svg) touch "$word" "$stem".pdf "$stem".png "$stem".csv ;;
            results/*/tables/*.html) touch "$word" "$stem".csv "$stem".tex ;;
            results/*) [ -e "$word" ] || : > "$word" ;;
        esac
    done
}}
"""
"""Read by bash before the command of a job: it then makes empty files, and fails once there were LIMIT jobs."""


@dataclass(frozen=True)
class Use:
    """Processor seconds and largest memory of Snakemake's process, in MB, and what it printed."""

    seconds: float
    memory: float
    output: str


def measure() -> Section:
    """Plan and begin runs of all sizes, each in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="flatminima-") as scratch:
        rows = [_row(size, Path(scratch, str(size))) for size in SIZES]
    text = (
        "Processor seconds and memory of Snakemake's own process, by `python -m benchmarks.planning`: a dry run before "
        "anything is made, and what each job costs it besides in a run whose jobs make empty files (all of them, or "
        f"the first {LIMIT:,}, when most are ready or wait)."
    )
    return Section("Plans", text, rows)


def configuration(experiments: int, depths: int, parts: int) -> dict[str, Any]:
    """A configuration with one study of digits: like experiments at some depths, a part for each of some seeds."""
    shipped = read_mapping(Path("config.yaml"))
    digits = shipped["studies"]["digits"]
    divided = {"depths": list(range(2, 2 + depths)), "seeds": parts, "seeds_per_job": 1}
    run = digits["experiments"]["relu"] | divided
    digits["experiments"] = {f"relu_{number}": run for number in range(experiments)}
    digits["tasks"] = {run["task"]: digits["tasks"][run["task"]]}
    return {"data_root": "data", "embedded": ["digits"], "studies": {"digits": digits}}


def _row(size: int, folder: Path) -> Row:
    folder.mkdir()
    for name in LINKED:
        (folder / name).symlink_to(Path(name).resolve())
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(*SIZES[size])), encoding="utf-8")
    (folder / "stub.sh").write_text(STUB, encoding="utf-8")
    plan = _snakemake(folder, "--dry-run", "--quiet")
    run = _snakemake(folder)
    done, planned = map(int, STEPS.findall(run.output)[-1])
    row: Row = {"jobs": planned, "plan, s": plan.seconds, "plan, MB": round(plan.memory), "jobs run": done}
    row |= {"a job run, ms": 1000 * (run.seconds - plan.seconds) / done, "run, MB": round(run.memory)}
    print(*row.values(), file=sys.stderr, flush=True)
    return row


def _snakemake(folder: Path, *options: str) -> Use:
    """Run the workflow in a folder, the jobs by the stub."""
    command: Sequence[str] = [sys.executable, "-c", MAIN, "--cores", "2", *options]
    environment = os.environ | {"BASH_ENV": "stub.sh"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    ((seconds, memory),) = USED.findall(done.stdout)
    return Use(float(seconds), float(memory), done.stdout)


def main() -> None:
    """Measure, print the table, and write it to docs/cluster.md."""
    section = measure().body()
    print(section)
    update_between(PAGE, "planning", section)


if __name__ == "__main__":
    main()
