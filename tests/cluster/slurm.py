"""`make slurm-test`: a study on a real Slurm cluster, through a killed job and a lost node, against a local run.

The cluster is this machine: two nodes, each in a PID namespace of its own, so that pulling the plug of a node ends all
that runs on it. Installs Debian's packages slurm-wlm and munge. All else lies in a temporary folder, which alone the
test sees as /etc/slurm, and ends with the test.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "workflow"))
from project import Project, different, temporaries  # noqa: E402 (the same copies that the tests of the workflow make)

PACKAGES = ["slurm-wlm", "munge"]
NODES = ["node1", "node2"]
LOST = NODES[1]
MEMORY = 8000
"""MB that a node says it has: enough for any two jobs of the workflow, whatever the machine has."""
SILENCE = 15
"""Seconds after which a node that does not answer is given up."""
WORKING = 5
"""Seconds that a job has run when it is killed, or when its node is lost."""
WITHOUT_ACCOUNTING = ["--slurm-no-account", "--slurm-status-command", "squeue"]
SETTINGS = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SlurmdTimeout={silence}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def say(text: str) -> None:
    print(f"slurm-test: {text}", flush=True)


def fail(text: str) -> None:
    sys.exit(f"slurm-test: FAILED: {text}")


def quiet(*command: str) -> str:
    """Output of a command that must succeed."""
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        fail(f"{' '.join(command)}: {(run.stderr or run.stdout).strip()[-500:]}")
    return run.stdout


def check_machine() -> None:
    """End with one line if the test cannot run here."""
    if not shutil.which("apt-get"):
        fail("apt-get: no such command; this test installs packages of Debian: run it on Debian or Ubuntu")
    if os.geteuid():
        fail("not root: installing packages and starting daemons needs it; run `sudo make slurm-test`")
    if subprocess.run([*namespace(), "true"], capture_output=True).returncode:
        fail("unshare --pid: not permitted; in a container, start it with --privileged")


def namespace() -> list[str]:
    """Prefix of a command whose descendants all end with it, and whose mounts nobody else sees."""
    return ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]


def install() -> None:
    """Install Slurm where it is not; its services stay off, the test starts its own."""
    if all(map(shutil.which, ["slurmctld", "slurmd", "munged", "sbatch"])):
        say(f"{quiet('slurmctld', '-V').strip()} is installed")
        return
    say(f"installing {' and '.join(PACKAGES)}")
    quiet("apt-get", "update")
    quiet("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES)


def wait_for(what: str, condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition holds.

    Raises:
        SystemExit: if it takes longer.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)


class Cluster:
    """A controller and its nodes, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        """Write the settings, and choose ports that are free."""
        folder.mkdir()
        self.folder, self.daemons = folder, dict[str, subprocess.Popen[bytes]]()
        port, *ports = free_ports(1 + len(NODES))
        host, processors = socket.gethostname(), max(1, len(os.sched_getaffinity(0)) // len(NODES))
        node = f"NodeName={{}} NodeHostname={host} NodeAddr=127.0.0.1 Port={{}} CPUs={processors} RealMemory={MEMORY}\n"
        nodes = "".join(node.format(*pair) for pair in zip(NODES, ports, strict=True))
        (folder / "slurm.conf").write_text(
            nodes + SETTINGS.format(host=host, port=port, folder=folder, silence=SILENCE)
        )
        quiet("mount", "--bind", str(folder), "/etc/slurm")
        say(f"{len(NODES)} nodes with {processors} processors each, settings in {folder}/slurm.conf")

    def start(self) -> None:
        """Start all daemons, and wait until the nodes are ready."""
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("pid", "log", "seed")]
        self._spawn(
            "munged", ["munged", "--foreground", f"--key-file={key}", *files, f"--socket={self.folder}/munge.socket"]
        )
        self._wait("munge.socket", (self.folder / "munge.socket").exists)
        (self.folder / "state").mkdir()
        self._spawn("slurmctld", ["slurmctld", "-D"])
        for name in NODES:
            (self.folder / f"spool-{name}").mkdir()
            self._spawn(name, [*namespace(), "slurmd", "-D", "-N", name])
        self._wait("nodes", lambda: self.states() == dict.fromkeys(NODES, "idle"))
        say(f"the cluster is up: {', '.join(NODES)} idle")

    def _wait(self, what: str, condition: Callable[[], object]) -> None:
        """Wait while all daemons live; show what one said if it ended."""

        def dead() -> list[str]:
            return [name for name, daemon in self.daemons.items() if daemon.poll() is not None]

        wait_for(what, lambda: dead() or condition(), 60)
        for name in dead():
            fail(f"{name} ended: {(self.folder / f'{name}.out').read_text().strip()[-500:]}")

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.out").open("wb") as output:
            self.daemons[name] = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def stop(self) -> None:
        """Stop all daemons, and with the nodes all that runs on them."""
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()

    def pull_the_plug(self, node: str) -> None:
        """End all processes of a node at once."""
        self.daemons[node].kill()
        self.daemons[node].wait()

    @staticmethod
    def states() -> dict[str, str]:
        run = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%N %T"], capture_output=True, text=True)
        return dict(line.split() for line in run.stdout.splitlines())

    @staticmethod
    def working(node: str | None = None) -> Iterator[tuple[str, str]]:
        """Number and description of jobs that train or measure for a while, on one node or any."""
        for line in quiet(
            "squeue", "--noheader", "--states=RUNNING", "--Format=JobID:|,NodeList:|,TimeUsed:|,Comment:200"
        ).splitlines():
            job, where, used, what = (part.strip() for part in line.split("|"))
            seconds = sum(int(part) * 60**k for k, part in enumerate(reversed(used.split("-")[-1].split(":"))))
            if seconds >= WORKING and (node or where) == where:
                yield job, what.removeprefix("rule_").replace("_wildcards_", " ")


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


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
        "workflow/profiles/slurm",
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
        with running(projects[0], arguments.target, "--profile", "workflow/profiles/default") as process:
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
