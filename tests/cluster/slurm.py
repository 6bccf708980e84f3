"""`make slurm-test`: a study on a real Slurm cluster, through a killed job and a lost node, against a local run.

The cluster is this machine: two nodes, each in a PID namespace of its own, so that pulling the plug of a node ends all
that runs on it. Installs Debian's packages slurm-wlm and munge. All else lies in a temporary folder, which alone the
test sees as /etc/slurm, and ends with the test.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemons import NODES, SILENCE, Cluster, fail, namespace, quiet, say, wait_for

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "workflow"))
from project import Project, different, temporaries  # noqa: E402 (the same copies that the tests of the workflow make)

PACKAGES = ["slurm-wlm", "munge"]
LOST = NODES[1]
WITHOUT_ACCOUNTING = ["--slurm-no-account", "--slurm-status-command", "squeue"]


def check_machine() -> None:
    """End with one line if the test cannot run here."""
    if not shutil.which("apt-get"):
        fail("apt-get: no such command; this test installs packages of Debian: run it on Debian or Ubuntu")
    if os.geteuid():
        fail("not root: installing packages and starting daemons needs it; run `sudo make slurm-test`")
    if subprocess.run([*namespace(), "true"], capture_output=True).returncode:
        fail("unshare --pid: not permitted; in a container, start it with --privileged")


def install() -> None:
    """Install Slurm where it is not; the test starts daemons of its own."""
    if all(map(shutil.which, ["slurmctld", "slurmd", "munged", "sbatch"])):
        say(f"{quiet('slurmctld', '-V').strip()} is installed")
        return
    say(f"installing {' and '.join(PACKAGES)}")
    quiet("apt-get", "update")
    quiet("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES)


@contextmanager
def running(project: Project, target: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake at work in a project; what it prints goes to run.log there."""
    command = ["snakemake", target, *options]
    with (project.folder / "run.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project.folder, env=project.environment(), stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def finish(project: Project, process: subprocess.Popen[bytes]) -> None:
    """Wait for a run; show the end of its log if it failed."""
    if process.wait():
        fail(f"snakemake ended with {process.returncode}:\n{(project.folder / 'run.log').read_text()[-3000:]}")


def run_with_faults(cluster: Cluster, project: Project, target: str) -> None:
    """Run a study on the cluster, kill one of its jobs, and pull the plug of a node while jobs run on it."""
    options = [
        "--profile",
        "profiles/slurm",
        *WITHOUT_ACCOUNTING,
        "--slurm-init-seconds-before-status-checks",
        "5",
    ]
    with running(project, target, *options) as process:

        def first(node: str | None = None) -> tuple[str, str]:
            wait_for("a job that runs", lambda: process.poll() is not None or any(cluster.working(node)), 1200)
            if process.poll() is not None:
                fail(f"the run ended too early:\n{(project.folder / 'run.log').read_text()[-3000:]}")
            return next(cluster.working(node))

        job, what = first()
        quiet("scancel", "--full", "--signal=KILL", job)
        say(f"killed all processes of job {job} ({what}) by signal 9")
        job, what = first(LOST)
        cluster.pull_the_plug(LOST)
        say(f"pulled the plug of {LOST}, on which job {job} ran ({what})")
        wait_for(f"{LOST} to be given up", lambda: cluster.states()[LOST].startswith("down"), 10 * SILENCE)
        say(f"the controller has given up {LOST}; the run goes on")
        finish(project, process)
    log = (project.folder / "run.log").read_text()
    repeated, lost = log.count("Trying to restart job"), log.count("NODE_FAIL")
    if repeated < 2 or not lost:
        fail(f"{repeated} jobs were submitted again, {lost} of them for a lost node: expected at least two, and one")
    say(f"done: {log.count('has been submitted with SLURM jobid')} submissions, {repeated} of them after a failure")


def prepare(folder: Path, config: Path) -> Project:
    """A copy of the project, with a configuration."""
    project = Project.create(folder)
    shutil.copy2(config, project.folder / "config.yaml")
    return project


def compare(local: Project, cluster: Project) -> None:
    """End with one line if any file differs."""
    one, other = local.files(), cluster.files()
    if wrong := different(one, other) + temporaries(other):
        fail(f"{len(wrong)} of {len(one)} files differ: {', '.join(wrong[:10])}")
    say(f"PASSED: all {len(one)} files of the run on the cluster are byte by byte those of the local run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="configuration of both runs")
    parser.add_argument("--target", default="digits", help="study")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        check_machine()
        os.execvp("unshare", [*namespace(), sys.executable, *sys.argv, "--inside"])
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    install()
    with tempfile.TemporaryDirectory(prefix="slurm-test-") as scratch:
        Path(scratch).chmod(0o755)  # munge refuses a socket that others cannot reach
        projects = [prepare(Path(scratch) / name, arguments.config) for name in ("local", "on-slurm")]
        start = time.monotonic()
        say(f"local run of {arguments.target}")
        with running(projects[0], arguments.target, "--cores", "all") as process:
            finish(projects[0], process)
        say(f"done in {time.monotonic() - start:.0f} s")
        cluster = Cluster(Path(scratch) / "cluster")
        try:
            cluster.start()
            start = time.monotonic()
            say(f"run of {arguments.target} on the cluster")
            run_with_faults(cluster, projects[1], arguments.target)
            say(f"done in {time.monotonic() - start:.0f} s")
        finally:
            cluster.stop()
        compare(*projects)


if __name__ == "__main__":
    main()
